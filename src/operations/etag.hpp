// Conditional requests (RFC 9110, 13.1.2).
#pragma once

#include "base/text.hpp"

#include <string_view>

namespace redoubt::operations {

// Whether an If-None-Match names `etag` (without quotes): weak comparison, a list, or *.
inline bool matches_etag(std::string_view header, std::string_view etag) {
  for (std::string_view candidate : split(header, ',')) {
    candidate = trim(candidate);
    if (candidate == "*") return true;
    if (candidate.starts_with("W/")) candidate.remove_prefix(2);
    const bool quoted =
        candidate.size() >= 2 && candidate.front() == '"' && candidate.back() == '"';
    if (quoted && candidate.substr(1, candidate.size() - 2) == etag) return true;
  }
  return false;
}

}  // namespace redoubt::operations
