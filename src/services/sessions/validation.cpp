#include "services/sessions/validation.hpp"

#include "base/bytes.hpp"
#include "base/json.hpp"

#include <algorithm>

namespace redoubt::sessions {
namespace {

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

bool is_word(char c) {  // Letters of other scripts begin with a byte from 0x80 up.
  const auto byte = static_cast<unsigned char>(c);
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || byte >= 0x80;
}

Result<void> check_text(std::string_view text, std::string_view location) {
  if (text.size() > kIdentityMax) {
    return fail(invalid_argument(std::string(location), "must be at most 256 bytes", "length"));
  }
  if (!is_utf8(text)) {
    return fail(invalid_argument(std::string(location), "must be valid UTF-8"));
  }
  if (std::ranges::any_of(text, is_control)) {
    return fail(invalid_argument(std::string(location), "must not contain control characters"));
  }
  return {};
}

Result<void> check_id(std::string_view id, std::string_view location) {
  RD_CHECK(check_text(id, location));
  if (std::ranges::none_of(id, is_word)) {
    return fail(invalid_argument(std::string(location), "must contain a letter or a digit"));
  }
  return {};
}

Error data_error(std::string detail, std::string code) {
  return invalid_argument("body.data", std::move(detail), std::move(code));
}

Result<json::value> parse_object(std::string_view text) {
  auto value = parse_json(text);
  if (!value) return fail(data_error(value.error().message, "format"));
  if (!value->is_object()) return fail(data_error("must be a JSON object", "type"));
  return value;
}

Result<std::string> compact(const json::value& value, std::size_t bytes_max) {
  std::string text = to_json(value);
  if (text.size() > bytes_max) {
    return fail(data_error("must be at most " + std::to_string(bytes_max) + " bytes", "length"));
  }
  return text;
}

}  // namespace

Result<void> check_user(std::string_view user, std::string_view location) {
  if (user.empty()) {
    return fail(invalid_argument(std::string(location), "must be 1 to 256 bytes", "length"));
  }
  return check_id(user, location);
}

Result<void> check_new_session(NewSession& request, std::size_t data_max) {
  RD_CHECK(check_user(request.user, "body.user"));
  if (!request.agent.empty()) {
    RD_CHECK(check_id(request.agent, "body.agent"));
  }
  RD_CHECK(check_text(request.device, "body.device"));
  RD_CHECK(check_text(request.address, "body.address"));
  if (request.idle_ttl) {
    RD_CHECK(check_lifetime(*request.idle_ttl, "body.idle_ttl"));
  }
  if (request.absolute_ttl) {
    RD_CHECK(check_lifetime(*request.absolute_ttl, "body.absolute_ttl"));
  }
  if (request.data == "{}") return {};
  RD_TRY(data, check_data(request.data, data_max));
  request.data = std::move(data);
  return {};
}

Result<void> check_lifetime(Duration lifetime, std::string_view location) {
  if (lifetime < kLifetimeMin || lifetime > kLifetimeMax) {
    return fail(invalid_argument(std::string(location), "must be between 1s and 365d", "range"));
  }
  return {};
}

Result<std::string> check_data(std::string_view text, std::size_t bytes_max) {
  RD_TRY(value, parse_object(text));
  return compact(value, bytes_max);
}

Result<std::string> merge_data(std::string_view data, std::string_view patch) {
  RD_TRY(changes, parse_object(patch));
  RD_TRY(merged, parse_object(data));
  merge_patch(merged, changes);
  return compact(merged, kDataMax);
}

Result<void> check_page(std::size_t limit) {
  if (limit < 1 || limit > kPageMax) {
    return fail(invalid_argument("query.limit", "must be between 1 and 1000", "range"));
  }
  return {};
}

}  // namespace redoubt::sessions
