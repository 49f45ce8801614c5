#include "services/cache/store.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::size_t kShardsMax = 64;
constexpr std::size_t kShardEntriesMin = 256;
constexpr std::size_t kShardValuesMin = 8;

std::size_t shard_count(const CacheOptions& options) {
  const std::size_t value_max = std::max<std::size_t>(1, options.value_bytes_max);
  const std::size_t wanted = std::min({kShardsMax, options.entries_max / kShardEntriesMin,
                                       options.bytes_max / kShardValuesMin / value_max});
  return std::bit_floor(std::max<std::size_t>(1, wanted));
}

constexpr std::string_view kEvictionsHelp = "Cache entries given up, by what the room was for.";

}  // namespace

Store::Store(const CacheOptions& options, Random& random, Metrics& metrics)
    : secret_{random.next_u64(), random.next_u64()},
      tenant_bytes_max_(options.tenant_bytes_max == 0
                            ? options.bytes_max
                            : std::min(options.tenant_bytes_max, options.bytes_max)),
      evicted_for_room_(
          metrics.counter("redoubt_cache_evictions_total", kEvictionsHelp, {{"reason", "room"}})),
      evicted_for_quota_(
          metrics.counter("redoubt_cache_evictions_total", kEvictionsHelp, {{"reason", "quota"}})) {
  const std::size_t count = shard_count(options);
  shard_weight_max_ = options.bytes_max / count;
  const Lfu::Options bounds{.weight_max = shard_weight_max_,
                            .entries_max = std::max<std::size_t>(1, options.entries_max / count)};
  for (std::size_t i = 0; i < count; ++i) {
    shards_.push_back(
        std::make_unique<Shard>(bounds, [this](const Hash128&, EntryPtr& entry,
                                               local::Removal reason) { removed(entry, reason); }));
  }
}

Hash128 Store::id_of(std::string_view tenant, std::string_view key) const {
  // Keys hold no NUL, so the last one ends the tenant's name.
  char buffer[256 + 1 + kCacheKeyMax];
  if (tenant.size() > 256 || key.size() > kCacheKeyMax) return {};
  char* end = std::copy(tenant.begin(), tenant.end(), buffer);
  *end++ = '\0';
  end = std::copy(key.begin(), key.end(), end);
  return siphash128(secret_, {buffer, static_cast<std::size_t>(end - buffer)});
}

EntryPtr Store::find(const Hash128& id, std::string_view tenant, std::string_view key) {
  EntryPtr entry;
  {
    Shard& shard = shard_of(id);
    const std::lock_guard lock(shard.mutex);
    if (const EntryPtr* found = shard.lfu.find(id)) entry = *found;
  }
  if (!entry || entry->key != key || entry->tenant->name() != tenant) return nullptr;
  if (!entry->used.load(std::memory_order_relaxed)) {
    entry->used.store(true, std::memory_order_relaxed);
  }
  return entry;
}

EntryPtr Store::peek(const Hash128& id, std::string_view tenant, std::string_view key) const {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const EntryPtr* found = shard.lfu.peek(id);
  if (found == nullptr || (*found)->key != key || (*found)->tenant->name() != tenant)
    return nullptr;
  return *found;
}

bool Store::put(const EntryPtr& entry) {
  bool kept = false;
  {
    Shard& shard = shard_of(entry->id);
    const std::lock_guard lock(shard.mutex);
    kept = insert(shard, entry);
  }
  keep_quota(*entry);
  return kept;
}

Store::Put Store::put_if(const EntryPtr& entry, const std::function<bool()>& allowed) {
  bool kept = false;
  {
    Shard& shard = shard_of(entry->id);
    const std::lock_guard lock(shard.mutex);
    if (!allowed()) return Put::refused;
    kept = insert(shard, entry);
  }
  keep_quota(*entry);
  return kept ? Put::kept : Put::not_admitted;
}

void Store::keep_quota(const Entry& entry) {
  while (entry.tenant->bytes() > tenant_bytes_max_) {
    const EntryPtr victim = entry.tenant->victim(&entry);
    if (!victim) break;
    if (!erase(*victim)) continue;
    entry.tenant->evictions.fetch_add(1, std::memory_order_relaxed);
    evicted_for_quota_.add();
  }
}

// REQUIRES: shard.mutex is held.
bool Store::insert(Shard& shard, const EntryPtr& entry) {
  RD_ASSERT(entry->weight <= shard_weight_max_, "the service refuses what can never be kept");
  entries_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(entry->weight, std::memory_order_relaxed);
  entry->tenant->added(entry);  // First: an entry that is not admitted leaves through removed().
  return shard.lfu.insert(entry->id, entry, entry->weight);
}

bool Store::erase(const Entry& entry) {
  Shard& shard = shard_of(entry.id);
  const std::lock_guard lock(shard.mutex);
  const EntryPtr* found = shard.lfu.peek(entry.id);
  if (found == nullptr || found->get() != &entry) return false;
  return shard.lfu.erase(entry.id);
}

void Store::removed(const EntryPtr& entry, local::Removal reason) {
  entries_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(entry->weight, std::memory_order_relaxed);
  entry->tenant->removed(entry);
  if (reason != local::Removal::evicted) return;
  entry->tenant->evictions.fetch_add(1, std::memory_order_relaxed);
  evicted_for_room_.add();
}

}  // namespace redoubt::cache
