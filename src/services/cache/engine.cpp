#include "services/cache/engine.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "services/cache/names.hpp"
#include "services/cache/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace redoubt::cache {
namespace {

constexpr std::size_t kListLooksMax = 10'000;
constexpr std::int64_t kAheadMax = 60'000'000;  // Microseconds.
constexpr std::size_t kListStep = 1'000;        // Entries copied under the tenant's lock at a time.

void raise(std::atomic<std::int64_t>& value, std::int64_t to) {
  std::int64_t last = value.load();
  while (last < to && !value.compare_exchange_weak(last, to)) continue;
}

Duration whole_ms(std::chrono::nanoseconds d) {
  return std::max(Duration(0), std::chrono::duration_cast<Duration>(d));
}

// Not secret, so that equal values have equal tags in every process.
std::string etag_of(std::string_view content_type, std::string_view value) {
  static constexpr SipKey kValueKey{0x7265646f7562745fu, 0x63616368655f7631u};
  const Hash128 inner = siphash128(kValueKey, value);
  const std::string typed = fmt::format("{}\n{:016x}{:016x}", content_type, inner.lo, inner.hi);
  const Hash128 outer = siphash128(kValueKey, typed);
  return fmt::format("{:016x}{:016x}", outer.hi, outer.lo);
}

// The literal text every match of `pattern` begins with.
std::string literal_prefix(std::string_view pattern) {
  std::string prefix;
  for (std::size_t i = 0; i < pattern.size() && pattern[i] != '*' && pattern[i] != '?'; ++i) {
    if (pattern[i] == '\\' && i + 1 < pattern.size()) ++i;
    prefix += pattern[i];
  }
  return prefix;
}

constexpr std::string_view kRequestsHelp = "Cache look-ups, by what they found.";
constexpr std::string_view kFillsHelp = "Fill leases given back, by what became of the fill.";
constexpr std::string_view kInvalidationsHelp = "Cache invalidations, by what was named.";

}  // namespace

CacheMetrics::CacheMetrics(Metrics& m)
    : requests{&m.counter("redoubt_cache_requests_total", kRequestsHelp, {{"result", "miss"}}),
               &m.counter("redoubt_cache_requests_total", kRequestsHelp, {{"result", "hit"}}),
               &m.counter("redoubt_cache_requests_total", kRequestsHelp, {{"result", "stale"}}),
               &m.counter("redoubt_cache_requests_total", kRequestsHelp, {{"result", "negative"}})},
      fills{&m.counter("redoubt_cache_fills_total", kFillsHelp, {{"result", "stored"}}),
            &m.counter("redoubt_cache_fills_total", kFillsHelp, {{"result", "not_admitted"}}),
            &m.counter("redoubt_cache_fills_total", kFillsHelp, {{"result", "lease_lost"}}),
            &m.counter("redoubt_cache_fills_total", kFillsHelp, {{"result", "invalidated"}})},
      fills_failed(m.counter("redoubt_cache_fills_total", kFillsHelp, {{"result", "failed"}})),
      invalidated_tag(
          m.counter("redoubt_cache_invalidations_total", kInvalidationsHelp, {{"kind", "tag"}})),
      invalidated_prefix(
          m.counter("redoubt_cache_invalidations_total", kInvalidationsHelp, {{"kind", "prefix"}})),
      invalidated_key(
          m.counter("redoubt_cache_invalidations_total", kInvalidationsHelp, {{"kind", "key"}})),
      invalidated_pattern(m.counter("redoubt_cache_invalidations_total", kInvalidationsHelp,
                                    {{"kind", "pattern"}})),
      invalidated_everything(m.counter("redoubt_cache_invalidations_total", kInvalidationsHelp,
                                       {{"kind", "everything"}})) {}

CacheEngine::CacheEngine(const CacheOptions& options, const record::Record& record, Clock& clock,
                         Random& random, Metrics& metrics, const shared::Eras* eras)
    : options_(options),
      record_(record),
      eras_(eras),
      clock_(clock),
      random_(random),
      metrics_(metrics),
      tenants_(eras),
      best_effort_(tenants_, clock, metrics),
      store_(options, random, metrics),
      hints_(metrics),
      fills_(random, [this] { return next_version(); }) {}

