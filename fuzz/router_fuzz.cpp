// Any path into the router: no crash, and what is found has the parameters its operation asks for,
// none of them empty or a dot segment.
#include "base/assert.hpp"
#include "operations/router.hpp"
#include "tests/support/example_operations.hpp"

#include <cstddef>
#include <cstdint>

namespace {

using namespace redoubt;
using namespace redoubt::operations;

const Router& router() {
  static const Registry* const registry = [] {
    auto* out = new Registry;
    test::register_widgets(*out);
    return out;
  }();
  static const Router router(*registry);
  return router;
}

void check(const RouteMatch& match) {
  using enum RouteMatch::Status;
  RD_ASSERT((match.status == found) == (match.operation != nullptr), "found nothing");
  RD_ASSERT(match.status != method_not_allowed || !match.allow.empty(), "no method at all");
  for (const PathParam& param : match.params()) {
    RD_ASSERT(!param.value.empty() && param.value != "." && param.value != "..", param.value);
    RD_ASSERT(match.operation->info.path.find(param.name) != std::string_view::npos, param.name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto method = static_cast<Method>(data[0] % 7);
  const std::string_view path(reinterpret_cast<const char*>(data) + 1, size - 1);
  check(router().match(method, path));
  return 0;
}
