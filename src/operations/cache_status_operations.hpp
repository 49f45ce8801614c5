// What serves the cache and the limits now.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/diagnostics.hpp>
#include <redoubt/health.hpp>

namespace redoubt::operations {

void register_cache_status(Registry& registry, Cache& cache, const Health& health,
                           Diagnostics& diagnostics);

}  // namespace redoubt::operations
