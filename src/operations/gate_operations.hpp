#pragma once

#include "operations/operation.hpp"

#include <redoubt/gate.hpp>

namespace redoubt::operations {

// The HTTP status that says the same.
int status_of(GateOutcome outcome);

void register_gate(Registry& registry, Gate& gate, const Clock& clock);

}  // namespace redoubt::operations
