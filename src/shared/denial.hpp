// Something that Redis denied us: the password, or a right. An operator mends that, not another
// attempt, and each attempt is a line in the log of Redis; so the next one is 2.5 to 5 s later
// (redis/backoff.hpp), or at once after the configuration has changed.
//
// Threads: one. No I/O, no clock.
#pragma once

#include "redis/backoff.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>

namespace redoubt::shared {

class Denial {
 public:
  explicit Denial(Random& random) : random_(random) {}

  bool holds(BootTime now) const { return now < until_; }
  void found(BootTime now) { until_ = now + backoff_.refused(random_); }
  void forget() { until_ = BootTime{0}; }

 private:
  Random& random_;
  redis::BackoffMachine backoff_{redis::Backoff{}};
  BootTime until_{0};
};

}  // namespace redoubt::shared
