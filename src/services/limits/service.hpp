// Limits over the engine (soft) and the record (strict).
#pragma once

#include "base/metrics.hpp"
#include "local/limit_engine.hpp"
#include "record/record.hpp"
#include "shared/limits.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace redoubt::limits {

// Redis, when there is one; outlives the Limits.
struct SharedTier {
  shared::SharedLimits* limits = nullptr;
  // How many instances share a limit while Redis is away; at least 1.
  std::function<std::int64_t()> instances = [] { return std::int64_t{1}; };
  // Redis is turned off: shares are what is meant to decide, and nothing is said of them.
  std::function<bool()> off = [] { return false; };
  // Others may enforce the same limits: over a Redis that there is or was, or on one record. Until
  // then they are those of this process alone.
  std::function<bool()> others = [] { return true; };
};

// One for each worker, over one engine. The references outlive it. With a shared tier, soft limits
// are decided there, for all instances together, and by shares while it cannot be asked.
// Errors: invalid_argument that names the policy and the field.
Result<std::unique_ptr<Limits>> make_limits(local::LimitEngine& engine, record::Record& record,
                                            const Clock& clock, std::vector<LimitPolicy> policies,
                                            Metrics& metrics, SharedTier shared = {});

// Deletes at most `batch` rows of strict limits that have been full for a day, so that a clock that
// was ahead for less has not cost anybody his row; returns how many. For the cleanup job.
Task<std::int64_t> sweep_strict_limits(record::Record& record, const Clock& clock,
                                       std::size_t batch);

}  // namespace redoubt::limits