// ---- Reading ----

CacheEngine::Found CacheEngine::look(const Address& at, BootTime now) {
  if (answers_ && !answers_(at.copy())) return {};
  return judge(store_.find(at.id, at.tenant, at.key), now);
}

CacheEngine::Found CacheEngine::judge(EntryPtr entry, BootTime now) {
  if (!entry) return {};
  // What others invalidated may not have been heard of. Good again once it is.
  const bool heard = now < record_.fresh_until();
  if (!heard && entry->consistency == CacheConsistency::coherent) return {};
  const bool good =
      entry->tenant->generations.is_good(entry->key, entry->tags, entry->filled, entry->checked);
  if (!good || entry->is_over(now)) {
    store_.erase(*entry);
    return {};
  }
  if (now < entry->fresh_until) return {std::move(entry), Freshness::fresh};
  const auto freshness = now < entry->stale_until ? Freshness::stale : Freshness::error_only;
  return {std::move(entry), freshness};
}

void CacheEngine::count(TenantCache& tenant, CacheState state) {
  metrics_.requests[static_cast<std::size_t>(state)]->add();
  switch (state) {
    case CacheState::miss:
      return tenant.misses.add();
    case CacheState::hit:
      return tenant.hits.add();
    case CacheState::stale:
      return tenant.stale.add();
    case CacheState::negative:
      return tenant.negative.add();
  }
}

// REQUIRES: found.entry
CacheLookup CacheEngine::describe(const Found& found, BootTime now) {
  const Entry& entry = *found.entry;
  CacheLookup lookup;
  lookup.state = entry.negative ? CacheState::negative : CacheState::hit;
  if (found.freshness != Freshness::fresh) lookup.state = CacheState::stale;
  lookup.age = whole_ms(now - entry.stored_at);
  lookup.ttl = whole_ms(entry.fresh_until - now);
  lookup.entry = found.entry;
  return lookup;
}

CacheLookup CacheEngine::answer(const Address& at, const Found& found, BootTime now) {
  if (!found.entry) return miss(at);
  CacheLookup lookup = describe(found, now);
  count(*found.entry->tenant, lookup.state);
  return lookup;
}

CacheLookup CacheEngine::miss(const Address& at) {
  count(tenants_.of(at.tenant), CacheState::miss);
  return {};
}

std::optional<CacheLookup> CacheEngine::get(const Address& at, const CacheGet& request,
                                            const FillWaiterPtr& waiter, BootTime& until) {
  const BootTime now = this->now();
  const Found found = look(at, now);
  if (found.freshness == Freshness::fresh) return answer(at, found, now);
  const bool may_serve_stale = found.freshness == Freshness::stale;
  if (!request.lease) return may_serve(at, found, now) ? answer(at, found, now) : miss(at);
  const Fills::Wanted wanted{.id = at.id,
                             .tenant = tenants_.of(at.tenant),
                             .lease = *request.lease,
                             .has_stale = found.entry != nullptr,
                             .waiter = may_serve_stale ? nullptr : waiter};
  FillStep step = fills_.join(wanted, now);
  switch (step.state) {
    case FillState::granted:
      return granted(at, std::move(step.token), now);
    case FillState::waiting:
      until = step.until;
      return std::nullopt;
    case FillState::busy:
      if (!may_serve_stale && !waiter && request.wait > Duration(0)) return std::nullopt;
      break;
    case FillState::resting:
    case FillState::changed:
      break;
  }
  return answer(at, found, now);
}

// Between the look that missed and the grant, another fill may have ended.
CacheLookup CacheEngine::granted(const Address& at, std::string token, BootTime now) {
  const Found found = look(at, now);
  if (found.freshness == Freshness::fresh) {
    fills_.finish(at.id, token);
    return answer(at, found, now);
  }
  CacheLookup lookup = found.freshness == Freshness::stale ? answer(at, found, now) : miss(at);
  lookup.lease = std::move(token);
  return lookup;
}

