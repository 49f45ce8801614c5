// The bytes to and from a server: TCP or a Unix socket, with TLS over it when asked. Writing tries
// the system call first, because a request nearly always fits the socket's buffer.
//
// TLS is 1.2 or later, verified against the given or the system's authorities and the host's name,
// which is also sent (SNI) unless it is an address.
//
// Threads: one executor. Waiting ends when close() is called.
#pragma once

#include "redis/options.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace redoubt::redis {

// Null when TLS is off. Errors: invalid_argument "redis_options" naming the file that cannot be
// used.
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(const Tls& tls);

class Stream {
 public:
  using Address = boost::asio::generic::stream_protocol::endpoint;

  Stream(boost::asio::any_io_executor executor, std::shared_ptr<boost::asio::ssl::context> tls);

  // Errors of all three: unavailable "redis_unavailable".
  Task<std::vector<Address>> look_up(Endpoint endpoint);
  // `user_timeout`: how long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT).
  Task<void> connect(Address address, Duration user_timeout);
  Task<void> handshake_tls(std::string server_name);

  // Zero: the end or an error, and then failure() says which.
  boost::asio::awaitable<std::size_t> read_some(char* at, std::size_t room);
  // How many were written at once; for TLS always 0. An error shows in the write that follows.
  std::size_t write_now(std::string_view bytes);
  // Writes all of it; `bytes` live until `done(ok)` is called. One at a time.
  void write(std::string_view bytes, std::function<void(bool)> done);

  void close();
  bool is_open() const { return open_; }
  const std::string& failure() const { return failure_; }

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;

  void note(const boost::system::error_code& ec);
  Socket& socket() { return stream_ ? stream_->next_layer() : *plain_; }

  boost::asio::any_io_executor executor_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  boost::asio::ip::tcp::resolver resolver_;
  std::unique_ptr<Socket> plain_;
  std::unique_ptr<boost::asio::ssl::stream<Socket>> stream_;
  std::string failure_;
  bool open_ = true;
};

}  // namespace redoubt::redis
