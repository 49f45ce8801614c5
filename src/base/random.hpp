// The two sources of randomness behind the Random interface.
#pragma once

#include <redoubt/random.hpp>

namespace redoubt {

// The kernel's CSPRNG through OpenSSL's per-thread generator. Threads: any.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// splitmix64 from a seed: repeatable, for tests and the simulator only. Threads: one.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t state_;
};

// Fast, not secure: request ids, jitter, sampling. One per thread.
class FastRandom {
 public:
  explicit FastRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();  // splitmix64

 private:
  std::uint64_t state_;
};

}  // namespace redoubt
