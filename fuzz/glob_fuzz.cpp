// glob_match agrees with a second, slower matcher: dynamic programming over pattern and text.
#include "base/text.hpp"
#include "fuzz/check.hpp"

#include <string>
#include <vector>

namespace redoubt {
namespace {

bool matches_by_table(std::string_view pattern, std::string_view text) {
  std::vector<bool> reach(text.size() + 1, false);  // Does the pattern so far match text[0, i)?
  reach[0] = true;
  for (std::size_t p = 0; p < pattern.size(); ++p) {
    std::vector<bool> next(text.size() + 1, false);
    if (pattern[p] == '*') {
      bool any = false;
      for (std::size_t i = 0; i <= text.size(); ++i) next[i] = any = any || reach[i];
    } else {
      const bool wild = pattern[p] == '?';
      if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
      for (std::size_t i = 0; i < text.size(); ++i) {
        next[i + 1] = reach[i] && (wild || pattern[p] == text[i]);
      }
    }
    reach = std::move(next);
  }
  return reach[text.size()];
}

}  // namespace
}  // namespace redoubt

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = redoubt::fuzz::text_of(data, size);
  const std::size_t middle = input.find('\n');
  if (middle == std::string_view::npos || size > 4096) return 0;
  const std::string_view pattern = input.substr(0, middle);
  const std::string_view text = input.substr(middle + 1);
  redoubt::fuzz::check(redoubt::glob_match(pattern, text) ==
                       redoubt::matches_by_table(pattern, text));

  std::string literal;  // A text with everything escaped matches itself alone.
  for (const char c : text) literal += {'\\', c};
  redoubt::fuzz::check(redoubt::glob_match(literal, text));
  redoubt::fuzz::check(!redoubt::glob_match(literal, std::string(text) + "x"));
  return 0;
}
