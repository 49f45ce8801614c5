// Diagnostics of Redis as operations: the whole, and the five parts that monitoring scripts ask for
// one by one. Each asks Redis anew.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/diagnostics.hpp>

namespace redoubt::operations {

// `diagnostics` outlives the registry.
void register_diagnostics(Registry& registry, Diagnostics& diagnostics);

}  // namespace redoubt::operations
