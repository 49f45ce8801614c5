// The entries of all tenants: up to 64 W-TinyLFU caches, each under a lock that is held for a
// look-up and the copy of a pointer. Fewer when the whole is small, so that a shard still holds
// many entries and eight of the largest values.
//
// Threads: any.
#pragma once

#include "base/metrics.hpp"
#include "local/tiny_lfu.hpp"
#include "services/cache/entry.hpp"
#include "services/cache/tenant_cache.hpp"

#include <redoubt/random.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace redoubt::cache {

class Store {
 public:
  Store(const CacheOptions& options, Random& random, Metrics& metrics);

  // Keyed by a secret of this process, so that nobody can choose keys that collide.
  Hash128 id_of(std::string_view tenant, std::string_view key) const;

  EntryPtr find(const Hash128& id, std::string_view tenant, std::string_view key);  // A use.
  EntryPtr peek(const Hash128& id, std::string_view tenant, std::string_view key) const;

  // Adds or replaces, then has the tenant give up entries of its own while it is over its quota.
  // False when the entry was not admitted.
  bool put(const EntryPtr& entry);

  enum class Put : std::uint8_t { kept, not_admitted, refused };
  // The same if `allowed` says so, which is asked when nobody else can add or remove under the id.
  Put put_if(const EntryPtr& entry, const std::function<bool()>& allowed);

  // Removes exactly this entry; false when it is not there any more.
  bool erase(const Entry& entry);

  // The heaviest entry that a tenant, or the cache, can hold.
  std::size_t tenant_weight_max() const { return tenant_bytes_max_; }
  std::size_t entry_weight_max() const { return shard_weight_max_; }

  std::size_t entries() const { return entries_.load(std::memory_order_relaxed); }
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  using Lfu = local::TinyLfu<Hash128, EntryPtr, Hash128Hasher>;
  struct alignas(kCacheLine) Shard {
    Shard(Lfu::Options options, Lfu::OnRemoval on_removal) : lfu(options, std::move(on_removal)) {}
    std::mutex mutex;
    Lfu lfu;
  };

  Shard& shard_of(const Hash128& id) const { return *shards_[id.hi & (shards_.size() - 1)]; }
  bool insert(Shard& shard, const EntryPtr& entry);
  void keep_quota(const Entry& entry);
  void removed(const EntryPtr& entry, local::Removal reason);

  const SipKey secret_;
  const std::size_t tenant_bytes_max_;
  std::size_t shard_weight_max_ = 0;
  std::atomic<std::size_t> entries_{0};
  std::atomic<std::size_t> bytes_{0};
  Counter& evicted_for_room_;
  Counter& evicted_for_quota_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace redoubt::cache
