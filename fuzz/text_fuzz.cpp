// The small parsers: whatever they accept, they write back as the same value, and the strict ones
// as the same text.
#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "base/text.hpp"
#include "fuzz/check.hpp"

#include <string>

namespace redoubt {
namespace {

using fuzz::check;

void check_values(std::string_view text) {
  if (const auto duration = parse_duration(text)) {
    check(duration->count() >= 0);
    check(parse_duration(format_duration(*duration)) == duration);
  }
  if (const auto size = parse_size(text)) check(parse_size(std::to_string(*size)) == size);
  if (const auto number = parse_int(text)) check(parse_int(std::to_string(*number)) == number);
  WallTime time;
  if (parse_rfc3339(text, time)) {
    WallTime again;
    check(parse_rfc3339(format_rfc3339(time), again));
  }
  check(!parse_bool(text) || text.size() <= 5);
}

void check_base62(std::string_view text) {
  Id128 id{};
  if (!parse_id("ses_", text, id)) return;
  check(format_id("ses_", id) == text);
}

void check_encodings(std::string_view text) {
  if (const auto bytes = from_base64(text)) check(to_base64(*bytes) == text);
  if (const auto bytes = from_base64url(text)) check(to_base64url(*bytes) == text);
  if (const auto bytes = from_hex(text)) check(to_hex(*bytes) == to_lower(text));
  check(from_base64(to_base64(as_bytes(text))) == from_hex(to_hex(as_bytes(text))));
  check(percent_decode(percent_encode(text), false) == text);
  check(percent_decode(percent_encode(text), true) == text);
  if (const auto decoded = percent_decode(text, true)) check(decoded->size() <= text.size());
}

void check_slices(std::string_view text) {
  std::string joined;
  for (const std::string_view part : split(text, ',')) (joined += part) += ',';
  joined.pop_back();
  check(joined == text);
  check(trim(trim(text)) == trim(text));
  check(iequals(text, to_lower(text)));
  const std::string_view near = nearest(text, {"host", "port", "log_level"});
  check(near.empty() || text.size() <= 64);
}

}  // namespace
}  // namespace redoubt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = redoubt::fuzz::text_of(data, size);
  redoubt::check_values(text);
  redoubt::check_base62(text);
  redoubt::check_encodings(text);
  redoubt::check_slices(text);
  return 0;
}
