// Fill leases: who computes a missing entry, who waits for it, and what becomes of them.
//
//                 join                       finish(stored)
//   (none) ----------------> held by a token ---------------> (none), all waiters look again
//      ^                      |    |      |
//      |  nobody waits        |    |      | fail with a stale value in hand
//      +----------------------+    |      v
//        release, failure,         |   resting until retry_after: nobody is granted the lease
//        expiry, invalidated       |
//                                  +--> held by the one who waited longest, under a new token
//
// The waiter in front watches over the expiry; the others sleep until they are rung.
//
// Bounded: leases of a tenant, waiters of a lease. Beyond that a caller is told that it is busy.
//
// Threads: any. Alarms are rung outside the locks. What is noexcept is called by destructors
// (fill_guards.hpp); all that could fail there is memory, and a process without any ends: a lease
// that nobody passes on would keep its waiters.
#pragma once

#include "base/siphash.hpp"
#include "services/cache/generations.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/timers.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace redoubt::cache {

class TenantCache;

// One caller that waits for another's fill.
struct FillWaiter {
  std::shared_ptr<Alarm> alarm;
  Duration lease;     // For how long it wants the lease, should it come to it.
  std::string token;  // Set when it did. Guarded by the lock of Fills.
};
using FillWaiterPtr = std::shared_ptr<FillWaiter>;

enum class FillState : std::uint8_t {
  granted,  // `token` is the caller's: it is to fill.
  busy,     // Another fills.
  resting,  // A fill failed; serve the stale value.
  waiting,  // The waiter is queued. Look again at `until` at the latest.
  changed,  // Something happened: look into the store again.
};

struct FillStep {
  FillState state = FillState::busy;
  std::string token = {};
  BootTime until{INT64_MAX};
};

class Fills {
 public:
  static constexpr std::size_t kTenantMax = 8'192;    // Leases of one tenant.
  static constexpr std::size_t kWaitersMax = 10'000;  // Of one lease.

  // `next_version`: orders the puts of a key; that of a fill is drawn when it begins, so that
  // whatever is put or erased elsewhere meanwhile is the newer one.
  Fills(Random& random, std::function<std::int64_t()> next_version)
      : random_(random), next_version_(std::move(next_version)) {}

  struct Wanted {
    Hash128 id;
    TenantCache& tenant;
    Duration lease;
    bool has_stale = false;  // Without a stale value to serve there is nothing to rest on.
    FillWaiterPtr waiter;    // Null: do not queue.
  };
  FillStep join(const Wanted& wanted, BootTime now);

  // After a waiter's alarm has rung or the time was over: granted, changed, or waiting on.
  FillStep next(const Hash128& id, const FillWaiterPtr& waiter, BootTime now);

  // The waiter gives up; a lease that it was granted meanwhile passes on.
  void leave(const Hash128& id, const FillWaiterPtr& waiter, BootTime now) noexcept;

  // The stamp of the lease while it is held.
  std::optional<Generations::Stamp> stamp_of(const Hash128& id, std::string_view token,
                                             BootTime now) const;
  // What was known when it was granted, while it is held.
  std::optional<Generations::Moment> moment_of(const Hash128& id, std::string_view token,
                                               BootTime now) const;
  // The version of what it makes. REQUIRES: moment_of() has just said that it is held.
  std::int64_t version_of(const Hash128& id, std::string_view token) const;

  // As if it were granted now; `alarm` is rung by stir(). False when it is not held any more.
  bool renew(const Hash128& id, std::string_view token, Duration lease,
             const std::shared_ptr<Alarm>& alarm, BootTime now);
  // Another instance may have made what is waited for.
  void stir(const Hash128& id);

  // The value is in the store: everybody looks again.
  void finish(const Hash128& id, std::string_view token);

  // No value came: the lease passes to the next waiter. False when it was not held.
  bool pass_on(const Hash128& id, std::string_view token, BootTime now) noexcept;

  // The source failed and there is a stale value: nobody fills until `until`.
  bool rest(const Hash128& id, std::string_view token, BootTime until, BootTime now);

  bool is_resting(const Hash128& id, BootTime now) const;

  // The key is being put or deleted under the filler's feet: its token is worth nothing from here
  // on. A put revokes, stores, and ends the fill when there is a value to look at.
  void revoke(const Hash128& id);
  void end(const Hash128& id);
  void revoke_and_pass_on(const Hash128& id, BootTime now);

  // Forgets at most `batch` of what has expired and nobody waits for.
  std::size_t sweep(BootTime now, std::size_t batch);

 private:
  struct Fill {
    TenantCache* tenant = nullptr;
    std::string token = {};  // Empty while resting, kNobody when revoked.
    Generations::Moment moment = {};
    std::int64_t version = 0;
    std::shared_ptr<Alarm> elsewhere = {};  // Of who waits for another instance's fill.
    BootTime until{};                       // The lease's expiry, or the end of the rest.
    std::deque<FillWaiterPtr> waiters = {};
  };
  using Table = std::unordered_map<Hash128, Fill, Hash128Hasher>;
  struct Shard {
    mutable std::mutex mutex;
    Table fills;
    std::multimap<BootTime, Hash128> expiries;  // At least one for every fill.
  };
  using Alarms = std::vector<std::shared_ptr<Alarm>>;

  static constexpr std::string_view kNobody = "-";
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kPurge = 4;  // Expired fills forgotten with every new one.

  Shard& shard_of(const Hash128& id) { return shards_[id.hi % kShards]; }
  const Shard& shard_of(const Hash128& id) const { return shards_[id.hi % kShards]; }
  void grant(Shard& shard, const Hash128& id, Fill& fill, Duration lease, BootTime now);
  void hand_on(Shard& shard, Table::iterator it, BootTime now, Alarms& alarms);
  void end_at(Shard& shard, Table::iterator it, Alarms& alarms);
  static bool is_held(const Shard& shard, Table::const_iterator it, std::string_view token);
  FillStep queue(Fill& fill, const Wanted& wanted);
  std::size_t purge(Shard& shard, BootTime now, std::size_t batch);
  std::string new_token();

  Random& random_;
  const std::function<std::int64_t()> next_version_;
  std::array<Shard, kShards> shards_;
};

}  // namespace redoubt::cache
