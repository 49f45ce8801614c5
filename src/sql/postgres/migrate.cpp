#include "sql/postgres/migrate.hpp"

#include <fmt/format.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace redoubt::sql::postgres {
namespace {

// "rdbtmigr"; the keys of units of work are hashes in the same space (record/postgres_locks.hpp).
constexpr std::string_view kLock = "SELECT pg_advisory_lock(8242821470186202994)";
constexpr std::string_view kUnlock = "SELECT pg_advisory_unlock(8242821470186202994)";

constexpr const char* kCreateTable =
    "CREATE TABLE IF NOT EXISTS rd_migration ("
    "  number bigint PRIMARY KEY,"
    "  name text NOT NULL,"
    "  checksum text NOT NULL,"
    "  applied_at bigint NOT NULL,"
    "  compatible_with bigint NOT NULL"
    ")";
constexpr std::string_view kApplied =
    "SELECT number, name, checksum, compatible_with FROM rd_migration ORDER BY number";
constexpr std::string_view kNote =
    "INSERT INTO rd_migration (number, name, checksum, applied_at, compatible_with)"
    " VALUES ($1, $2, $3, $4, $5)";

Task<std::vector<AppliedMigration>> read_applied(Connection& connection) {
  RD_CO_CHECK(co_await connection.execute(kCreateTable));
  RD_CO_TRY(rows, co_await connection.run(kApplied));
  std::vector<AppliedMigration> applied;
  for (const Row& row : rows.rows) {
    applied.push_back({row.integer(0), row.text(1), row.text(2), row.integer(3)});
  }
  co_return applied;
}

Task<void> apply_in_transaction(Connection& connection, const NumberedMigration& change,
                                WallTime now) {
  RD_CO_CHECK(co_await connection.execute(std::string(change.migration.text)));
  const Param row[] = {change.number, change.migration.name, std::string_view(change.checksum),
                       now.ms, change.compatible_with};
  RD_CO_CHECK(co_await connection.run(kNote, Params(row)));
  co_return co_await connection.execute("COMMIT");
}

Task<void> apply(Connection& connection, const NumberedMigration& change, WallTime now) {
  RD_CO_CHECK(co_await connection.execute("BEGIN"));
  auto done = co_await apply_in_transaction(connection, change, now);
  if (done) co_return Result<void>{};
  Error error = std::move(done).error();
  error.cause = fmt::format("{}: {}", change.migration.name, error.cause);
  if (connection.alive()) std::ignore = co_await connection.execute("ROLLBACK");
  co_return fail(std::move(error));
}

Task<std::int64_t> migrate_locked(Connection& connection, std::span<const Migration> migrations,
                                  WallTime now) {
  RD_CO_TRY(applied, co_await read_applied(connection));
  RD_CO_TRY(missing, missing_migrations(migrations, applied));
  for (const NumberedMigration& change : missing) {
    RD_CO_CHECK(co_await apply(connection, change, now));
  }
  if (!missing.empty()) co_return missing.back().number;
  co_return applied.empty() ? 0 : applied.back().number;
}

}  // namespace

Task<std::int64_t> migrate(Connection& connection, std::span<const Migration> migrations,
                           WallTime now) {
  RD_CO_CHECK(co_await connection.run(kLock));
  auto newest = co_await migrate_locked(connection, migrations, now);
  if (connection.alive()) std::ignore = co_await connection.run(kUnlock);
  co_return newest;
}

}  // namespace redoubt::sql::postgres
