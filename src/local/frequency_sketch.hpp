// How often was a key used lately: a count-min sketch (Cormode, Muthukrishnan 2005) of 4-bit
// counters with the aging of TinyLFU: after ten times as many uses as it has room for, all counters
// are halved.
//
// Layout: blocks of one cache line; a key owns one counter in each of the four quarters of one
// block. So counting a use touches one line, whatever the size of the sketch; keys that share a
// block collide a little more often than if their counters lay anywhere.
// Threads: one at a time.
#pragma once

#include <algorithm>
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
    if (keys <= room()) return;
    const std::size_t old_size = blocks_.size();
    blocks_.resize(std::bit_ceil(keys) / kKeysPerBlock);
    for (std::size_t i = old_size; i < blocks_.size(); ++i) blocks_[i] = blocks_[i % old_size];
  }

  // `hash` must be well mixed.
  void add(std::uint64_t hash) {
    Block& block = block_of(hash);
    bool changed = false;
    for (unsigned row = 0; row < kRows; ++row) {
      const Place place = place_of(hash, row);
      std::uint64_t& word = block.words[place.word];
      if ((word >> place.shift & kCountMax) == kCountMax) continue;
      word += std::uint64_t{1} << place.shift;
      changed = true;
    }
    if (changed && ++uses_ >= kUsesPerKey * room()) age();
  }

  unsigned estimate(std::uint64_t hash) const {
    const Block& block = block_of(hash);
    unsigned least = kCountMax;
    for (unsigned row = 0; row < kRows; ++row) {
      const Place place = place_of(hash, row);
      least = std::min(least, static_cast<unsigned>(block.words[place.word] >> place.shift) &
                                  unsigned{kCountMax});
    }
    return least;
  }

 private:
  static constexpr unsigned kRows = 4;
  static constexpr std::size_t kUsesPerKey = 10;
  static constexpr std::size_t kWords = 8;
  static constexpr std::size_t kKeysPerBlock = kWords;  // A word of sixteen counters for each.
  static constexpr std::size_t kBlocksMin = 8;

  struct alignas(64) Block {
    std::array<std::uint64_t, kWords> words{};
  };
  struct Place {
    std::size_t word;
    unsigned shift;
  };

  std::size_t room() const { return blocks_.size() * kKeysPerBlock; }

  // The low half of the hash finds the block, five bits of the high half the counter in a row.
  Block& block_of(std::uint64_t hash) { return blocks_[hash & (blocks_.size() - 1)]; }
  const Block& block_of(std::uint64_t hash) const { return blocks_[hash & (blocks_.size() - 1)]; }

  // Each row has two words of a block, 32 counters, to itself.
  static Place place_of(std::uint64_t hash, unsigned row) {
    const auto at = static_cast<unsigned>(hash >> (40 + row * 6)) % 32;
    return {row * 2 + at / 16, at % 16 * 4};
  }

  void age() {
    for (Block& block : blocks_) {
      for (std::uint64_t& word : block.words) word = word >> 1 & 0x7777777777777777u;
    }
    uses_ /= 2;
  }

  std::vector<Block> blocks_ = std::vector<Block>(kBlocksMin);
  std::size_t uses_ = 0;
};

}  // namespace redoubt::local
