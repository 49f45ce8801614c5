#include "services/cache/service.hpp"

#include "base/bytes.hpp"
#include "record/cache_rows.hpp"
#include "services/cache/copies.hpp"
#include "services/cache/engine.hpp"
#include "services/cache/fill_guards.hpp"
#include "services/cache/invalidator.hpp"
#include "services/cache/names.hpp"
#include "services/cache/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace redoubt::cache {
namespace {

// No entry is older than its ttl and one of its graces; a day more for clocks that disagree.
constexpr Duration kGenerationKept = kCacheTtlMax * 2 + std::chrono::hours(24);

// Memory is swept often; rows die slowly, and looking for them is a commit.
constexpr Duration kRowSweepPause = std::chrono::hours(1);
constexpr int kRowBatchesMax = 20;  // In one sweep; what is left waits for the next one.

// How often an instance asks whether another one still fills; it is told earlier, too, when there
// is a value.
constexpr Duration kAskAgain{50};

class CacheService final : public Cache {
 public:
  CacheService(std::shared_ptr<CacheEngine> engine, record::Record& record, Timers& timers,
               Log& log, const CacheCopiesParts* copies)
      : engine_(std::move(engine)),
        record_(record),
        timers_(timers),
        invalidator_(*engine_, record, log) {
    if (copies != nullptr) copies_.emplace(*engine_, *copies);
  }

  std::optional<Result<CacheLookup>> get_now(const Context& context,
                                             const CacheGet& request) override {
    if (auto checked = check(context, request); !checked) return fail(std::move(checked).error());
    const Address at = engine_->address(context.caller.tenant, request.key);
    note_downgrades(context, at);
    if (asks_copies(at)) {
      auto fresh = engine_->get_confirmed(at);
      if (!fresh) return std::nullopt;
      return Result<CacheLookup>(*std::move(fresh));
    }
    BootTime until;
    auto lookup = engine_->get(at, request, nullptr, until);
    if (!lookup) return std::nullopt;
    return Result<CacheLookup>(*std::move(lookup));
  }

  Task<CacheLookup> get(const Context& context, CacheGet request) override {
    RD_CO_CHECK(check(context, request));
    const Address at = engine_->address(context.caller.tenant, request.key);
    note_downgrades(context, at);
    const BootTime deadline = engine_->now() + request.wait;
    if (asks_copies(at)) {
      auto fresh = engine_->get_confirmed(at);
      if (fresh) co_return *std::move(fresh);
      co_await copies_->fetch(at);
    }
    while (true) {
      const auto waiter = std::make_shared<FillWaiter>();
      if (request.wait > Duration(0)) {
        waiter->alarm = timers_.alarm();
        waiter->lease = *request.lease;
      }
      BootTime until;
      const bool may_wait = request.wait > Duration(0);
      auto lookup = engine_->get(at, request, may_wait ? waiter : nullptr, until);
      if (!lookup) {
        Waiting waiting(*engine_, at, waiter);
        lookup = co_await wait_for_fill(at, waiting, until, deadline);
      }
      if (lookup) lookup = co_await among_all(at, request, *std::move(lookup), deadline);
      if (lookup) co_return *std::move(lookup);
    }
  }

  Task<std::vector<CacheLookup>> get_batch(const Context& context,
                                           std::vector<std::string> keys) override {
    RD_CO_CHECK(check_batch("keys", keys.size()));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      RD_CO_CHECK(check_key(fmt::format("keys.{}", i), keys[i]));
    }
    std::vector<Address> missing;
    for (const std::string& key : keys) {
      const Address at = engine_->address(context.caller.tenant, key);
      note_downgrades(context, at);
      if (asks_copies(at) && !engine_->has_confirmed(at)) missing.push_back(at);
    }
    if (!missing.empty()) co_await copies_->fetch_all(std::move(missing));
    std::vector<CacheLookup> lookups;
    lookups.reserve(keys.size());
    for (const std::string& key : keys) {
      lookups.push_back(engine_->get_without_lease(engine_->address(context.caller.tenant, key)));
    }
    co_return lookups;
  }

