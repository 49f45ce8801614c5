// Randomness, injected: the operating system's CSPRNG in production, a seeded generator in tests.
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace redoubt {

class Random {
 public:
  virtual ~Random() = default;

  // Cryptographically secure in production. Never fails: a system without entropy aborts.
  virtual void fill(std::span<std::uint8_t> out) = 0;

  std::uint64_t next_u64() {
    std::uint8_t bytes[8];
    fill(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
  }

  // Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t limit = bound * (UINT64_MAX / bound);
    std::uint64_t value = next_u64();
    while (value >= limit) value = next_u64();
    return value % bound;
  }
};

}  // namespace redoubt
