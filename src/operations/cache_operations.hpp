// The operations of the cache: entries, leases, batches, invalidation; and those for
// administrators.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/cache.hpp>

namespace redoubt::operations {

void register_cache(Registry& registry, Cache& cache);

}  // namespace redoubt::operations
