// What is wrong with one value, before it is known where the value came from.
#pragma once

#include "operations/describe.hpp"

#include <limits>

namespace redoubt::operations {

inline constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

// What is wrong with a value; an empty code: nothing.
struct Complaint {
  std::string detail;
  std::string_view code;
};

template <class T>
bool in_bounds(const FieldInfo& info, T value) {
  if (!info.has_bounds) return true;
  return value >= static_cast<T>(info.min) && value <= static_cast<T>(info.max);
}

// Of a string's bytes, a list's or a map's items: `unit` names them.
Complaint check_count(const FieldInfo& info, std::size_t count, std::string_view unit);

}  // namespace redoubt::operations
