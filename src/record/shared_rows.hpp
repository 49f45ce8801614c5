// Two facts about the database that others hold on to (rd_meta): its identity, by which a shared
// tier knows whose it is, and what is known of that shared tier, under a revision.
//
// Errors: those of sql::Transaction::run.
#pragma once

#include "base/ids.hpp"
#include "record/record.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace redoubt::record {

// Drawn once for the life of the database: `fresh` becomes it if there is none yet.
Task<Id128> record_identity(Unit& unit, Id128 fresh);

struct SharedTierRow {
  std::int64_t revision = 0;  // 0: there is none yet.
  std::string text;
};
Task<SharedTierRow> read_shared_tier(sql::Transaction& tx);

// The text under revision + 1, if `revision` is still the current one; whether it was.
Task<bool> replace_shared_tier(sql::Transaction& tx, std::int64_t revision, std::string_view text);

}  // namespace redoubt::record
