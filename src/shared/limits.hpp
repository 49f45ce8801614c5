// Rate limits in Redis: one memory for all instances, decided by one script, so that together they
// admit exactly what one would: limits.lua, which knows every kind, or one of two that do a part of
// it for less.
//
// The memory of each limit comes back with the decision; what it says of remaining, reset and retry
// is the business of the arithmetic that the limits in memory use as well (local/limit_algorithms).
// Instants are microseconds of that Redis' clock, which is the only clock its memory is compared
// with.
//
// Threads: as redis::Client. Cost: one round trip for up to 16 limits; all keys are of one tenant
// and so in one slot. Errors: those of redis::Client. redis_unknown_outcome: the limits may have
// been charged.
#pragma once

#include "redis/client.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/result.hpp>

#include <boost/container/small_vector.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace redoubt::shared {

// A policy and what is asked of it. Numbers as in LimitPolicy; the period in microseconds, 0 for a
// calendar month.
struct LimitUse {
  std::string_view policy;    // Its name, and
  std::string_view identity;  // what tells a changed policy of that name from the old one.
  std::string_view subject;
  LimitAlgorithm algorithm = LimitAlgorithm::gcra;
  std::int64_t limit = 1;
  std::int64_t burst = 1;
  std::int64_t period_us = 1;
  std::int64_t cost = 1;
  // GCRA: the debt that the caller knows of, in microseconds: for a Redis that has no memory of it.
  std::int64_t debt_us = 0;
  bool debt_is_newer = false;  // It was charged elsewhere: it counts even if there is memory.
};

// A limit's memory after the decision, by algorithm:
//   gcra            TAT; the rest of it in 1/limit us
//   sliding_window  start of the window; used in it; used in the one before
//   *_window        start of the window; used in it
//   sliding_log     used; when the cost would be admitted, 0 if it is or never is; newest admission
struct LimitMemory {
  bool admits = false;
  std::array<std::int64_t, 3> numbers{};
};

struct LimitsReply {
  bool charged = false;
  // Of that Redis; or 0, and the instants in `limits` are counted from then.
  std::int64_t now_us = 0;
  boost::container::small_vector<LimitMemory, 4> limits;  // In the order of the uses.
};

// A take() that is on its way. May be let go: what it charges stays charged then.
class SentTake {
 public:
  virtual ~SentTake() = default;
  virtual Task<LimitsReply> reply() = 0;  // Once. With now_us.
};

class SharedLimits {
 public:
  virtual ~SharedLimits() = default;

  // False: nobody should wait for it now; decide without it.
  virtual bool usable() const = 0;

  // Of all of these: the arguments are needed for the call alone.

  // Charges all or none.
  virtual Task<LimitsReply> take(std::string_view tenant, std::span<const LimitUse> uses) = 0;
  virtual Task<LimitsReply> peek(std::string_view tenant, std::span<const LimitUse> uses) = 0;
  virtual Task<LimitsReply> refund(std::string_view tenant, std::span<const LimitUse> uses) = 0;
  virtual Task<void> reset(std::string_view tenant, const LimitUse& use) = 0;

  // take() in two steps. REQUIRES: can_withdraw() of every use.
  virtual std::unique_ptr<SentTake> send_take(std::string_view tenant,
                                              std::span<const LimitUse> uses) = 0;
  // Gives back what `taken` has charged, as if it had never been. If something else was charged in
  // between, the time that the limit has regained meanwhile is kept back: so nobody is ever
  // admitted who would not have been, and what is kept back is no more than that time.
  // REQUIRES: taken.charged, of the same uses.
  virtual Task<LimitsReply> withdraw(std::string_view tenant, std::span<const LimitUse> uses,
                                     const LimitsReply& taken) = 0;
};

// Whether a charge of it can be withdrawn: of GCRA, whose memory is one number.
bool can_withdraw(const LimitUse& use);

// What it stands on; all outlive it. The clock is for the months of calendar limits.
struct SharedLimitsParts {
  redis::Client& client;
  SharedState& state;
  const Clock& clock;
};

std::unique_ptr<SharedLimits> make_shared_limits(const SharedLimitsParts& parts);

}  // namespace redoubt::shared
