// HTTP/1.1 request heads, read strictly (RFC 9112, RFC 9110): what two readers could understand
// differently is refused, because that difference is how requests are smuggled.
//
//   request-head = request-line CRLF *( field-line CRLF ) CRLF
//   request-line = token SP request-target SP "HTTP/1." DIGIT
//   field-line   = token ":" OWS field-value OWS
//
// Refused beyond the grammar: bare CR or LF, obs-fold, space before the colon, control characters,
// a repeated, signed or listed Content-Length, Content-Length beside Transfer-Encoding, any
// Transfer-Encoding but exactly "chunked", a missing, repeated or malformed Host, an absolute-form
// target whose authority is not the Host, a fragment in the target.
//
// Nothing is copied: every view points into the input and lives as long as it.
// Threads: pure functions. Cost: one pass over the head.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::wire {

struct HeadLimits {
  std::size_t line_max = 8 * 1024;   // Request line and each field line.
  std::size_t head_max = 32 * 1024;  // All field lines together.
  std::size_t fields_max = 100;      // At most kFieldsMax.
};
inline constexpr std::size_t kFieldsMax = 100;

enum class HttpMethod : std::uint8_t { get, head, post, put, patch, del, options, other };

struct Field {
  std::string_view name;   // As sent; compare without case.
  std::string_view value;  // Without surrounding white space.
};

enum class BodyKind : std::uint8_t { none, length, chunked };

struct RequestHead {
  HttpMethod method = HttpMethod::other;
  std::string_view method_text;
  std::string_view target;
  std::string_view path;   // Of the target; "*" for OPTIONS *.
  std::string_view query;  // Without '?'.
  std::string_view host;   // Authority.
  int minor_version = 1;
  bool keep_alive = true;
  bool expects_continue = false;
  BodyKind body = BodyKind::none;
  std::uint64_t content_length = 0;
  std::size_t field_count = 0;
  std::array<Field, kFieldsMax> fields;

  // The value of the first field of that name, "" when absent. `name` in lower case.
  std::string_view field(std::string_view name) const;
};

struct HeadResult {
  enum class Kind : std::uint8_t { complete, incomplete, refused };
  Kind kind = Kind::incomplete;
  std::size_t size = 0;     // complete: bytes of the head, the empty line included.
  int status = 0;           // refused: 400, 414, 417, 431, 501 or 505.
  std::string_view reason;  // refused: what is wrong, static.
};

// Reads the head at the start of `input`. `scanned` is the caller's memory between calls with more
// input (start it at 0), so that a head that arrives byte by byte is still read in linear time.
HeadResult read_request_head(std::string_view input, std::size_t& scanned, const HeadLimits& limits,
                             RequestHead& head);

bool is_token(std::string_view text);  // RFC 9110 5.6.2
bool ascii_iequals(std::string_view a, std::string_view lower_b);  // REQUIRES: lower_b is ASCII.

}  // namespace redoubt::wire
