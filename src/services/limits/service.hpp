// Limits over the engine (soft) and the record (strict).
#pragma once

#include "base/metrics.hpp"
#include "local/limit_engine.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace redoubt::limits {

// One for each worker, over one engine. The references outlive it.
// Errors: invalid_argument that names the policy and the field.
Result<std::unique_ptr<Limits>> make_limits(local::LimitEngine& engine, record::Record& record,
                                            const Clock& clock, std::vector<LimitPolicy> policies,
                                            Metrics& metrics);

// Deletes at most `batch` rows of strict limits that have been full for a day, so that a clock that
// was ahead for less has not cost anybody his row; returns how many. For the cleanup job.
Task<std::int64_t> sweep_strict_limits(record::Record& record, const Clock& clock,
                                       std::size_t batch);

}  // namespace redoubt::limits
