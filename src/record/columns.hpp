// Columns that hold a fixed number of bytes.
#pragma once

#include "base/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace redoubt::record {

template <std::size_t N>
std::array<std::uint8_t, N> fixed_bytes(ByteView bytes) {
  std::array<std::uint8_t, N> out{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), N), out.begin());
  return out;
}

}  // namespace redoubt::record
