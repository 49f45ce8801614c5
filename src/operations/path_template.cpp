#include "operations/path_template.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace redoubt::operations {

std::vector<std::string_view> template_segments(std::string_view path) {
  RD_ASSERT(path.starts_with('/'), path);
  return split(path.substr(1), '/');
}

std::string_view parameter_name(std::string_view segment) {
  if (!segment.starts_with('{')) return {};
  RD_ASSERT(segment.size() > 2 && segment.ends_with('}'), segment);
  return segment.substr(1, segment.size() - 2);
}

bool same_shape(std::string_view a, std::string_view b) {
  return std::ranges::equal(template_segments(a), template_segments(b),
                            [](std::string_view x, std::string_view y) {
                              const bool both_parameters = x.starts_with('{') && y.starts_with('{');
                              return both_parameters || x == y;
                            });
}

}  // namespace redoubt::operations
