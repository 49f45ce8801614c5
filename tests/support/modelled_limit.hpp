// For tests: a limit by the arithmetic (local/limit_algorithms.hpp), beside which the scripts in
// Redis are asked.
#pragma once

#include "local/limit_algorithms.hpp"
#include "shared/limits.hpp"

#include <cstdint>
#include <string>

namespace redoubt::test {

struct Modelled {
  LimitPolicy policy;
  local::LimitRule rule;
  local::LimitMemory memory;
  std::string subject;
};

// What the scripts are asked. REQUIRES: `limit` outlives it.
inline shared::LimitUse use_of(const Modelled& limit, std::int64_t cost) {
  constexpr local::Nanos kNanosPerUs = 1'000;
  return {.policy = limit.policy.name,
          .identity = "0",
          .subject = limit.subject,
          .algorithm = limit.rule.algorithm,
          .limit = limit.rule.limit,
          .burst = limit.rule.burst,
          .period_us = limit.rule.period / kNanosPerUs,
          .cost = cost};
}

}  // namespace redoubt::test
