#include "services/cache/tenant_cache.hpp"

#include <utility>

namespace redoubt::cache {
namespace {
constexpr int kHandStepsMax = 64;  // Then the next one goes, used or not.
}

void TenantCache::added(const EntryPtr& entry) {
  bytes_.fetch_add(entry->weight, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  index_.erase(entry->key);  // The key views the entry it maps to.
  index_.emplace(entry->key, entry);
}

void TenantCache::removed(const EntryPtr& entry) {
  bytes_.fetch_sub(entry->weight, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  const auto it = index_.find(entry->key);
  if (it != index_.end() && it->second == entry) index_.erase(it);
}

EntryPtr TenantCache::victim(const Entry* spared) {
  const std::lock_guard lock(mutex_);
  auto it = index_.upper_bound(hand_);
  for (int step = 0; !index_.empty(); ++step, ++it) {
    if (it == index_.end()) it = index_.begin();
    const EntryPtr& entry = it->second;
    if (entry.get() == spared) {
      if (index_.size() == 1) return nullptr;
      continue;
    }
    if (entry->used.exchange(false, std::memory_order_relaxed) && step < kHandStepsMax) continue;
    hand_ = entry->key;
    return entry;
  }
  return nullptr;
}

std::vector<EntryPtr> TenantCache::entries_after(std::string_view after, std::string_view prefix,
                                                 std::size_t limit) const {
  std::vector<EntryPtr> found;
  const std::lock_guard lock(mutex_);
  auto it = after < prefix ? index_.lower_bound(prefix) : index_.upper_bound(after);
  for (; it != index_.end() && found.size() < limit; ++it) {
    if (!it->first.starts_with(prefix)) break;
    found.push_back(it->second);
  }
  return found;
}

std::size_t TenantCache::entries() const {
  const std::lock_guard lock(mutex_);
  return index_.size();
}

TenantCache& TenantCaches::of(std::string_view tenant) {
  if (TenantCache* known = find(tenant)) return *known;
  const std::unique_lock lock(mutex_);
  auto& slot = tenants_[std::string(tenant)];
  if (!slot) slot = std::make_unique<TenantCache>(std::string(tenant), eras_);
  return *slot;
}

TenantCache* TenantCaches::find(std::string_view tenant) {
  const std::shared_lock lock(mutex_);
  const auto it = tenants_.find(tenant);
  return it == tenants_.end() ? nullptr : it->second.get();
}

std::vector<TenantCache*> TenantCaches::all() {
  const std::shared_lock lock(mutex_);
  std::vector<TenantCache*> all;
  for (const auto& [name, tenant] : tenants_) all.push_back(tenant.get());
  return all;
}

}  // namespace redoubt::cache
