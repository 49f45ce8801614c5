#include "tests/support/record_home.hpp"

#include "base/clock.hpp"
#include "record/postgres_record.hpp"
#include "record/sqlite_record.hpp"
#include "sql/sqlite/connection.hpp"
#include "tests/support/postgres_server.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace redoubt::test {
namespace {

std::unique_ptr<record::Record> checked(Result<std::unique_ptr<record::Record>> opened) {
  if (opened) return std::move(*opened);
  throw std::runtime_error(opened.error().message + " " + opened.error().cause);
}

// Migrated once for all homes of the process.
const std::string& migrated() {
  static const std::string url = [] {
    SystemClock clock;
    Metrics metrics;
    record::PostgresRecordOptions options;
    std::string made = PostgresServer::shared().new_database();
    options.url = Secret(made);
    checked(record::open_postgres_record(options, clock, null_log(), metrics))->stop();
    return made;
  }();
  return url;
}

}  // namespace

bool RecordHome::is_postgres() {
  const char* engine = std::getenv("REDOUBT_TEST_RECORD");
  return engine != nullptr && std::string_view(engine) == "postgresql";
}

std::unique_ptr<record::Record> RecordHome::open(Clock& clock, Metrics& metrics, Options options) {
  if (!is_postgres()) {
    record::SqliteRecordOptions sqlite;
    sqlite.path = path();
    sqlite.queue_units_max = options.queue_units_max;
    if (options.batch_units_max > 0) sqlite.batch_units_max = options.batch_units_max;
    return checked(record::open_sqlite_record(sqlite, clock, null_log(), metrics));
  }
  if (url_.empty()) url_ = PostgresServer::shared().copy_of(migrated());
  record::PostgresRecordOptions postgres;
  postgres.url = Secret(url_);
  postgres.queue_units_max = options.queue_units_max;
  if (options.batch_units_max > 0) postgres.batch_units_max = options.batch_units_max;
  postgres.limits_by_own_clock = true;  // The test's.
  return checked(record::open_postgres_record(postgres, clock, null_log(), metrics));
}

std::vector<std::string> RecordHome::files() const {
  std::filesystem::path directory = directory_.path();
  if (is_postgres()) {
    PostgresServer::shared().execute(url_, "CHECKPOINT");
    directory = PostgresServer::shared().data_directory();
  }
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) out.push_back(entry.path());
  }
  return out;
}

void RecordHome::tamper(const std::string& script) {
  if (is_postgres()) {
    PostgresServer::shared().execute(url_, "ALTER TABLE rd_audit DISABLE TRIGGER USER;" + script);
    return;
  }
  sql::sqlite::ConnectionOptions options;
  options.path = path();
  auto db = sql::sqlite::Connection::open(options);
  if (!db) throw std::runtime_error(db.error().cause);
  const auto done = (*db)->execute(
      "DROP TRIGGER IF EXISTS rd_audit_no_update; DROP TRIGGER IF EXISTS rd_audit_no_delete;"
      "DROP TRIGGER IF EXISTS rd_audit_no_replace;" +
      script);
  if (!done) throw std::runtime_error(done.error().cause);
}

}  // namespace redoubt::test
