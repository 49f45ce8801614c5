#include "base/siphash.hpp"

#include <bit>
#include <cstring>

namespace redoubt {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they lie");

struct State {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int n) {
    for (int i = 0; i < n; ++i) {
      v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
      v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
      v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
    }
  }

  void compress(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }

  std::uint64_t finish() {
    rounds(4);
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

Hash128 siphash128(const SipKey& key, std::string_view text) {
  // 0xee and 0xdd are what tells the 128-bit variant from the 64-bit one.
  State state{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d ^ 0xee,
              key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};
  const std::uint64_t length_byte = static_cast<std::uint64_t>(text.size()) << 56;
  while (text.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), 8);
    state.compress(word);
    text.remove_prefix(8);
  }
  std::uint64_t last = 0;
  if (!text.empty()) std::memcpy(&last, text.data(), text.size());
  state.compress(last | length_byte);
  state.v2 ^= 0xee;
  Hash128 hash;
  hash.lo = state.finish();
  state.v1 ^= 0xdd;
  hash.hi = state.finish();
  return hash;
}

}  // namespace redoubt
