// Which of a Redis Cluster's 16,384 slots a key is in (Redis Cluster specification, "Key
// distribution model"): CRC-16/XMODEM of the key, or of what stands between its first '{' and the
// next '}' when that is not empty.
#pragma once

#include <cstdint>
#include <string_view>

namespace redoubt::wire {

inline constexpr std::uint16_t kSlots = 16384;

std::uint16_t slot_of(std::string_view key);

}  // namespace redoubt::wire