std::optional<CacheLookup> CacheEngine::resume(const Address& at, const FillWaiterPtr& waiter,
                                               BootTime& until) {
  const BootTime now = this->now();
  FillStep step = fills_.next(at.id, waiter, now);
  if (step.state == FillState::granted) return granted(at, std::move(step.token), now);
  until = step.state == FillState::waiting ? step.until : BootTime{0};
  return std::nullopt;
}

CacheLookup CacheEngine::give_up(const Address& at) {
  const BootTime now = this->now();
  return answer(at, look(at, now), now);
}

CacheLookup CacheEngine::get_without_lease(const Address& at) {
  const BootTime now = this->now();
  const Found found = look(at, now);
  return may_serve(at, found, now) ? answer(at, found, now) : miss(at);
}

std::optional<CacheLookup> CacheEngine::get_confirmed(const Address& at) {
  const BootTime now = this->now();
  const Found found = look(at, now);
  if (found.freshness != Freshness::fresh || !is_confirmed(*found.entry)) return std::nullopt;
  return answer(at, found, now);
}

bool CacheEngine::has_confirmed(const Address& at) {
  const Found found = judge(store_.peek(at.id, at.tenant, at.key), now());
  return may_serve(at, found, now()) && is_confirmed(*found.entry);
}

CacheLookup CacheEngine::inspect(const Address& at) {
  const BootTime now = this->now();
  const Found found = judge(store_.peek(at.id, at.tenant, at.key), now);
  return may_serve(at, found, now) ? describe(found, now) : CacheLookup{};
}

// A value past its stale_for is served only while its source is known to fail.
bool CacheEngine::may_serve(const Address& at, const Found& found, BootTime now) const {
  if (!found.entry) return false;
  return found.freshness != Freshness::error_only || fills_.is_resting(at.id, now);
}

// ---- Writing ----

std::shared_ptr<Entry> CacheEngine::make_entry(const Address& at, CachePut& request, BootTime now) {
  const Duration asked = request.ttl.value_or(options_.default_ttl);
  const auto cut_max = static_cast<std::uint64_t>(asked.count()) * options_.jitter_percent / 100;
  const Duration ttl = asked - Duration(static_cast<std::int64_t>(random_.below(cut_max + 1)));

  auto entry = std::make_shared<Entry>();
  entry->weight = weight_of(request);
  entry->id = at.id;
  entry->tenant = &tenants_.of(at.tenant);
  const Generations::Moment moment = entry->tenant->generations.moment();
  entry->filled = moment.at;
  entry->seen = moment.seen;
  entry->era = moment.era;
  entry->version = next_version();
  entry->etag = etag_of(request.content_type, request.value);
  entry->key = std::move(request.key);
  entry->value = std::move(request.value);
  entry->content_type = std::move(request.content_type);
  entry->tags = std::move(request.tags);
  entry->negative = request.negative;
  entry->consistency = request.consistency;
  entry->stored_at = now;
  entry->fresh_until = now + ttl;
  entry->stale_until = entry->fresh_until + request.stale_for;
  entry->error_until = entry->fresh_until + request.stale_if_error;
  return entry;
}

Result<void> CacheEngine::check_fits(const CachePut& request) const {
  const std::size_t weight = weight_of(request);
  if (weight > store_.tenant_weight_max()) {
    return fail(Error(Errc::payload_too_large, "cache_quota_exceeded",
                      fmt::format("the entry needs {} bytes and the tenant may use {} in all",
                                  weight, store_.tenant_weight_max())));
  }
  if (weight > store_.entry_weight_max()) {
    return fail(Error(Errc::payload_too_large, "cache_value_too_large",
                      fmt::format("the entry needs {} bytes and the cache keeps none over {}",
                                  weight, store_.entry_weight_max())));
  }
  return {};
}

