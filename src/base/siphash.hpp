// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein 2012; reference implementation of 2014):
// a keyed hash for maps whose keys attackers choose, and for recognising a credential this process
// has already verified without keeping it.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace redoubt {

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

struct Hash128 {
  std::uint64_t lo = 0;
  std::uint64_t hi = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 siphash128(const SipKey& key, std::string_view text);

struct Hash128Hasher {
  std::size_t operator()(const Hash128& h) const { return h.lo; }
};

}  // namespace redoubt
