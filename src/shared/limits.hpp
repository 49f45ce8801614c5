// Rate limits in Redis: one memory for all instances, decided by one script (limits.lua), so that
// together they admit exactly what one would.
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

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
  std::int64_t now_us = 0;
  std::vector<LimitMemory> limits;  // In the order of the uses.
};

class SharedLimits {
 public:
  virtual ~SharedLimits() = default;

  // False: nobody should wait for it now; decide without it.
  virtual bool usable() const = 0;

  // Charges all or none.
  virtual Task<LimitsReply> take(std::string tenant, std::vector<LimitUse> uses) = 0;
  virtual Task<LimitsReply> peek(std::string tenant, std::vector<LimitUse> uses) = 0;
  virtual Task<LimitsReply> refund(std::string tenant, std::vector<LimitUse> uses) = 0;
  virtual Task<void> reset(std::string tenant, LimitUse use) = 0;
};

// What it stands on; all outlive it. The clock is for the months of calendar limits.
struct SharedLimitsParts {
  redis::Client& client;
  SharedState& state;
  const Clock& clock;
};

std::unique_ptr<SharedLimits> make_shared_limits(const SharedLimitsParts& parts);

}  // namespace redoubt::shared
