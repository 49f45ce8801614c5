// Brings a database to the schema this program knows, one numbered script after the other.
#pragma once

#include "sql/migrations.hpp"
#include "sql/sqlite/connection.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <span>

namespace redoubt::sql::sqlite {

// Marks a file as ours ("rdbt"); `file database.db` and this program both read it.
inline constexpr std::int64_t kApplicationId = 0x72646274;

// Applies what is missing, each script in a transaction of its own together with its row in
// rd_migration, and returns the newest number. `migrations` are in ascending order of number.
//
// Refused, with a sentence for the operator: a database of another program (conflict
// "record_foreign"), one that a newer version of this program has changed ("record_newer"), one
// whose applied scripts differ from ours ("record_changed").
Result<std::int64_t> migrate(Connection& connection, std::span<const Migration> migrations,
                             WallTime now);

}  // namespace redoubt::sql::sqlite
