// The end of a stream that its source holds. Without a connection it has ended.
#pragma once

#include "net/http_connection.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt::net {

class HttpConnection::Stream final : public ResponseStream {
 public:
  Stream(HttpConnection& connection, bool chunked, StreamStart start);

  bool open() const override { return connection_ != nullptr; }
  std::size_t queued() const override;
  bool send(std::string_view bytes) override;
  void end() override;

  void begin(const std::shared_ptr<Stream>& self);
  // Everything is with the kernel; what was gathered meanwhile follows.
  void drained();
  // The connection is gone or about to go.
  void let_go();

 private:
  // What is sent in one turn leaves in one write.
  void flush_later();
  // True: nothing is left to send.
  bool flush();

  HttpConnection* connection_;
  const bool chunked_;
  StreamStart start_;
  std::string pending_;
  bool flush_posted_ = false;
  bool behind_ = false;  // The peer has not taken everything yet.
};

}  // namespace redoubt::net
