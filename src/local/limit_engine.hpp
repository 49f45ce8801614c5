// Rate limits of this process: one engine for all workers, exact whatever the concurrency.
//
// A decision locks the stripes of its keys in order, reads the clocks (so that time never runs
// backwards from one decision on a key to the next), evaluates every limit, and charges all of them
// or none. Keys are keyed hashes of (tenant, policy, subject), so nobody outside can choose where
// his state lies.
//
// Memory is bounded. Limits that are full again are forgotten. At `entries_max` a new subject takes
// the place of the one soonest full (limit_table.hpp), which forgets what that one had used;
// counted in redoubt_ratelimit_evictions_total. When the logs of sliding_log reach `log_bytes_max`,
// they are kept more coarsely, which admits less, never more.
//
// Threads: any. Costs: no I/O; a decision about limits already known allocates nothing (but a
// sliding log may grow).
#pragma once

#include "base/metrics.hpp"
#include "local/limit_algorithms.hpp"
#include "local/limit_table.hpp"
#include "local/spin_lock.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/random.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace redoubt::local {

struct LimitEngineOptions {
  std::size_t entries_max = 1 << 20;      // 64 bytes each, and a third for empty slots.
  std::size_t log_bytes_max = 64u << 20;  // Of all sliding logs together.
};

struct LimitCharge {
  const LimitRule* rule = nullptr;
  Hash128 key;
  std::int64_t cost = 1;
};

// LimitState without the policy.
struct LimitVerdict {
  bool allowed = true;
  std::int64_t remaining = 0;
  Duration reset_after{0};
  Duration retry_after{0};
};
// What a check of a cost says that was not charged.
LimitVerdict verdict_of(const LimitReading& reading, Nanos now);
// And of one that was; `reading` is of the memory after it.
LimitVerdict charged_verdict_of(const LimitReading& reading, Nanos now);

class LimitEngine {
 public:
  static constexpr std::size_t kChargesMax = 16;

  // `metrics` shows the engine's gauges as long as both live.
  LimitEngine(const Clock& clock, Random& random, LimitEngineOptions options, Metrics& metrics);
  LimitEngine(const LimitEngine&) = delete;
  LimitEngine& operator=(const LimitEngine&) = delete;

  Hash128 key(std::string_view tenant, const LimitRule& rule, std::string_view subject) const;

  // Charges all or none; true when all admitted. Fills out[i] for charges[i].
  // REQUIRES: as many verdicts as charges, at most kChargesMax, no key twice, costs above 0.
  bool take(std::span<const LimitCharge> charges, std::span<LimitVerdict> out);
  bool peek(std::span<const LimitCharge> charges, std::span<LimitVerdict> out);
  // `allowed` is then whether the cost would be admitted afterwards.
  void refund(std::span<const LimitCharge> charges, std::span<LimitVerdict> out);
  void reset(const Hash128& key);

  // For limits whose memory is elsewhere while that can be reached: this engine then keeps a shadow
  // of it, to go on from when it cannot, and to restore it when it was lost there.
  struct Owed {
    std::int64_t us = 0;   // Until the limit is full again, rounded up.
    bool learned = false;  // Nothing was charged here since learn().
  };
  // GCRA only; other algorithms owe nothing here.
  Owed owed(const LimitCharge& charge);
  // GCRA only: what is owed is `debt`, in 1/limit ns. `stored`: that memory holds it; otherwise what
  // was charged here stays owed, if it is more.
  void learn(const LimitCharge& charge, Int128 debt, bool stored = true);

  // Forgets what is full again, everywhere; returns how many. For a job every few seconds.
  std::size_t run_once();

  std::size_t entries() const;
  std::size_t log_bytes() const { return log_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kStripes = 256;

  struct alignas(64) Stripe {
    SpinLock lock;
    LimitTable table;
    std::size_t counted_log_bytes = 0;  // What log_bytes_ holds of this stripe.
  };
  class Locked;
  class Now;

  Stripe& stripe_of(const Hash128& key) const { return (*stripes_)[key.hi % kStripes]; }
  void count_log_bytes(Stripe& stripe);
  LimitCell* settled(const LimitCharge& charge, Now& now);
  bool admits_now(const LimitCharge& charge, Now& now);
  bool look(std::span<const LimitCharge> charges, std::span<LimitVerdict> out, Now& now);
  LimitReading read(const LimitCharge& charge, Now& now);
  LimitReading charge_cell(const LimitCharge& charge, Now& now);
  LimitReading refund_cell(const LimitCharge& charge, Now& now);
  LimitCell& insert(const LimitCharge& charge, Stripe& stripe, Now& now);
  bool may_grow(const AdmissionLog& log) const;

  const Clock& clock_;
  const std::size_t stripe_entries_max_;
  const std::size_t log_bytes_max_;
  SipKey sip_key_;
  std::unique_ptr<std::array<Stripe, kStripes>> stripes_;
  std::atomic<std::size_t> log_bytes_{0};
  Counter& evictions_;
};

}  // namespace redoubt::local
