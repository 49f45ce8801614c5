// The part of the cache that needs neither record nor waiting: what is in memory, and what a call
// makes of it. One for all workers.
//
// Threads: any.
#pragma once

#include "base/metrics.hpp"
#include "record/record.hpp"
#include "services/cache/best_effort.hpp"
#include "services/cache/fills.hpp"
#include "services/cache/hints.hpp"
#include "services/cache/store.hpp"
#include "services/cache/tenant_cache.hpp"
#include "shared/copies.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::cache {

struct Address {
  Hash128 id;
  std::string_view tenant;
  std::string_view key;

  shared::CopyName copy() const {
    return {.noun = shared::Noun::cache, .tenant = tenant, .id = key};
  }
};

// Counters with closed label sets, looked up once.
struct CacheMetrics {
  explicit CacheMetrics(Metrics& metrics);
  std::array<Counter*, 4> requests;  // By CacheState.
  std::array<Counter*, 4> fills;     // Puts under a lease, by CacheStored.
  Counter& fills_failed;
  Counter& invalidated_tag;
  Counter& invalidated_prefix;
  Counter& invalidated_key;
  Counter& invalidated_pattern;
  Counter& invalidated_everything;
};

class CacheEngine final : public shared::CopyListener {
 public:
  // `record`: whose journal it hears; while that is not followed, no entry answers.
  // `eras`: of the shared tier, if there is one.
  CacheEngine(const CacheOptions& options, const record::Record& record, Clock& clock,
              Random& random, Metrics& metrics, const shared::Eras* eras = nullptr);

  // While `answers` says no of a key, it is not found; what is put is kept for later. Once, before
  // the first request; any thread may call it then.
  void answer_while(std::function<bool(const shared::CopyName&)> answers) {
    answers_ = std::move(answers);
  }

  Address address(std::string_view tenant, std::string_view key) const {
    return {store_.id_of(tenant, key), tenant, key};
  }
  BootTime now() const { return clock_.boot(); }
  WallTime wall() const { return clock_.wall(); }
  const CacheOptions& options() const { return options_; }

  // Answers, grants the lease, or queues `waiter`: then the result is empty and `until` says when
  // to look again at the latest. Without a waiter, empty says that the caller would have to wait.
  std::optional<CacheLookup> get(const Address& at, const CacheGet& request,
                                 const FillWaiterPtr& waiter, BootTime& until);
  // For a waiter whose alarm has rung or whose time was over: the same, but empty with until in the
  // past means: start again.
  std::optional<CacheLookup> resume(const Address& at, const FillWaiterPtr& waiter,
                                    BootTime& until);
  // For one who has waited long enough: any value that is there.
  CacheLookup give_up(const Address& at);
  void leave(const Address& at, const FillWaiterPtr& waiter) noexcept {
    fills_.leave(at.id, waiter, now());
  }

  // Of a lease that was granted here while another instance fills, below. The lease as if granted
  // now; false when it is not held any more. `alarm` is rung when the copy in the shared tier
  // changes.
  bool renew(const Address& at, std::string_view lease, Duration length,
             const std::shared_ptr<Alarm>& alarm) {
    return fills_.renew(at.id, lease, length, alarm, now());
  }
  // What the other one made, if it is here: the lease ends, and whoever waits looks again.
  std::optional<CacheLookup> found_elsewhere(const Address& at, std::string_view lease);
  void pass_on(const Address& at, std::string_view lease) noexcept {
    fills_.pass_on(at.id, lease, now());
  }

  CacheLookup get_without_lease(const Address& at);
  // One that is fresh, and confirmed by the shared tier. Counts when there is one.
  std::optional<CacheLookup> get_confirmed(const Address& at);
  bool has_confirmed(const Address& at);
  CacheLookup inspect(const Address& at);  // Counts neither as a use nor as a request.

  // payload_too_large for what could never be kept.
  Result<void> check_fits(const CachePut& request) const;
  // REQUIRES: it fits. `made`: the entry, whatever became of it here.
  CachePutResult put(std::string_view tenant, CachePut request, EntryPtr* made = nullptr);
  bool erase(const Address& at);

