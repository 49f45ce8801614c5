// Redis keys: whatever is read as one of ours is written the same again, and parts that are written
// are read back.
#include "shared/keys.hpp"

#include "fuzz/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

using redoubt::shared::KeySpace;
using redoubt::shared::Noun;

namespace {

void read_and_write(std::string_view text) {
  const auto parsed = redoubt::shared::parse_key(text);
  if (!parsed) return;
  const std::vector<std::string_view> segments(parsed->segments.begin(), parsed->segments.end());
  redoubt::fuzz::check(KeySpace(parsed->generation).key(parsed->tenant, parsed->noun, segments) ==
                       text);
}

// The input cut into a tenant and segments at its zero bytes.
void write_and_read(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = std::min(text.find('\0'), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
  }
  if (parts.front().empty()) return;
  const std::string_view tenant = parts.front();
  parts.erase(parts.begin());
  const auto parsed = redoubt::shared::parse_key(KeySpace(1).key(tenant, Noun::cache, parts));
  redoubt::fuzz::check(parsed && parsed->tenant == tenant && parsed->noun == Noun::cache);
  redoubt::fuzz::check(std::ranges::equal(parsed->segments, parts));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = redoubt::fuzz::text_of(data, size);
  read_and_write(text);
  write_and_read(text);
  return 0;
}
