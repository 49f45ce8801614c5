// The arithmetic of rate limits, without clocks, locks or storage: memory and an instant in, an
// answer and new memory out. The engine applies it to memory of this process, the strict class to
// rows.
//
// Instants and periods are whole nanoseconds of one clock, given by the caller: the boot clock for
// rates in memory, the wall clock for windows that follow the calendar and for state that outlives
// a boot. Nothing is rounded: GCRA counts in units of 1/limit ns, so that a limit of 7 a minute
// is 7.
//
// When the clock has gone back (only the wall clock can), settle() keeps what was used:
//   gcra         a TAT later than now + tau + T is set to that;
//   sliding_log  an admission in the future counts as one of now;
//   windows      the window that was reached stays the current one until the clock has passed it;
//   if
//                it is more than one window ahead, the next window takes its count over.
// So a jump back never admits more, and denies for at most tau + T, a period, or, with windows, one
// window longer than it would have.
//
// Sources: GCRA: ITU-T I.371 annex A, virtual scheduling; T = period / limit, and tau = burst * T
// is what a cost is admitted within, so that a full limit admits `burst` at once. Sliding window:
// the previous window's count weighted by its overlap.
//
// Threads: pure functions. Costs: O(1); a sliding log O(admissions that expired) amortised, and a
// refusal O(cost).
#pragma once

#include "base/siphash.hpp"

#include <redoubt/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

namespace redoubt::local {

using Nanos = std::int64_t;
inline constexpr Nanos kNanosPerMs = 1'000'000;
inline constexpr Nanos kNever = INT64_MAX;
__extension__ typedef __int128 Int128;

// A policy in the units of this file.
struct LimitRule {
  LimitAlgorithm algorithm = LimitAlgorithm::gcra;
  std::int64_t limit = 1;
  std::int64_t burst = 1;
  Nanos period = 1;  // calendar_window: that of a minute, an hour or a day; 0 for a month.
  Hash128
      identity;  // Of the whole policy: a changed policy does not read the memory of the old one.
};

// REQUIRES: the policy is valid (services/limits/policies.hpp).
LimitRule make_limit_rule(const LimitPolicy& policy);

// Fixed and calendar windows are aligned to UTC; everything else only needs time to pass.
bool follows_calendar(const LimitRule& rule);

// TAT: when the debt of all admissions so far is paid, in units of 1/limit ns since the clock's
// zero. Kept in two halves, because an Int128 member would align everything around it to 16.
class GcraMemory {
 public:
  Int128 tat() const { return static_cast<Int128>(high_) << 64 | static_cast<Int128>(low_); }
  void set_tat(Int128 tat) {
    high_ = static_cast<std::int64_t>(tat >> 64);
    low_ = static_cast<std::uint64_t>(tat);
  }

 private:
  std::int64_t high_ = 0;
  std::uint64_t low_ = 0;
};

struct SlidingWindowMemory {
  Nanos start = 0;  // Of the current window.
  std::int64_t current = 0;
  std::int64_t previous = 0;
};

struct WindowMemory {
  Nanos start = 0;
  std::int64_t used = 0;
};

// One or more admissions of the same instant.
struct Admission {
  Nanos at = 0;
  std::int64_t cost = 0;
};

// The admissions of the last period, oldest first.
class AdmissionLog {
 public:
  std::span<const Admission> live() const {
    return std::span<const Admission>(all_).subspan(expired_);
  }
  std::int64_t total() const { return total_; }
  std::size_t capacity() const { return all_.capacity(); }
  bool would_grow() const { return expired_ == 0 && all_.size() == all_.capacity(); }

  void append(Admission admission);  // REQUIRES: not older than the newest.
  void expire(Nanos up_to);          // Forgets what was admitted at `up_to` or before.
  bool cap(Nanos now);  // Later admissions become admissions of `now`; true if any was.
  void give_back(std::int64_t cost);  // Newest first.
  // Halves the memory by merging neighbours under the later instant, which never admits more.
  void coarsen();

 private:
  void drop_expired();

  std::vector<Admission> all_;
  std::size_t expired_ = 0;  // The first so many of all_.
  std::int64_t total_ = 0;
};

// Behind a pointer, so that the memory of the O(1) algorithms stays half a cache line.
struct SlidingLogMemory {
  std::unique_ptr<AdmissionLog> log;  // Null: nothing admitted yet.
};

using LimitMemory = std::variant<GcraMemory, SlidingWindowMemory, SlidingLogMemory, WindowMemory>;

// The memory of a limit that was never used: full.
LimitMemory fresh_memory(const LimitRule& rule);

// Brings memory up to `now`; call it before anything below. True when the clock had gone back and
// memory was corrected: then it must be kept even if nothing is charged, or the time that passes
// from here on would not count. REQUIRES: the memory is one of this rule's algorithm.
bool settle(const LimitRule& rule, LimitMemory& memory, Nanos now);

// Would `cost` be admitted now? The part of read_limit() that needs no division.
bool admits(const LimitRule& rule, const LimitMemory& memory, Nanos now, std::int64_t cost);

struct LimitReading {
  bool admits = false;         // Would `cost` be admitted now?
  std::int64_t remaining = 0;  // The largest cost that would be.
  Nanos admitted_at = 0;  // The first instant `cost` is admitted if nothing else is; or kNever.
  Nanos full_at = 0;      // The first instant nothing is used any more.
};
LimitReading read_limit(const LimitRule& rule, const LimitMemory& memory, Nanos now,
                        std::int64_t cost);

void charge(const LimitRule& rule, LimitMemory& memory, Nanos now, std::int64_t cost);

// Gives back at most what is used. Which admission it belonged to is not known: it is taken from
// the newest use.
void refund(const LimitRule& rule, LimitMemory& memory, Nanos now, std::int64_t cost);

}  // namespace redoubt::local
