// What an administrator asks of the cache: its figures, its keys, clearing, and the dashboard's keys.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/cache.hpp>

namespace redoubt::operations {

// Part of register_cache().
void register_cache_admin(Registry& registry, Cache& cache);

}  // namespace redoubt::operations
