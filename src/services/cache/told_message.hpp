// What one process tells the others of invalidations that the record does not have yet: JSON, of
// one tenant. Whoever has Redis may have written it, so what is read is bounded and checked.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

struct ToldInvalidations {
  std::string tenant;
  std::vector<std::string> names;  // As in names.hpp.
  bool again = false;              // They were told before, and are still not recorded.
};

// Names that do not fit into `bytes_max` become "", everything of the tenant.
std::string write_told(const ToldInvalidations& told, std::size_t bytes_max);

// Empty for what is none.
std::optional<ToldInvalidations> read_told(std::string_view text, std::size_t bytes_max);

}  // namespace redoubt::cache
