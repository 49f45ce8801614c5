// Rate limits as operations: limits.check, limits.peek, limits.refund, limits.reset,
// limits.policies.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/audit.hpp>
#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>

namespace redoubt::operations {

// `limits`, `clock` and `audit` outlive the registry.
void register_limits(Registry& registry, Limits& limits, const Clock& clock, Audit& audit);

}  // namespace redoubt::operations
