// Brings a database to the schema this program knows. Any number of instances may do so at once:
// they wait for each other on an advisory lock.
//
// While a new version starts beside old ones, the old ones go on with the changed schema; whether
// an old one may still start is said by each script ("-- compatible with", sql/migrations.hpp).
#pragma once

#include "sql/migrations.hpp"
#include "sql/postgres/connection.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <span>

namespace redoubt::sql::postgres {

// Applies what is missing, each script in a transaction of its own together with its row in
// rd_migration, and returns the newest number the database has. The scripts' names are in
// ascending order. Refused: "record_newer", "record_changed" (sql/migrations.hpp).
Task<std::int64_t> migrate(Connection& connection, std::span<const Migration> migrations,
                           WallTime now);

}  // namespace redoubt::sql::postgres
