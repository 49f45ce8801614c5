// A property of a fuzz target. Traps, so that the fuzzer keeps the input that broke it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::fuzz {

inline void check(bool property) {
  if (!property) __builtin_trap();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace redoubt::fuzz
