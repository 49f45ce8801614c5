// An entry as the store keeps it. Immutable but for its marks; shared with whoever is reading it.
//
//   stored_at        fresh_until           stale_until, error_until
//       |---- fresh -----|-- stale_for -----|
//                        |-- stale_if_error ----|   (either may be the longer)
#pragma once

#include "base/siphash.hpp"
#include "services/cache/generations.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/clock.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace redoubt::cache {

class TenantCache;

struct Entry : CacheEntry {
  Hash128 id;  // Of tenant and key.
  TenantCache* tenant = nullptr;
  Generations::Stamp filled = 0;
  std::int64_t seen = 0;  // Of its Generations::Moment, for its copy.
  std::int64_t era = 0;
  std::int64_t version = 0;  // Orders the puts of a key.
  BootTime stored_at;
  BootTime fresh_until;
  BootTime stale_until;
  BootTime error_until;
  std::size_t weight = 0;
  mutable std::atomic<Generations::Stamp> checked{0};
  // The time of watching in which the shared tier was asked about it, and had nothing newer: until
  // it tells of a change.
  mutable std::atomic<std::uint64_t> confirmed{0};
  static constexpr std::uint64_t kChanged = UINT64_MAX;  // It told.
  mutable std::atomic<bool> used{false};                 // Since the tenant's clock hand came by.

  bool is_over(BootTime now) const { return now >= std::max(stale_until, error_until); }
};

// Of a time that is left or past; never below 0.
inline Duration whole_ms(std::chrono::nanoseconds d) {
  return std::max(Duration(0), std::chrono::duration_cast<Duration>(d));
}

using EntryPtr = std::shared_ptr<const Entry>;

// What an entry costs beside its bytes, as measured: itself, its node, its place in two indexes and
// the sketch, and what the allocator adds.
inline constexpr std::size_t kEntryOverhead = 500;

inline constexpr std::size_t kEtagSize = 32;

inline std::size_t weight_of(const CachePut& request) {
  std::size_t weight = kEntryOverhead + kEtagSize + request.key.size() + request.value.size() +
                       request.content_type.size();
  for (const std::string& tag : request.tags) weight += sizeof(std::string) + tag.size();
  return weight;
}

}  // namespace redoubt::cache
