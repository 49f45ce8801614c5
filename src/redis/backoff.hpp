// How long to wait before the next attempt to connect: full jitter (Brooker, "Exponential Backoff
// And Jitter", AWS Architecture Blog, 2015), so that many clients of a server that came back do not
// return in step. A server that was up for a while starts the count anew; one that accepts and then
// fails at once does not.
//
// Threads: one. No I/O, no clock.
#pragma once

#include "redis/options.hpp"

#include <redoubt/random.hpp>

#include <algorithm>

namespace redoubt::redis {

class BackoffMachine {
 public:
  explicit BackoffMachine(const Backoff& policy) : policy_(policy) {}

  // A connection was lost after `lived`, or an attempt failed (lived 0).
  Duration lost(Duration lived, Random& random) {
    if (lived >= kSettled) failures_ = 0;
    const int doublings = std::min(failures_++, 20);
    const std::int64_t ceiling = std::min(policy_.max.count(), policy_.first.count() << doublings);
    return Duration(
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(ceiling) + 1)));
  }

  // The server refused who we are: half to all of a long wait.
  Duration refused(Random& random) {
    ++failures_;
    const auto half = static_cast<std::uint64_t>(policy_.refused.count() / 2);
    return policy_.refused - Duration(static_cast<std::int64_t>(random.below(half + 1)));
  }

  int failures() const { return failures_; }

 private:
  static constexpr Duration kSettled{1000};

  Backoff policy_;
  int failures_ = 0;
};

}  // namespace redoubt::redis
