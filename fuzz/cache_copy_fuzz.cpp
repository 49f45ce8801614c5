// The copy of a cache entry: whatever is read is written the same again.
#include "services/cache/copy_format.hpp"

#include "fuzz/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const redoubt::ByteView bytes(data, size);
  const auto copy = redoubt::cache::unpack_copy(bytes);
  if (copy) redoubt::fuzz::check(std::ranges::equal(redoubt::cache::pack_copy(*copy), bytes));
  return 0;
}