  Task<CacheLookup> inspect(const Context& context, std::string key) override {
    RD_CO_CHECK(check_key("key", key));
    co_return engine_->inspect(engine_->address(context.caller.tenant, key));
  }

  Task<CachePutResult> put(const Context& context, CachePut request) override {
    RD_CO_CHECK(check_put("", request, engine_->options()));
    RD_CO_CHECK(engine_->check_fits(request));
    co_return co_await put_one(context, std::move(request));
  }

  Task<std::vector<CachePutResult>> put_batch(const Context& context,
                                              std::vector<CachePut> requests) override {
    RD_CO_CHECK(check_batch("entries", requests.size()));
    for (std::size_t i = 0; i < requests.size(); ++i) {
      RD_CO_CHECK(check_put(fmt::format("entries.{}", i), requests[i], engine_->options()));
      RD_CO_CHECK(engine_->check_fits(requests[i]));
    }
    std::vector<CachePutResult> results;
    for (CachePut& request : requests) {
      results.push_back(co_await put_one(context, std::move(request)));
    }
    co_return results;
  }

  Task<bool> erase(const Context& context, std::string key) override {
    RD_CO_CHECK(check_key("key", key));
    const Address at = engine_->address(context.caller.tenant, key);
    const bool erased = engine_->erase(at);
    if (copies_) note_kept(context, at, co_await copies_->erase(at));
    co_return erased;
  }

  Task<CacheErased> erase_everywhere(const Context& context, std::string key,
                                     bool best_effort) override {
    RD_CO_CHECK(check_key("key", key));
    const Address at = engine_->address(context.caller.tenant, key);
    const bool was_there = engine_->inspect(at).state != CacheState::miss;
    std::vector<std::string> names(1, key_name(key));
    RD_CO_TRY(done, co_await invalidator_.invalidate(context, std::move(names), best_effort));
    engine_->erase(at);
    if (copies_) co_await copies_->erase(at);
    co_return CacheErased{was_there, done.recorded};
  }

  Task<CacheReleased> release(const Context& context, CacheRelease request) override {
    RD_CO_CHECK(check_release(request));
    const Address at = engine_->address(context.caller.tenant, request.key);
    const CacheReleased released = engine_->release(at, request);
    if (asks_copies()) co_await copies_->give_back(at, request.lease);
    co_return released;
  }

  Task<CacheInvalidated> invalidate(const Context& context, CacheInvalidation request) override {
    RD_CO_CHECK(check_invalidation(request));
    const bool best_effort = request.best_effort;
    co_return co_await invalidator_.invalidate(context, names_of(request), best_effort);
  }

  Task<CacheKeyPage> list(const Context& context, std::string pattern, std::size_t limit,
                          std::string cursor) override {
    RD_CO_CHECK(check_pattern("pattern", pattern));
    if (limit < 1 || limit > kCacheListMax) {
      co_return fail(invalid_argument(
          "limit", fmt::format("must be between 1 and {}", kCacheListMax), "range"));
    }
    const auto after = from_base64url(cursor);
    if (!after || after->size() > kCacheKeyMax) {
      co_return fail(invalid_argument("cursor", "is not a cursor of this list"));
    }
    co_return engine_->list(context.caller.tenant, pattern, limit, std::string(as_text(*after)));
  }

  Task<std::int64_t> hand_over(std::size_t batch) override {
    std::int64_t handed_over = 0;
    if (copies_) handed_over = static_cast<std::int64_t>(co_await copies_->hand_over(batch));
    co_return handed_over;
  }

  CacheStats stats(const Context& context) const override {
    return engine_->stats(context.caller.tenant);
  }

