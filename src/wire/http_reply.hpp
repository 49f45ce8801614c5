// HTTP/1.1 responses, read as they come (RFC 9112): the other side of http1.hpp, for clients of
// ours.
//
// Refused: malformed lines, a Content-Length that is repeated or no number, Content-Length beside
// Transfer-Encoding, any Transfer-Encoding but chunked, heads over 64 KiB, bodies over the limit.
// Interim responses (100, 103) are passed over.
//
// Threads: one per object.
#pragma once

#include "wire/chunked.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::wire {

class HttpReply {
 public:
  enum class Status : std::uint8_t { more, done, malformed };

  explicit HttpReply(std::size_t body_max) : body_max_(body_max) {}

  // Takes a prefix of what came; `used` is its length. What it does not take comes again, with
  // more.
  Status feed(std::string_view input, std::size_t& used);
  // The peer closed: done when that is how the body ends.
  Status closed();

  bool has_head() const { return status_ != 0; }
  int status() const { return status_; }
  bool keeps_alive() const { return keep_alive_; }
  std::string_view content_type() const { return content_type_; }
  // What there is of it; the caller may take it away as it comes, and then body_max bounds a chunk.
  std::string& body() { return body_; }

 private:
  enum class Framing : std::uint8_t { none, length, chunked, until_close };

  bool read_head(std::string_view head);
  bool read_field(std::string_view name, std::string_view value);
  Status feed_body(std::string_view input, std::size_t& used);

  std::size_t body_max_;
  int status_ = 0;
  bool keep_alive_ = true;
  bool has_length_ = false;
  Framing framing_ = Framing::until_close;
  std::uint64_t left_ = 0;
  std::optional<ChunkedDecoder> chunked_;
  std::string content_type_;
  std::string body_;
};

}  // namespace redoubt::wire
