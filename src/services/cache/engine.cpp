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
constexpr std::size_t kListStep = 1'000;        // Entries copied under the tenant's lock at a time.

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

std::optional<CacheLookup> CacheEngine::found_elsewhere(const Address& at, std::string_view lease) {
  const BootTime now = this->now();
  const Found found = look(at, now);
  if (found.freshness != Freshness::fresh) return std::nullopt;
  fills_.finish(at.id, lease);
  return describe(found, now);
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
