// What the engine knows of copies in the shared tier: which of them memory takes, and which of its
// entries are theirs no more.
#include "services/cache/engine.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::int64_t kAheadMax = 60'000'000;  // Microseconds.

void raise(std::atomic<std::int64_t>& value, std::int64_t to) {
  std::int64_t last = value.load();
  while (last < to && !value.compare_exchange_weak(last, to)) continue;
}

}  // namespace

void CacheEngine::miss_copy(const Address& at, std::int64_t version) {
  Hint hint{.id = at.id,
            .tenant = std::string(at.tenant),
            .key = std::string(at.key),
            .version = version,
            .since = now()};
  if (!hints_.add(std::move(hint))) return give_up_copy(at, version);
  overtake(at, version);
}

void CacheEngine::give_up_copy(const Address& at, std::int64_t version) {
  raise(counts_of(at.id).given_up, version);
  overtake(at, version);
}

void CacheEngine::handed_over(const Address& at, const Hint& hint) {
  overtake(at, hint.version);
  hints_.handed_over(hint);
}

void CacheEngine::overtake(const Address& at, std::int64_t version) {
  counts_of(at.id).writes.fetch_add(1);
  outdate(at, version);
}

bool CacheEngine::is_missed(const Address& at, std::int64_t version) const {
  return version < hints_.version_of(at.id) || version < counts_of(at.id).given_up.load();
}

EntryPtr CacheEngine::newest(const Address& at, std::int64_t version) {
  const Found found = judge(store_.peek(at.id, at.tenant, at.key), now());
  return found.entry && found.entry->version >= version ? found.entry : nullptr;
}

// The record may be another one, and whoever has not heard of it yet goes on by the one before. No
// copy is good that was filled before this moment. Nothing was adopted before the first era.
void CacheEngine::distrust_copies() {
  if (eras_ != nullptr && eras_->current() > 0) distrusted_by_ = eras_->ticket() + 1;
}

bool CacheEngine::is_distrusted(std::int64_t era) {
  shared::Eras::Ticket poll = distrusted_by_.load();
  if (poll != 0) {
    const auto found = eras_->found_by(poll);
    if (!found) return true;
    raise(distrusted_era_, *found);
    distrusted_by_.compare_exchange_strong(poll, 0);
  }
  return era <= distrusted_era_.load();
}

CacheEngine::Watch CacheEngine::watch(const Address& at) const {
  const Counts& counts = counts_of(at.id);
  return {.writes = counts.writes.load(),
          .changes = counts.changes.load(),
          .watching = watching_.load()};
}

bool CacheEngine::is_unchanged(const Address& at, const Watch& before) const {
  const Watch now = watch(at);
  return now.writes == before.writes && now.changes == before.changes &&
         now.watching == before.watching;
}

void CacheEngine::outdate(const Address& at, std::int64_t version) {
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  if (entry && entry->version < version) store_.erase(*entry);
}

void CacheEngine::outdate_changed(const Address& at) {
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  if (entry && is_changed(*entry)) store_.erase(*entry);
}

void CacheEngine::confirm(const Address& at, const Watch& before) {
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  if (!entry || !is_unchanged(at, before)) return;
  entry->confirmed.store(before.watching);
  // A change that was told meanwhile may have marked the entry before this.
  if (!is_unchanged(at, before)) entry->confirmed.store(0);
}

void CacheEngine::copy_changed(const shared::CopyName& name) {
  if (name.noun != shared::Noun::cache) return;
  const Address at = address(name.tenant, name.id);
  counts_of(at.id).changes.fetch_add(1);
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  if (entry) entry->confirmed.store(Entry::kChanged);
  fills_.stir(at.id);
}

bool CacheEngine::has_changed(const Address& at) const {
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  return entry && is_changed(*entry);
}

void CacheEngine::saw_version(std::int64_t version) {
  if (version > clock_.wall().ms * 1'000 + kAheadMax) return;  // No clock is that wrong.
  raise(version_, version);
}

void CacheEngine::follow_generation(std::int64_t generation) {
  if (generation_.load(std::memory_order_relaxed) == generation) return;
  if (generation_.exchange(generation) != generation) copies_unwatched();
}

bool CacheEngine::adopt(const Address& at, std::shared_ptr<Entry> entry, const Watch& before) {
  entry->id = at.id;
  entry->tenant = &tenants_.of(at.tenant);
  const BootTime now = this->now();
  if (entry->is_over(now) || is_distrusted(entry->era)) return false;
  if (is_missed(at, entry->version)) return false;
  const WallTime stored_at = wall() - whole_ms(now - entry->stored_at);
  const auto filled =
      entry->tenant->generations.judge(entry->key, entry->tags, entry->seen, stored_at);
  if (!filled || best_effort_.covers(at.tenant, entry->key, entry->tags)) return false;
  entry->filled = *filled;
  entry->checked = *filled;
  if (entry->weight > store_.tenant_weight_max() || entry->weight > store_.entry_weight_max()) {
    return false;
  }
  const EntryPtr known = store_.peek(at.id, at.tenant, at.key);
  if (known && known->version > entry->version) return false;
  if (known && known->version == entry->version) return true;
  // A put or an erasure counts itself before it looks into the store: it finds this entry there and
  // replaces it, or it is seen here.
  const auto unchanged = [&] { return counts_of(at.id).writes.load() == before.writes; };
  static_cast<void>(store_.put_if(entry, unchanged));
  return true;
}

}  // namespace redoubt::cache
