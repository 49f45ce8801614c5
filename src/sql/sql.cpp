#include "sql/sql.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

namespace redoubt::sql {
namespace {

// The value as T, or nullptr for NULL. A column of another type is a statement that does not match
// its reader.
template <class T>
const T* typed(const std::vector<Value>& values, std::size_t column) {
  RD_ASSERT(column < values.size(), fmt::format("column {} of {}", column, values.size()));
  if (std::holds_alternative<std::monostate>(values[column])) return nullptr;
  const T* value = std::get_if<T>(&values[column]);
  RD_ASSERT(value != nullptr, fmt::format("column {} holds another type (alternative {})", column,
                                          values[column].index()));
  return value;
}

}  // namespace

std::int64_t Row::integer(std::size_t column) const {
  const auto* value = typed<std::int64_t>(values_, column);
  return value ? *value : 0;
}

const std::string& Row::text(std::size_t column) const {
  static const std::string empty;
  const auto* value = typed<std::string>(values_, column);
  return value ? *value : empty;
}

const Bytes& Row::bytes(std::size_t column) const {
  static const Bytes empty;
  const auto* value = typed<Bytes>(values_, column);
  return value ? *value : empty;
}

bool Row::is_null(std::size_t column) const {
  RD_ASSERT(column < values_.size(), fmt::format("column {} of {}", column, values_.size()));
  return std::holds_alternative<std::monostate>(values_[column]);
}

}  // namespace redoubt::sql