  Task<std::int64_t> sweep(std::size_t batch) override {
    const std::int64_t dropped = engine_->sweep(batch);
    const BootTime now = engine_->now();
    if (now < next_row_sweep_) co_return dropped;
    const WallTime before = engine_->wall() - kGenerationKept;
    std::int64_t rows = 0;
    for (int i = 0; i < kRowBatchesMax; ++i) {
      std::function<Task<std::int64_t>(record::Unit&)> work = [before, batch](record::Unit& unit) {
        return record::sweep_cache_generations(unit, before, batch);
      };
      RD_CO_TRY(deleted, co_await record_.write(std::move(work)));
      rows += deleted;
      if (deleted == static_cast<std::int64_t>(batch)) continue;
      next_row_sweep_ = now + kRowSweepPause;
      break;
    }
    co_return dropped + rows;
  }

 private:
  bool asks_copies() const { return copies_ && copies_->usable(); }
  bool asks_copies(const Address& at) const { return copies_ && copies_->usable(at); }

  // What is not found may be elsewhere, and what is found may have been invalidated elsewhere.
  void note_downgrades(const Context& context, const Address& at) const {
    const BootTime until = record_.fresh_until();
    const bool heard = until == BootTime{INT64_MAX} || engine_->now() < until;
    if (!heard) return context.note(Downgrade::cache_unheard);
    note_local(context, at);
  }

  // What is read was not looked for in Redis; what is put or erased is so on this instance alone.
  void note_local(const Context& context, const Address& at) const {
    if (copies_ && copies_->missed(at)) context.note(Downgrade::cache_local);
  }
  void note_kept(const Context& context, const Address& at, shared::Stored kept) const {
    if (kept == shared::Stored::nowhere && !copies_->off()) context.note(Downgrade::cache_local);
    note_local(context, at);
  }

  boost::asio::awaitable<CachePutResult> put_one(const Context& context, CachePut request) {
    const std::string lease = request.lease;
    if (asks_copies() && !copies_->has_begun(context.caller.tenant)) {
      co_await copies_->begin(context.caller.tenant);
    }
    EntryPtr entry;
    CachePutResult result =
        engine_->put(context.caller.tenant, std::move(request), copies_ ? &entry : nullptr);
    const bool good = result.outcome == CacheStored::stored ||  //
                      result.outcome == CacheStored::not_admitted;
    if (copies_ && good) {
      const shared::Stored kept = co_await copies_->keep(*entry);
      note_kept(context, {entry->id, context.caller.tenant, entry->key}, kept);
      const bool overtaken = kept == shared::Stored::older && !lease.empty();
      if (kept == shared::Stored::stored) result.outcome = CacheStored::stored;
      if (overtaken) result.outcome = CacheStored::lease_lost;  // By a put or erasure elsewhere.
    }
    if (!lease.empty() && asks_copies()) {
      const Address at{entry->id, context.caller.tenant, entry->key};
      co_await copies_->give_back(at, lease);
    }
    co_return result;
  }

  static Result<void> check(const Context& context, const CacheGet& request) {
    RD_CHECK(check_get(request));
    if (request.lease && context.caller.role == Role::read_only) {
      return fail(Error(Errc::permission_denied, "cache_lease_not_allowed",
                        "a read-only key cannot fill, so it cannot hold a lease"));
    }
    return {};
  }

  static Result<void> check_batch(std::string_view where, std::size_t size) {
    if (size >= 1 && size <= kCacheBatchMax) return {};
    return fail(invalid_argument(
        std::string(where), fmt::format("must have 1 to {} items; it has {}", kCacheBatchMax, size),
        "length"));
  }

