// For tests: the policy of a limit in one line.
#pragma once

#include <redoubt/limits.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace redoubt::test {

// The calendar's unit is a month: no test meets its end but once in a while.
inline LimitPolicy policy_of(std::string name, LimitAlgorithm algorithm, std::int64_t limit,
                             Duration period, std::int64_t burst = 1) {
  LimitPolicy policy;
  policy.name = std::move(name);
  policy.algorithm = algorithm;
  policy.limit = limit;
  policy.period = period;
  policy.burst = burst;
  policy.unit = CalendarUnit::month;
  return policy;
}

inline LimitPolicy strict_policy_of(std::string name, LimitAlgorithm algorithm, std::int64_t limit,
                                    Duration period, std::int64_t burst = 1) {
  LimitPolicy policy = policy_of(std::move(name), algorithm, limit, period, burst);
  policy.limit_class = LimitClass::strict;
  return policy;
}

}  // namespace redoubt::test
