// Brings a database to the schema this program knows, one numbered script after the other.
#pragma once

#include "sql/sqlite/connection.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace redoubt::sql::sqlite {

struct Migration {
  std::string_view name;  // "0001_core.sql": its number, then what it is about.
  std::string_view text;
};

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