  // A lease that was granted here is one of all instances while the shared tier can be asked.
  // Empty: start again.
  boost::asio::awaitable<std::optional<CacheLookup>> among_all(const Address& at,
                                                               const CacheGet& request,
                                                               CacheLookup lookup,
                                                               BootTime deadline) {
    if (lookup.lease.empty() || !asks_copies(at)) co_return lookup;
    Holding holding(*engine_, at, lookup.lease);
    const std::shared_ptr<Alarm> alarm = timers_.alarm();
    // Before the claim: so it lasts here no longer than there.
    while (engine_->renew(at, holding.lease(), *request.lease, alarm)) {
      const auto claimed = co_await copies_->claim(at, holding.lease(), *request.lease);
      if (claimed == shared::Claimed::ours) {
        // Who held it until now may have filled since the copy was looked for.
        co_await copies_->fetch(at);
        auto found = engine_->found_elsewhere(at, holding.lease());
        if (found) {
          co_await copies_->give_back(at, holding.lease());
          co_return found;
        }
      }
      if (claimed != shared::Claimed::held) {
        holding.keep();
        co_return lookup;
      }
      const auto left = std::chrono::ceil<Duration>(deadline - engine_->now());
      if (lookup.entry || left <= Duration(0)) {
        lookup.lease.clear();
        co_return lookup;
      }
      co_await alarm->wait(std::min(left, kAskAgain));
      co_await copies_->fetch(at);
      auto found = engine_->found_elsewhere(at, holding.lease());
      if (found) co_return found;
    }
    co_return std::nullopt;
  }

  // Empty: start again.
  boost::asio::awaitable<std::optional<CacheLookup>> wait_for_fill(const Address& at,
                                                                   Waiting& waiting, BootTime until,
                                                                   BootTime deadline) {
    while (true) {
      const auto left = std::min(until, deadline) - engine_->now();
      const auto limit = std::chrono::ceil<Duration>(left);
      co_await waiting.waiter()->alarm->wait(std::max(limit, Duration(0)));
      auto lookup = engine_->resume(at, waiting.waiter(), until);
      if (lookup) {
        waiting.keep_lease();
        co_return lookup;
      }
      const BootTime now = engine_->now();
      if (now >= deadline) co_return engine_->give_up(at);
      const bool changed = until <= now;
      if (changed) co_return std::nullopt;
    }
  }

  const std::shared_ptr<CacheEngine> engine_;
  record::Record& record_;
  Timers& timers_;
  Invalidator invalidator_;
  std::optional<CacheCopies> copies_;
  BootTime next_row_sweep_{0};
};

}  // namespace

std::shared_ptr<CacheEngine> make_cache_engine(const CacheOptions& options,
                                               const record::Record& record, Clock& clock,
                                               Random& random, Metrics& metrics,
                                               const shared::Eras* eras) {
  auto engine = std::make_shared<CacheEngine>(options, record, clock, random, metrics, eras);
  const std::weak_ptr<CacheEngine> weak = engine;
  metrics.gauge_callback("redoubt_cache_entries", "Entries in the cache.", {}, [weak] {
    const auto alive = weak.lock();
    return alive ? static_cast<double>(alive->entries()) : 0.0;
  });
  metrics.gauge_callback("redoubt_cache_size_bytes", "Bytes the cache's entries take.", {}, [weak] {
    const auto alive = weak.lock();
    return alive ? static_cast<double>(alive->bytes()) : 0.0;
  });
  metrics.gauge_callback("redoubt_cache_handoffs_pending",
                         "Keys whose last put or erasure is to be handed over to Redis.", {},
                         [weak] {
                           const auto alive = weak.lock();
                           return alive ? static_cast<double>(alive->hints().size()) : 0.0;
                         });
  return engine;
}

void answer_while(CacheEngine& engine, std::function<bool(const shared::CopyName&)> answers) {
  engine.answer_while(std::move(answers));
}

record::JournalListener cache_listener(std::shared_ptr<CacheEngine> engine) {
  return [engine = std::move(engine)](const record::JournalEntry& entry) { engine->hear(entry); };
}

std::unique_ptr<Cache> make_cache(std::shared_ptr<CacheEngine> engine, record::Record& record,
                                  Timers& timers, Log& log) {
  return std::make_unique<CacheService>(std::move(engine), record, timers, log, nullptr);
}

std::unique_ptr<Cache> make_shared_cache(std::shared_ptr<CacheEngine> engine,
                                         record::Record& record, Timers& timers, Log& log,
                                         const CacheCopiesParts& copies) {
  return std::make_unique<CacheService>(std::move(engine), record, timers, log, &copies);
}

}  // namespace redoubt::cache