CachePutResult CacheEngine::put(std::string_view tenant, CachePut request, EntryPtr* made) {
  const BootTime now = this->now();
  const std::string key = request.key;
  const std::shared_ptr<Entry> entry = make_entry(address(tenant, key), request, now);

  CachePutResult result;
  result.etag = entry->etag;
  result.ttl = whole_ms(entry->fresh_until - now);
  if (request.lease.empty()) {
    result.outcome = store_plain(entry);
  } else {
    result.outcome = store_fill(entry, request.lease, now);
    metrics_.fills[static_cast<std::size_t>(result.outcome)]->add();
  }
  if (made != nullptr) *made = entry;
  return result;
}

std::int64_t CacheEngine::next_version() {
  const std::int64_t now = clock_.wall().ms * 1'000;
  std::int64_t last = version_.load();
  while (!version_.compare_exchange_weak(last, std::max(now, last + 1))) continue;
  return std::max(now, last + 1);
}

void CacheEngine::miss_copy(const Address& at, std::int64_t version) {
  Hint hint{.id = at.id,
            .tenant = std::string(at.tenant),
            .key = std::string(at.key),
            .version = version,
            .since = now()};
  if (!hints_.add(std::move(hint))) raise(counts_of(at.id).missed, version);
  overtake(at, version);
}

