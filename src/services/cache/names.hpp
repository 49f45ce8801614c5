// What an invalidation is called, and which names an entry answers to.
//
//   name := ""            everything of the tenant
//         | "t" tag
//         | "p" prefix    1..4 segments of a key, each with its ':'
//         | "k" key
//         | "g" glob      anything else; these have to be matched
//
// Names are what rd_cache_generation keeps and the journal carries.
#pragma once

#include <redoubt/cache.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

inline constexpr char kTagName = 't';
inline constexpr char kPrefixName = 'p';
inline constexpr char kKeyName = 'k';
inline constexpr char kGlobName = 'g';
inline constexpr std::size_t kPrefixDepthMax = 4;

std::string tag_name(std::string_view tag);
std::string key_name(std::string_view key);
std::string prefix_name(
    std::string_view prefix);  // A glob's name when it is not of whole segments.
std::string pattern_name(std::string_view pattern);

// Calls visit(name) for each name but "" and globs that `key` and `tags` answer to, until one
// returns true; returns whether one did. No allocation: the name is good during the call only.
template <class Tags, class F>
bool any_name_of(std::string_view key, const Tags& tags, F&& visit) {
  char buffer[1 + kCacheKeyMax];
  const auto named = [&](char kind, std::string_view text) {
    buffer[0] = kind;
    text.copy(buffer + 1, kCacheKeyMax);
    return visit(std::string_view(buffer, 1 + text.size()));
  };
  if (named(kKeyName, key)) return true;
  std::size_t end = 0;
  for (std::size_t depth = 0; depth < kPrefixDepthMax; ++depth) {
    end = key.find(':', end);
    if (end == std::string_view::npos) break;
    if (named(kPrefixName, key.substr(0, ++end))) return true;
  }
  for (const auto& tag : tags) {
    if (named(kTagName, tag)) return true;
  }
  return false;
}

}  // namespace redoubt::cache
