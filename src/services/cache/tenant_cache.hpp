// What the cache knows of one tenant: its generations, its entries in the order of their keys (for
// lists, the quota and sweeping), and its counts. Made at the tenant's first call, kept until stop.
//
// Threads: any. Locks: the store's shard before the index, never the other way.
#pragma once

#include "base/metrics.hpp"
#include "services/cache/entry.hpp"
#include "services/cache/generations.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

class TenantCache {
 public:
  explicit TenantCache(std::string name, const shared::Eras* eras = nullptr)
      : generations(eras), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // The entry is, or is no more, in the store.
  void added(const EntryPtr& entry);
  void removed(const EntryPtr& entry);

  // An entry to give up for the quota, other than `spared`: the first the clock hand meets that was
  // not used since it last came by (Corbato's CLOCK). Null when there is no other.
  EntryPtr victim(const Entry* spared);

  // At most `limit` entries with keys after `after` that begin with `prefix`, in byte order.
  std::vector<EntryPtr> entries_after(std::string_view after, std::string_view prefix,
                                      std::size_t limit) const;

  std::size_t entries() const;
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  Generations generations;
  Counter hits;
  Counter misses;
  Counter stale;
  Counter negative;
  std::atomic<std::uint64_t> evictions{0};
  std::atomic<std::size_t> fills{0};  // Leases held.

 private:
  using Index = std::map<std::string_view, EntryPtr>;  // Keys are those of the entries.

  const std::string name_;
  std::atomic<std::size_t> bytes_{0};
  mutable std::mutex mutex_;
  Index index_;
  std::string hand_;  // The key the clock hand passed last.
};

class TenantCaches {
 public:
  explicit TenantCaches(const shared::Eras* eras = nullptr) : eras_(eras) {}

  TenantCache& of(std::string_view tenant);
  TenantCache* find(std::string_view tenant);
  std::vector<TenantCache*> all();

 private:
  const shared::Eras* const eras_;
  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<TenantCache>, std::less<>> tenants_;
};

}  // namespace redoubt::cache
