// What the cache writes into the record.
//
// Threads: the record's own (record.hpp).
#pragma once

#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace redoubt::cache {

// Gives each of `names` the next generation of the tenant, and returns the last one. That the whole
// cache was cleared is in the audit trail. REQUIRES: a name; "" stands alone.
Task<std::int64_t> bump_unit(record::Unit& unit, std::vector<std::string> names,
                             record::AuditEvent audit, WallTime now);

}  // namespace redoubt::cache
