// What parse_json accepts is written again as text that means the same and is stable; what any
// string becomes is readable.
#include "base/bytes.hpp"
#include "base/json.hpp"
#include "fuzz/check.hpp"

#include <boost/json/string.hpp>

namespace redoubt {
namespace {

using fuzz::check;

void check_round_trip(std::string_view text) {
  const Result<json::value> value = parse_json(text);
  if (!value) {
    check(value.error().code == Errc::invalid_argument && !value.error().message.empty());
    return;
  }
  check(is_utf8(text));
  const std::string written = to_json(*value);
  check(is_utf8(written));
  const Result<json::value> again = parse_json(written);
  // Only the text's own length may forbid it: 1e9 is written as 1000000000.0.
  if (!again) {
    check(written.size() > kJsonBytesMax);
    return;
  }
  check(*again == *value);
  check(to_json(*again) == written);
}

void check_string(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  const Result<json::value> read = parse_json(quoted);
  if (!read) {
    check(quoted.size() > kJsonBytesMax);
    return;
  }
  if (is_utf8(text)) check(std::string_view(read->get_string()) == text);
}

// RFC 7396: a patch applied twice is a patch applied once.
void check_patch(std::string_view text) {
  const std::size_t middle = text.find('\0');
  if (middle == std::string_view::npos) return;
  const Result<json::value> target = parse_json(text.substr(0, middle));
  const Result<json::value> patch = parse_json(text.substr(middle + 1));
  if (!target || !patch) return;
  json::value once = *target;
  merge_patch(once, *patch);
  json::value twice = once;
  merge_patch(twice, *patch);
  check(once == twice);
}

}  // namespace
}  // namespace redoubt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = redoubt::fuzz::text_of(data, size);
  redoubt::check_round_trip(text);
  redoubt::check_string(text);
  redoubt::check_patch(text);
  return 0;
}