  // Of entries that come from elsewhere, below: read before the entry is asked for.
  struct Watch {
    std::uint32_t writes = 0;   // Puts and erasures of the key here,
    std::uint32_t changes = 0;  // and changes to its copy that were told.
    std::uint64_t watching = 0;
  };
  Watch watch(const Address& at) const;
  // Keeps it if it is good and nobody has put or erased the key since; whether it is good.
  bool adopt(const Address& at, std::shared_ptr<Entry> entry, const Watch& before);
  // The shared tier has this version, which is none to keep: an older one is not kept either.
  void outdate(const Address& at, std::int64_t version);
  // The shared tier has nothing. What it told to have changed is gone then; what it may only have
  // lost, or never had, stays.
  void outdate_changed(const Address& at);
  // What memory has now is the last value, as far as the shared tier knows, and it will tell of a
  // change.
  void confirm(const Address& at, const Watch& before);
  void copy_changed(const shared::CopyName& name) override;
  // What memory has is not the last value any more, as the shared tier told.
  bool has_changed(const Address& at) const;
  void copies_unwatched() override { watching_.fetch_add(1); }
  // Copies under another generation are others.
  void follow_generation(std::int64_t generation);
  // Puts from here on are newer than this one, though another host's clock be ahead.
  void saw_version(std::int64_t version);
  // The copy of this version could not be written, or may not have been: it is to be handed over,
  // and no older one of the key is adopted before it is.
  void miss_copy(const Address& at, std::int64_t version);
  // The same, but it is not handed over: until this process ends, no older one is adopted.
  void give_up_copy(const Address& at, std::int64_t version);
  // It is there now.
  void handed_over(const Address& at, const Hint& hint);
  Hints& hints() { return hints_; }
  // What memory has of the key, if it is good and that version or a newer one. No use of it.
  EntryPtr newest(const Address& at, std::int64_t version);
  TenantCache& tenant(std::string_view name) { return tenants_.of(name); }
  // Of puts and erasures: grows with each, and over restarts as the clock does.
  std::int64_t next_version();
  CacheReleased release(const Address& at, const CacheRelease& request);
  CacheKeyPage list(std::string_view tenant, std::string_view pattern, std::size_t limit,
                    std::string after);
  CacheStats stats(std::string_view tenant);
  std::int64_t sweep(std::size_t batch);

  // Whether a tenant can remember that many more invalidations one by one.
  bool would_overflow(std::string_view tenant, std::size_t names, std::size_t globs);
  void count_invalidation(std::string_view name);
  void hear(const record::JournalEntry& entry);
  // Invalidations that are not in the record (yet).
  BestEffort& best_effort() { return best_effort_; }

  std::size_t entries() const { return store_.entries(); }
  std::size_t bytes() const { return store_.bytes(); }

 private:
  enum class Freshness : std::uint8_t { none, fresh, stale, error_only };
  struct Found {
    EntryPtr entry;
    Freshness freshness = Freshness::none;
  };

  Found look(const Address& at, BootTime now);
  Found judge(EntryPtr entry, BootTime now);
  bool may_serve(const Address& at, const Found& found, BootTime now) const;
  static CacheLookup describe(const Found& found, BootTime now);
  CacheLookup answer(const Address& at, const Found& found, BootTime now);
  CacheLookup miss(const Address& at);
  // Counters shared by many keys: one that moves for another key costs a look.
  struct Counts {
    std::atomic<std::uint32_t> writes{0};
    std::atomic<std::uint32_t> changes{0};
    std::atomic<std::int64_t> given_up{0};  // give_up_copy(): the highest version.
  };
  Counts& counts_of(const Hash128& id) const { return counts_[id.lo % kCountSlots]; }
  bool is_unchanged(const Address& at, const Watch& before) const;
  bool is_missed(const Address& at, std::int64_t version) const;
  // Whoever is asking for the key is not to keep what it finds; an older one that is here goes.
  void overtake(const Address& at, std::int64_t version);
  void distrust_copies();
  bool is_distrusted(std::int64_t era);
  // The shared tier told so.
  static bool is_changed(const Entry& entry) {
    return entry.confirmed.load() == Entry::kChanged;
  }
  bool is_confirmed(const Entry& entry) const {
    return entry.confirmed.load(std::memory_order_acquire) == watching_.load();
  }
  CacheLookup granted(const Address& at, std::string token, BootTime now);
  void count(TenantCache& tenant, CacheState state);
  std::shared_ptr<Entry> make_entry(const Address& at, CachePut& request, BootTime now);
  CacheStored store_fill(const std::shared_ptr<Entry>& entry, std::string_view lease, BootTime now);
  CacheStored store_plain(const std::shared_ptr<Entry>& entry);
  std::int64_t sweep_tenant(TenantCache& tenant, std::size_t batch, BootTime now);

  static constexpr std::size_t kCountSlots = 1'024;

  const CacheOptions options_;
  const record::Record& record_;
  const shared::Eras* const eras_;
  std::function<bool(const shared::CopyName&)> answers_;
  mutable std::array<Counts, kCountSlots> counts_{};
  std::atomic<std::uint64_t> watching_{1};
  std::atomic<std::int64_t> generation_{0};
  std::atomic<std::int64_t> version_{0};
  std::atomic<shared::Eras::Ticket> distrusted_by_{0};  // The poll that tells the era; 0: known.
  std::atomic<std::int64_t> distrusted_era_{0};
  Clock& clock_;
  Random& random_;
  CacheMetrics metrics_;
  TenantCaches tenants_;
  BestEffort best_effort_;
  Store store_;
  Hints hints_;
  Fills fills_;
  std::mutex sweep_mutex_;
  std::map<TenantCache*, std::string> swept_;  // The key each tenant's last sweep ended at.
};

}  // namespace redoubt::cache
