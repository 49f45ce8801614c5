#include "sql/sqlite/migrate.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace redoubt::sql::sqlite {
namespace {

constexpr const char* kCreateTable =
    "CREATE TABLE IF NOT EXISTS rd_migration ("
    "  number INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  checksum TEXT NOT NULL,"
    "  applied_at INTEGER NOT NULL"
    ") STRICT";

// A new file becomes ours; another program's is left alone.
Result<void> claim(Connection& connection) {
  RD_TRY(is_new, connection.is_new_or_of(kApplicationId));
  if (!is_new) return {};
  return connection.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
}

Result<std::vector<AppliedMigration>> read_applied(Connection& connection) {
  RD_CHECK(connection.execute(kCreateTable));
  RD_TRY(rows, connection.run("SELECT number, name, checksum FROM rd_migration ORDER BY number"));
  std::vector<AppliedMigration> applied;
  for (const Row& row : rows.rows) {
    applied.push_back({row.integer(0), row.text(1), row.text(2), 0});
  }
  return applied;
}

Result<void> apply_in_transaction(Connection& connection, const NumberedMigration& change,
                                  WallTime now) {
  RD_CHECK(connection.execute(std::string(change.migration.text)));
  const std::array<Param, 4> row{change.number, change.migration.name,
                                 std::string_view(change.checksum), now.ms};
  RD_CHECK(connection.run(
      "INSERT INTO rd_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
      row));
  return connection.execute(fmt::format("PRAGMA user_version = {}", change.number));
}

Result<void> apply(Connection& connection, const NumberedMigration& change, WallTime now) {
  RD_CHECK(connection.execute("BEGIN IMMEDIATE"));
  Result<void> done = apply_in_transaction(connection, change, now);
  if (done) done = connection.execute("COMMIT");
  if (done) return {};
  // The first failure is the one to tell; the engine may have rolled back by itself.
  if (connection.in_transaction()) std::ignore = connection.execute("ROLLBACK");
  Error error = std::move(done).error();
  error.cause = fmt::format("{}: {}", change.migration.name, error.cause);
  return fail(std::move(error));
}

}  // namespace

Result<std::int64_t> migrate(Connection& connection, std::span<const Migration> migrations,
                             WallTime now) {
  RD_CHECK(claim(connection));
  RD_TRY(applied, read_applied(connection));
  RD_TRY(missing, missing_migrations(migrations, applied));
  for (const NumberedMigration& change : missing) {
    RD_CHECK(apply(connection, change, now));
  }
  if (!missing.empty()) return missing.back().number;
  return applied.empty() ? 0 : applied.back().number;
}

}  // namespace redoubt::sql::sqlite
