#include "sql/sqlite/migrate.hpp"

#include "base/bytes.hpp"
#include "base/crypto.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <map>
#include <string>
#include <utility>

namespace redoubt::sql::sqlite {
namespace {

constexpr const char* kCreateTable =
    "CREATE TABLE IF NOT EXISTS rd_migration ("
    "  number INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL,"
    "  checksum TEXT NOT NULL,"
    "  applied_at INTEGER NOT NULL"
    ") STRICT";

struct Applied {
  std::string name;
  std::string checksum;
};

Error refusal(std::string slug, std::string message) {
  return Error(Errc::conflict, std::move(slug), std::move(message));
}

std::string checksum_of(std::string_view text) {
  return to_hex(sha256(as_bytes(text)));
}

Result<std::int64_t> number_of(std::string_view name) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || number <= 0 || end == name.data() + name.size() || *end != '_') {
    return fail(internal(fmt::format("migration without a number: {}", name)));
  }
  return number;
}

// A new file becomes ours; another program's is left alone.
Result<void> claim(Connection& connection) {
  RD_TRY(is_new, connection.is_new_or_of(kApplicationId));
  if (!is_new) return {};
  return connection.execute(fmt::format("PRAGMA application_id = {}", kApplicationId));
}

Result<std::map<std::int64_t, Applied>> read_applied(Connection& connection) {
  RD_CHECK(connection.execute(kCreateTable));
  RD_TRY(rows, connection.run("SELECT number, name, checksum FROM rd_migration ORDER BY number"));
  std::map<std::int64_t, Applied> applied;
  for (const Row& row : rows.rows) {
    applied.emplace(row.integer(0), Applied{row.text(1), row.text(2)});
  }
  return applied;
}

// Everything that was applied is known to this program, unchanged.
Result<void> compare(const std::map<std::int64_t, Applied>& applied,
                     const std::map<std::int64_t, Migration>& known) {
  for (const auto& [number, was] : applied) {
    const auto ours = known.find(number);
    if (ours == known.end()) {
      return fail(refusal("record_newer",
                          fmt::format("The database has the schema change {} ({}), which this "
                                      "version does not know. Run the newer version, or restore a "
                                      "backup made before the upgrade.",
                                      number, was.name)));
    }
    if (checksum_of(ours->second.text) != was.checksum) {
      return fail(refusal("record_changed",
                          fmt::format("The schema change {} is not the one this database was made "
                                      "with ({}): the program was built from altered sources.",
                                      ours->second.name, was.name)));
    }
  }
  return {};
}

Result<void> apply_in_transaction(Connection& connection, std::int64_t number,
                                  const Migration& migration, WallTime now) {
  RD_CHECK(connection.execute(std::string(migration.text)));
  const std::string checksum = checksum_of(migration.text);
  const std::array<Param, 4> row{number, migration.name, std::string_view(checksum), now.ms};
  RD_CHECK(connection.run(
      "INSERT INTO rd_migration (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
      row));
  return connection.execute(fmt::format("PRAGMA user_version = {}", number));
}

Result<void> apply(Connection& connection, std::int64_t number, const Migration& migration,
                   WallTime now) {
  RD_CHECK(connection.execute("BEGIN IMMEDIATE"));
  Result<void> done = apply_in_transaction(connection, number, migration, now);
  if (done) done = connection.execute("COMMIT");
  if (done) return {};
  // The first failure is the one to tell; the engine may have rolled back by itself.
  if (connection.in_transaction()) std::ignore = connection.execute("ROLLBACK");
  Error error = std::move(done).error();
  error.cause = fmt::format("{}: {}", migration.name, error.cause);
  return fail(std::move(error));
}

}  // namespace

Result<std::int64_t> migrate(Connection& connection, std::span<const Migration> migrations,
                             WallTime now) {
  std::map<std::int64_t, Migration> known;
  for (const Migration& migration : migrations) {
    RD_TRY(number, number_of(migration.name));
    if (!known.emplace(number, migration).second) {
      return fail(internal(fmt::format("two migrations have the number {}", number)));
    }
  }
  RD_CHECK(claim(connection));
  RD_TRY(applied, read_applied(connection));
  RD_CHECK(compare(applied, known));
  for (const auto& [number, migration] : known) {
    if (applied.contains(number)) continue;
    if (!applied.empty() && number < applied.rbegin()->first) {
      return fail(refusal("record_changed",
                          fmt::format("The database lacks the schema change {} but has later ones: "
                                      "the program was built from altered sources.",
                                      migration.name)));
    }
    RD_CHECK(apply(connection, number, migration, now));
  }
  return known.empty() ? 0 : known.rbegin()->first;
}

}  // namespace redoubt::sql::sqlite
