// The generations of the cache's invalidations (rd_cache_generation). A tenant's generations are
// one increasing sequence over all names, so one number tells what a copy of an entry has seen.
#pragma once

#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace redoubt::record {

// Gives `name` of `tenant` the next generation, announces it in the journal and returns it. One
// row.
Task<std::int64_t> bump_cache_generation(Unit& unit, std::string tenant, std::string name,
                                         WallTime now);

struct CacheGenerationRow {
  std::string name;
  std::int64_t generation = 0;  // The newest of the name.
  WallTime bumped_at;
};

// The newest rows of the tenant, at most `limit`, the newest first. Empty when nothing was ever
// invalidated.
Task<std::vector<CacheGenerationRow>> newest_cache_generations(sql::Transaction& tx,
                                                               std::string tenant,
                                                               std::size_t limit);

// Deletes at most `batch` rows that say nothing any more: bumped before `before`, when every entry
// of that time has ended, or before everything of the tenant was invalidated. Returns how many.
Task<std::int64_t> sweep_cache_generations(sql::Transaction& tx, WallTime before,
                                           std::size_t batch);

}  // namespace redoubt::record
