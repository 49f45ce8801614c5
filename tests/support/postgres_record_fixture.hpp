// Instances of the record on one real PostgreSQL.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "record/postgres_record.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace redoubt::record {

inline constexpr sql::Statement kPut{
    "INSERT INTO rd_meta (name, number) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number"};
inline constexpr sql::Statement kGet{"SELECT number FROM rd_meta WHERE name = $1"};

inline Task<void> put(sql::Transaction& tx, std::string name, std::int64_t number) {
  RD_CO_CHECK(co_await tx.run(kPut, {std::string_view(name), number}));
  co_return Result<void>{};
}

inline Task<std::int64_t> get(sql::Transaction& tx, std::string name) {
  RD_CO_TRY(rows, co_await tx.run(kGet, {std::string_view(name)}));
  co_return rows.empty() ? -1 : rows[0].integer(0);
}

inline Task<void> announce(Unit& unit, std::string key) {
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::session, .tenant = "t", .key = key});
  co_return Result<void>{};
}

inline bool eventually(const std::function<bool()>& done) {
  return test::poll_until(
      done, [] {}, std::chrono::milliseconds(10), 1'000);
}

// One instance of the server, as far as the record goes.
struct Instance {
  explicit Instance(const std::string& url, PostgresRecordOptions options = {}) {
    options.url = Secret(url);
    auto opened = open_postgres_record(options, clock, null_log(), metrics);
    EXPECT_TRUE(opened) << opened.error().message << opened.error().cause;
    record = std::move(*opened);
    record->subscribe([this](const JournalEntry& entry) {
      const std::lock_guard lock(mutex);
      if (entry.kind == JournalEntry::Kind::everything) {
        ++everything;
      } else {
        heard.insert(entry.key);
      }
    });
  }

  Result<void> write(std::function<Task<void>(Unit&)> work) {
    return test::run(record->write_unit(std::move(work)));
  }
  Result<void> put_number(const std::string& name, std::int64_t number) {
    return write([&](Unit& unit) { return put(unit, name, number); });
  }
  Result<std::int64_t> number_of(const std::string& name) {
    return test::run(
        record->read<std::int64_t>([&](sql::Transaction& tx) { return get(tx, name); }));
  }
  bool has_heard(const std::string& key) {
    const std::lock_guard lock(mutex);
    return heard.contains(key);
  }
  int times_everything() {
    const std::lock_guard lock(mutex);
    return everything;
  }
  bool fresh() { return record->fresh_until() > clock.boot(); }

  SystemClock clock;
  Metrics metrics;
  std::mutex mutex;  // Guards the two below.
  std::multiset<std::string> heard;
  int everything = 0;
  std::unique_ptr<Record> record;
};

class PostgresRecord : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = server().new_database();
  }
  static test::PostgresServer& server() { return test::PostgresServer::shared(); }
  std::string value(const std::string& sql) { return server().execute(url_, sql); }

  std::string url_;
};

}  // namespace redoubt::record
