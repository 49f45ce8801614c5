#include <redoubt/error.hpp>

#include <algorithm>
#include <array>

namespace redoubt {
namespace {

// JSON-RPC reserves -32768..-32000; the application's own codes are -(31000 + the HTTP status).
constexpr std::array<ErrcTraits, 11> kTraits{{
    {Errc::invalid_argument, "invalid_argument", 400, -32602, false, "Invalid request"},
    {Errc::unauthenticated, "unauthenticated", 401, -31401, false, "Authentication required"},
    {Errc::permission_denied, "permission_denied", 403, -31403, false, "Permission denied"},
    {Errc::not_found, "not_found", 404, -31404, false, "Not found"},
    {Errc::conflict, "conflict", 409, -31409, false, "Conflict"},
    {Errc::precondition_failed, "precondition_failed", 412, -31412, false, "Precondition failed"},
    {Errc::payload_too_large, "payload_too_large", 413, -31413, false, "Payload too large"},
    {Errc::rate_limited, "rate_limited", 429, -31429, true, "Too many requests"},
    {Errc::unavailable, "unavailable", 503, -31503, true, "Service unavailable"},
    // Not retryable as it is: a write may have happened. An idempotency key makes it so.
    {Errc::deadline_exceeded, "deadline_exceeded", 504, -31504, false, "Deadline exceeded"},
    {Errc::internal, "internal", 500, -32603, false, "Internal error"},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTraits.size(); ++i) {
    if (static_cast<std::size_t>(kTraits[i].code) != i) return false;
  }
  return static_cast<std::size_t>(Errc::internal) + 1 == kTraits.size();
}
static_assert(in_order(), "every Errc has its row, in the order of the enumeration");

// "body.limits.0.name" is "/limits/0/name"; what is not in the body has no pointer.
std::string pointer_of(std::string_view location) {
  constexpr std::string_view kBody = "body.";
  if (!location.starts_with(kBody)) return {};
  std::string pointer = "/";
  for (const char c : location.substr(kBody.size())) {
    switch (c) {
      case '.':
        pointer += '/';
        break;
      case '~':
        pointer += "~0";
        break;
      case '/':
        pointer += "~1";
        break;
      default:
        pointer += c;
    }
  }
  return pointer;
}

}  // namespace

const ErrcTraits& traits(Errc code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kTraits.size() ? kTraits[index] : kTraits.back();
}

std::string_view slug_of(const Error& error) {
  return error.slug.empty() ? traits(error.code).slug : std::string_view(error.slug);
}

Error invalid_argument(std::string location, std::string detail, std::string code) {
  std::string message = location.empty() ? detail : location + " " + detail;
  Error error(Errc::invalid_argument, {}, std::move(message));
  if (!location.empty()) {
    FieldError field;
    field.pointer = pointer_of(location);
    field.location = std::move(location);
    field.detail = std::move(detail);
    field.code = std::move(code);
    error.fields.push_back(std::move(field));
  }
  return error;
}

Error unauthenticated(std::string slug, std::string message) {
  return Error(Errc::unauthenticated, std::move(slug), std::move(message));
}

Error not_found(std::string what) {
  std::string words = what;
  std::replace(words.begin(), words.end(), '_', ' ');
  return Error(Errc::not_found, std::move(what) + "_not_found", "no such " + words);
}

Error unavailable(std::string slug, std::string message, std::string cause) {
  return Error(Errc::unavailable, std::move(slug), std::move(message), std::move(cause));
}

Error internal(std::string cause) {
  return Error(Errc::internal, {}, "an internal error; the log has its cause", std::move(cause));
}

}  // namespace redoubt
