// The chunked transfer coding (RFC 9112 section 7.1), decoded strictly and incrementally.
//
//   chunked-body = *chunk last-chunk trailer-section CRLF
//   chunk        = 1*HEXDIG [ chunk-ext ] CRLF chunk-data CRLF
//
// Refused: bare LF, a size that is empty, signed, over 8 digits or followed by anything but an
// extension, extensions over 256 bytes a chunk, trailers over 8 KiB, a body over the limit.
// Trailers are read and dropped: nothing here acts on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace redoubt::wire {

class ChunkedDecoder {
 public:
  enum class Status : std::uint8_t { more, done, malformed, too_large };

  explicit ChunkedDecoder(std::size_t body_max) : body_max_(body_max) {}

  // Consumes a prefix of `input` (its length in `used`), appending data to `body`.
  Status feed(std::string_view input, std::size_t& used, std::string& body);

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer,
    trailer_lf,
    final_lf
  };
  Status step(char c);

  std::size_t body_max_;
  std::size_t received_ = 0;
  State state_ = State::size;
  std::uint64_t size_ = 0;
  unsigned digits_ = 0;
  unsigned extension_ = 0;
  unsigned trailer_ = 0;
};

}  // namespace redoubt::wire
