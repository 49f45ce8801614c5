// What another process says of invalidations: whatever is read is read the same when written again.
#include "services/cache/told_message.hpp"

#include "fuzz/check.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace redoubt::cache;
  constexpr std::size_t kMax = 16'384;
  const auto told = read_told({reinterpret_cast<const char*>(data), size}, kMax);
  if (!told) return 0;
  const std::string written = write_told(*told, kMax);
  redoubt::fuzz::check(written.size() <= kMax);
  const auto again = read_told(written, kMax);
  redoubt::fuzz::check(again && again->tenant == told->tenant && again->again == told->again);
  const bool widened = again->names.size() == 1 && again->names.front().empty();
  redoubt::fuzz::check(widened || again->names == told->names);
  return 0;
}
