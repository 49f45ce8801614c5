// Errors: one type, two audiences. `message` may reach the caller of the API; `cause` goes to the
// log and never leaves the process. `code` decides the HTTP status and whether a retry makes sense
// (the table is in src/base/error.cpp); `slug` is the stable word a client matches on, for example
// "session_not_found". A refusal by a limit is a decision, not an error, until the edge.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

// What a caller can do about it. Add here, and in the table of src/base/error.cpp, in order.
enum class Errc : std::uint8_t {
  invalid_argument,     // The request is wrong; the field errors say where.
  unauthenticated,      // No credential, or one that is not (or no longer) good.
  permission_denied,    // A good credential that may not do this.
  not_found,            // No such object, or another tenant's.
  conflict,             // The state does not allow it now.
  precondition_failed,  // If-Match did not match.
  payload_too_large,
  rate_limited,         // Only at the edge, made from a decision.
  unavailable,          // A dependency is away; retry_after says when to come back.
  deadline_exceeded,    // Unknown outcome for a write.
  internal,             // A bug or a broken invariant.
};

struct FieldError {
  std::string pointer;  // RFC 6901 into the body ("/ttl"), or "" when it is not in the body.
  std::string location; // "body.ttl", "query.limit", "path.id", "header.If-Match".
  std::string detail;   // "must be between 1s and 1h".
  std::string code;     // "required", "type", "range", "length", "format", "unknown".
};

struct Error {
  Errc code = Errc::internal;
  std::string slug;     // Empty: the slug of the code.
  std::string message;
  std::string cause;
  std::vector<FieldError> fields;
  std::chrono::milliseconds retry_after{0};

  Error() = default;
  Error(Errc error_code, std::string slug_text, std::string message_text,
        std::string cause_text = {})
      : code(error_code),
        slug(std::move(slug_text)),
        message(std::move(message_text)),
        cause(std::move(cause_text)) {}
};

struct ErrcTraits {
  Errc code;
  std::string_view slug;
  int http_status;
  int json_rpc_code;
  bool retryable;
  std::string_view title;
};

const ErrcTraits& traits(Errc code);

// The slug of the error, or of its code when it has none of its own.
std::string_view slug_of(const Error& error);

// The usual errors, so that call sites read as sentences.
Error invalid_argument(std::string location, std::string detail, std::string code = "format");
Error unauthenticated(std::string slug, std::string message);
Error not_found(std::string what);  // slug "<what>_not_found"
Error unavailable(std::string slug, std::string message, std::string cause = {});
Error internal(std::string cause);

}  // namespace redoubt
