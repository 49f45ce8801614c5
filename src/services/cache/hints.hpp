// Hinted handoff: the keys whose last put or erasure here the shared tier did not take, or may not
// have, until it does. Else what it has from before would come back, here and on other instances.
//
// A hint is a name and a version, no value: what is handed over is what memory has of the key then,
// or a tombstone where that is gone. A newer value elsewhere wins against either, as long as the
// shared tier knows of it: so a hint that is older than what is sure to be known there, or was
// refused again and again, is handed over as a tombstone alone (copies.cpp).
//
// Bounded: kHintsMax keys. Of those beyond, Redis keeps what it has until its TTL, and they are
// counted.
//
// Source: DeCandia et al., "Dynamo: Amazon's Highly Available Key-value Store", SOSP 2007, 4.6.
// Threads: any. Cost: nothing while there are none.
#pragma once

#include "base/metrics.hpp"
#include "base/siphash.hpp"

#include <redoubt/clock.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {

struct Hint {
  Hash128 id;  // Of tenant and key.
  std::string tenant;
  std::string key;
  std::int64_t version = 0;
  BootTime since{};  // When that version was put or erased.
  int refused = 0;   // How often it was offered and not taken.
};

class Hints {
 public:
  static constexpr std::size_t kHintsMax = 32'768;

  explicit Hints(Metrics& metrics);

  // Of several of one key the newest counts. False: there are too many, and it is not kept.
  bool add(Hint hint);
  // 0: there is none.
  std::int64_t version_of(const Hash128& id) const;
  // The next ones, all in turn.
  std::vector<Hint> next(std::size_t max);
  // It stays if it has become newer meanwhile.
  void handed_over(const Hint& hint);
  void refused(const Hint& hint);
  std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  using Order = std::pair<std::uint64_t, std::uint64_t>;
  static Order order_of(const Hash128& id) { return {id.hi, id.lo}; }

  mutable std::mutex mutex_;
  std::map<Order, Hint> hints_;
  Order last_{};
  std::atomic<std::size_t> size_{0};
  Counter& handed_over_;
  Counter& dropped_;
};

}  // namespace redoubt::cache
