// Which local copies are still good: a fixed table of counters, indexed by a hash of what a copy
// depends on. A change bumps its counter; a copy remembers the counters it was filled under and is
// good while they are unchanged. Two names may share a counter: then a copy is refilled needlessly,
// never used wrongly. The hash is keyed anew in each process: which names share a counter cannot be
// known, so nobody can choose a name to keep another's copies stale.
//
// The order that makes it right: read the counters (stamp), then read the record, then keep the copy.
// When only the record says what the copy depends on: read generation(), the record, the counters,
// and generation() again; while that is the same, no counter moved in between.
//
// Threads: any; a check is one relaxed-size atomic load, without locks.
#pragma once

#include "base/siphash.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::local {

class Invalidations {
 public:
  using Stamp = std::uint32_t;

  Invalidations();  // Draws its key.
  explicit Invalidations(const SipKey& key) : key_(key) {}

  Stamp stamp(std::string_view name) const {
    return counters_[slot(name)].load(std::memory_order_acquire);
  }
  void bump(std::string_view name) {
    // Before the counter: whoever sees the counter moved sees this moved.
    generation_.fetch_add(1, std::memory_order_acq_rel);
    counters_[slot(name)].fetch_add(1, std::memory_order_acq_rel);
  }
  // As if every name had changed.
  void bump_all() {
    generation_.fetch_add(1, std::memory_order_acq_rel);
    for (auto& counter : counters_) counter.fetch_add(1, std::memory_order_acq_rel);
  }
  // For checks on the hot path: hash once, load each time.
  std::uint32_t slot(std::string_view name) const;
  Stamp stamp_of(std::uint32_t slot_index) const {
    return counters_[slot_index].load(std::memory_order_acquire);
  }

  // How many bumps have begun.
  std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

 private:
  static constexpr std::size_t kSlots = 1 << 16;  // 256 KiB.
  SipKey key_;
  std::array<std::atomic<Stamp>, kSlots> counters_{};
  alignas(64) std::atomic<std::uint64_t> generation_{0};
};

}  // namespace redoubt::local
