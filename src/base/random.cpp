#include "base/random.hpp"

#include "base/assert.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

namespace redoubt {
namespace {

// splitmix64 (Steele, Lea, Flood 2014; constants of Vigna's reference implementation).
std::uint64_t splitmix64(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

void SystemRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::size_t n = std::min<std::size_t>(out.size(), INT_MAX);
    RD_ASSERT(RAND_bytes(out.data(), static_cast<int>(n)) == 1,
              "the system's random generator failed; continuing would make guessable secrets");
    out = out.subspan(n);
  }
}

// Big-endian, so that next_u64() is the generator's own sequence.
void SeededRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const std::uint64_t word = splitmix64(state_);
    const std::size_t n = std::min<std::size_t>(out.size(), sizeof word);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(word >> (56 - 8 * i));
    out = out.subspan(n);
  }
}

std::uint64_t FastRandom::next() {
  return splitmix64(state_);
}

}  // namespace redoubt
