// How often was a key used lately: a count-min sketch (Cormode, Muthukrishnan 2005) of 4-bit
// counters with the aging of TinyLFU: after ten times as many uses as it has room for, all counters
// are halved.
//
// Layout: 64-bit words of 16 counters; a key owns one counter in each of four words.
// Threads: one at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace redoubt::local {

class FrequencySketch {
 public:
  static constexpr unsigned kCountMax = 15;

  // Room for `keys`. Growing keeps what is known: every counter is copied to each place its keys
  // may now look.
  void reserve(std::size_t keys) {
    if (keys <= words_.size()) return;
    const std::size_t old_size = words_.size();
    words_.resize(std::bit_ceil(keys));
    for (std::size_t i = old_size; i < words_.size(); ++i) words_[i] = words_[i % old_size];
  }

  // `hash` must be well mixed.
  void add(std::uint64_t hash) {
    bool changed = false;
    for (unsigned row = 0; row < kRows; ++row) {
      const Place place = place_of(hash, row);
      std::uint64_t& word = words_[place.word];
      if ((word >> place.shift & kCountMax) == kCountMax) continue;
      word += std::uint64_t{1} << place.shift;
      changed = true;
    }
    if (changed && ++uses_ >= kUsesPerKey * words_.size()) age();
  }

  unsigned estimate(std::uint64_t hash) const {
    unsigned least = kCountMax;
    for (unsigned row = 0; row < kRows; ++row) {
      const Place place = place_of(hash, row);
      const auto count = static_cast<unsigned>(words_[place.word] >> place.shift & kCountMax);
      if (count < least) least = count;
    }
    return least;
  }

 private:
  static constexpr unsigned kRows = 4;
  static constexpr std::size_t kUsesPerKey = 10;
  static constexpr std::size_t kWordsMin = 64;

  struct Place {
    std::size_t word;
    unsigned shift;
  };

  // Each row has four of the sixteen counters of a word to itself.
  Place place_of(std::uint64_t hash, unsigned row) const {
    static constexpr std::array<std::uint64_t, kRows> kSeeds{
        0xc3a5c85c97cb3127u, 0xb492b66fbe98f273u, 0x9ae16a3b2f90404fu, 0xcbf29ce484222325u};
    std::uint64_t x = (hash + kSeeds[row]) * kSeeds[row];
    x ^= x >> 32;
    const auto counter = static_cast<unsigned>(x >> 60) % 4 + row * 4;
    return {static_cast<std::size_t>(x) & (words_.size() - 1), counter * 4};
  }

  void age() {
    for (std::uint64_t& word : words_) word = word >> 1 & 0x7777777777777777u;
    uses_ /= 2;
  }

  std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(kWordsMin);
  std::size_t uses_ = 0;
};

}  // namespace redoubt::local
