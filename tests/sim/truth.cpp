#include "tests/sim/truth.hpp"

#include "redoubt_migrations.hpp"
#include "sql/sqlite/migrate.hpp"

#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <stdlib.h>

namespace redoubt::sim {
namespace {

using sql::sqlite::Connection;

// Memory that has a path, where there is one.
std::string make_directory() {
  std::error_code error;
  std::filesystem::path base = "/dev/shm";
  if (!std::filesystem::is_directory(base, error)) {
    base = std::filesystem::temp_directory_path(error);
  }
  std::string path = (base / "redoubt-sim-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  return path;
}

constexpr std::string_view kTables =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'rd_%'"
    " AND name <> 'rd_migration'";

}  // namespace

Truth::Truth(std::string directory, std::unique_ptr<Connection> connection)
    : directory_(std::move(directory)), connection_(std::move(connection)) {}

Truth::~Truth() {
  connection_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result<std::unique_ptr<Truth>> Truth::open() {
  std::string directory = make_directory();
  sql::sqlite::ConnectionOptions options;
  options.path = directory + "/redoubt.db";
  options.durable = false;
  options.cache_bytes = 16 << 20;
  options.application_id = sql::sqlite::kApplicationId;
  RD_TRY(connection, Connection::open(options));
  std::vector<sql::Migration> known;
  for (const migrations::File& file : migrations::all) known.push_back({file.name, file.text});
  RD_TRY(schema, sql::sqlite::migrate(*connection, known, WallTime{0}));
  static_cast<void>(schema);
  // What guards the audit trail guards it against clear(), too.
  RD_CHECK(connection->execute(
      "DROP TRIGGER rd_audit_no_update; DROP TRIGGER rd_audit_no_replace;"
      "DROP TRIGGER rd_audit_no_delete; PRAGMA foreign_keys = OFF;"));
  RD_TRY(tables, connection->run(kTables));
  std::unique_ptr<Truth> truth(new Truth(std::move(directory), std::move(connection)));
  for (const sql::Row& row : tables.rows) truth->tables_.push_back(row.text(0));
  return truth;
}

void Truth::clear() {
  std::string script = "BEGIN;";
  for (const std::string& table : tables_) script += "DELETE FROM " + table + ";";
  script += "COMMIT; PRAGMA wal_checkpoint(TRUNCATE);";
  const auto cleared = connection_->execute(script);
  if (!cleared) throw std::runtime_error("the database was not cleared: " + cleared.error().cause);
  audit_ = {};
  journal_.clear();
  instances_.clear();
  running_.clear();
  xids_ = 100;
  seqs_ = 0;
  up_ = true;
}

Truth::Snapshot Truth::look(std::int64_t after, const std::vector<std::int64_t>& holes) const {
  Snapshot snapshot;
  snapshot.xmax = xids_ + 1;
  snapshot.xmin = running_.empty() ? snapshot.xmax : *running_.begin();
  for (const std::int64_t hole : holes) {
    const auto it = journal_.find(hole);
    if (it != journal_.end()) snapshot.rows.push_back(it->second);
  }
  for (auto it = journal_.upper_bound(after); it != journal_.end(); ++it) {
    snapshot.rows.push_back(it->second);
  }
  return snapshot;
}

std::vector<record::InstanceRow> Truth::instances() const {
  std::vector<record::InstanceRow> rows;
  for (const auto& [id, row] : instances_) rows.push_back(row);
  return rows;
}

}  // namespace redoubt::sim