void CacheEngine::miss_copies(std::int64_t version) {
  raise(missed_, version);
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
  return version < hints_.version_of(at.id) || version < counts_of(at.id).missed.load() ||
         version < missed_.load();
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

std::optional<CacheLookup> CacheEngine::found_elsewhere(const Address& at, std::string_view lease) {
  const BootTime now = this->now();
  const Found found = look(at, now);
  if (found.freshness != Freshness::fresh) return std::nullopt;
  fills_.finish(at.id, lease);
  return describe(found, now);
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

CacheStored CacheEngine::store_plain(const std::shared_ptr<Entry>& entry) {
  fills_.revoke(entry->id);
  counts_of(entry->id).writes.fetch_add(1);
  const bool kept = store_.put(entry);
  fills_.end(entry->id);
  return kept ? CacheStored::stored : CacheStored::not_admitted;
}

CacheStored CacheEngine::store_fill(const std::shared_ptr<Entry>& entry, std::string_view lease,
                                    BootTime now) {
  const auto moment = fills_.moment_of(entry->id, lease, now);
  if (!moment) return CacheStored::lease_lost;
  entry->filled = moment->at;
  entry->seen = moment->seen;
  entry->era = moment->era;
  entry->version = fills_.version_of(entry->id, lease);
  counts_of(entry->id).writes.fetch_add(1);
  const bool good =
      entry->tenant->generations.is_good(entry->key, entry->tags, entry->filled, entry->checked);
  if (!good) {
    fills_.pass_on(entry->id, lease, now);
    return CacheStored::invalidated;
  }
  // Whoever stores or deletes revokes the lease first, and does so after this or is seen here: what
  // it acknowledged is never replaced by this value, not even for an instant.
  const auto held = [&] { return fills_.stamp_of(entry->id, lease, now).has_value(); };
  const Store::Put put = store_.put_if(entry, held);
  if (put == Store::Put::refused) return CacheStored::lease_lost;
  if (put == Store::Put::not_admitted) {
    fills_.pass_on(entry->id, lease, now);
    return CacheStored::not_admitted;
  }
  fills_.finish(entry->id, lease);
  return CacheStored::stored;
}

bool CacheEngine::erase(const Address& at) {
  fills_.revoke_and_pass_on(at.id, now());
  counts_of(at.id).writes.fetch_add(1);
  const EntryPtr entry = store_.peek(at.id, at.tenant, at.key);
  if (!entry) return false;
  const bool was_live = judge(entry, now()).entry != nullptr;
  store_.erase(*entry);
  return was_live;
}

CacheReleased CacheEngine::release(const Address& at, const CacheRelease& request) {
  const BootTime now = this->now();
  if (!fills_.stamp_of(at.id, request.lease, now)) return {};
  if (request.failed) {
    metrics_.fills_failed.add();
    const Found stale = judge(store_.peek(at.id, at.tenant, at.key), now);
    if (stale.entry && fills_.rest(at.id, request.lease, now + request.retry_after, now)) {
      return {.released = true, .serving_stale = true};
    }
  }
  return {.released = fills_.pass_on(at.id, request.lease, now), .serving_stale = false};
}

// ---- Invalidation ----

bool CacheEngine::would_overflow(std::string_view tenant, std::size_t names, std::size_t globs) {
  return tenants_.of(tenant).generations.would_overflow(names, globs);
}

void CacheEngine::count_invalidation(std::string_view name) {
  if (name.empty()) return metrics_.invalidated_everything.add();
  switch (name.front()) {
    case kTagName:
      return metrics_.invalidated_tag.add();
    case kPrefixName:
      return metrics_.invalidated_prefix.add();
    case kKeyName:
      return metrics_.invalidated_key.add();
    default:
      return metrics_.invalidated_pattern.add();
  }
}

void CacheEngine::hear(const record::JournalEntry& entry) {
  if (entry.kind == record::JournalEntry::Kind::everything) {
    distrust_copies();
    for (TenantCache* tenant : tenants_.all()) tenant->generations.bump({});
  }
  if (entry.kind != record::JournalEntry::Kind::cache) return;
  // A tenant that is not known here has no entries, its first fill is yet to begin, and before its
  // first copy is judged the record is read.
  TenantCache* const tenant = tenants_.find(entry.tenant);
  if (tenant == nullptr) return;
  const bool numbered = entry.value > 0;
  tenant->generations.bump(entry.key, numbered ? entry.value : Generations::kUnnumbered);
}

// ---- Administration ----

CacheKeyPage CacheEngine::list(std::string_view tenant_name, std::string_view pattern,
                               std::size_t limit, std::string after) {
  TenantCache& tenant = tenants_.of(tenant_name);
  const std::string prefix = literal_prefix(pattern);
  CacheKeyPage page;
  std::size_t looked = 0;
  while (looked < kListLooksMax) {
    const auto entries = tenant.entries_after(after, prefix, kListStep);
    for (const EntryPtr& entry : entries) {
      ++looked;
      after = entry->key;
      if (!glob_match(pattern, entry->key)) continue;
      const CacheLookup found = inspect(address(tenant_name, entry->key));
      if (!found.entry) continue;
      page.keys.push_back({.key = entry->key,
                           .state = found.state,
                           .age = found.age,
                           .ttl = found.ttl,
                           .bytes = entry->weight});
      if (page.keys.size() == limit) break;
    }
    if (page.keys.size() == limit) break;
    if (entries.size() < kListStep) return page;
  }
  page.next_cursor = to_base64url(as_bytes(after));
  return page;
}

CacheStats CacheEngine::stats(std::string_view tenant_name) {
  const TenantCache& tenant = tenants_.of(tenant_name);
  CacheStats stats;
  stats.entries = tenant.entries();
  stats.bytes = tenant.bytes();
  stats.bytes_max = store_.tenant_weight_max();
  stats.entries_max = options_.entries_max;
  stats.hits = tenant.hits.value();
  stats.misses = tenant.misses.value();
  stats.stale = tenant.stale.value();
  stats.negative = tenant.negative.value();
  stats.evictions = tenant.evictions.load(std::memory_order_relaxed);
  stats.fills = tenant.fills.load(std::memory_order_relaxed);
  return stats;
}

std::int64_t CacheEngine::sweep(std::size_t batch) {
  const std::lock_guard lock(sweep_mutex_);
  const BootTime now = this->now();
  std::int64_t dropped = 0;
  for (TenantCache* tenant : tenants_.all()) dropped += sweep_tenant(*tenant, batch, now);
  fills_.sweep(now, batch);
  return dropped;
}

std::int64_t CacheEngine::sweep_tenant(TenantCache& tenant, std::size_t batch, BootTime now) {
  std::string& after = swept_[&tenant];
  const auto entries = tenant.entries_after(after, {}, batch);
  after = entries.size() < batch ? std::string{} : entries.back()->key;
  std::int64_t dropped = 0;
  for (const EntryPtr& entry : entries) {
    if (!judge(entry, now).entry) ++dropped;
  }
  return dropped;
}

}  // namespace redoubt::cache
