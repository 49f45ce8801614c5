// What is inside the seal of a session's copy: whatever is read is written the same again.
#include "services/sessions/copy_format.hpp"

#include "fuzz/check.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const redoubt::ByteView bytes(data, size);
  const auto copy = redoubt::sessions::unpack_copy(bytes);
  if (copy) {
    redoubt::fuzz::check(std::ranges::equal(redoubt::sessions::pack_copy(*copy), bytes));
  }
  return 0;
}
