// The record on PostgreSQL while it is out of reach, and work that comes too late for it.
#include "record/postgres_record.hpp"

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace redoubt::record {
namespace {

using namespace std::chrono_literals;
using test::PostgresServer;

constexpr sql::Statement kPut{
    "INSERT INTO rd_meta (name, number) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number"};
constexpr sql::Statement kGet{"SELECT number FROM rd_meta WHERE name = $1"};

Task<void> put(sql::Transaction& tx, std::string name, std::int64_t number) {
  RD_CO_CHECK(co_await tx.run(kPut, {std::string_view(name), number}));
  co_return Result<void>{};
}

Task<std::int64_t> get(sql::Transaction& tx, std::string name) {
  RD_CO_TRY(rows, co_await tx.run(kGet, {std::string_view(name)}));
  co_return rows.empty() ? -1 : rows[0].integer(0);
}

bool eventually(const std::function<bool()>& done) {
  return test::poll_until(
      done, [] {}, 10ms, 1'000);
}

struct Instance {
  Instance(const std::string& url, Log& log) {
    PostgresRecordOptions options;
    options.url = Secret(url);
    auto opened = open_postgres_record(options, clock, log, metrics);
    EXPECT_TRUE(opened) << opened.error().message << opened.error().cause;
    record = std::move(*opened);
  }
  ~Instance() { record->stop(); }

  Result<void> put_number(const std::string& name, std::int64_t number) {
    return test::run(record->write_unit([&](Unit& unit) { return put(unit, name, number); }));
  }
  Result<std::int64_t> number_of(const std::string& name) {
    return test::run(
        record->read<std::int64_t>([&](sql::Transaction& tx) { return get(tx, name); }));
  }
  bool fresh() const { return record->fresh_until() > clock.boot(); }

  SystemClock clock;
  Metrics metrics;
  std::unique_ptr<Record> record;
};

// Counts the events that were logged.
class EventLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view event, std::initializer_list<LogField>) override {
    const std::lock_guard lock(mutex_);
    ++events_[std::string(event)];
  }
  int count(const std::string& event) {
    const std::lock_guard lock(mutex_);
    return events_[event];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> events_;
};

// Stopped, so that not even a refusal comes; and gone.
class CutOff : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = server().new_database();
  }
  ~CutOff() override {
    if (lost_) restore();
  }
  void lose() {
    GetParam() ? server().pause() : server().kill();
    lost_ = true;
  }
  static PostgresServer& server() { return PostgresServer::shared(); }
  void restore() {
    GetParam() ? server().resume() : server().start();
    lost_ = false;
  }

  std::string url_;

 private:
  bool lost_ = false;
};

TEST_P(CutOff, IsKnownAndNobodyWaitsAndItEndsByItself) {
  EventLog log;
  Instance a(url_, log);
  ASSERT_TRUE(a.put_number("test.before", 1));
  EXPECT_FALSE(a.record->cut_off());

  lose();
  ASSERT_TRUE(eventually([&] { return !a.fresh(); }));
  EXPECT_TRUE(a.record->cut_off()) << "known before copies grow old";
  ASSERT_TRUE(eventually([&] { return a.record->status().state == State::down; }));
  EXPECT_NE(a.record->status().reason, "");
  const BootTime began = a.clock.boot();
  const auto read = a.number_of("test.before");
  EXPECT_LT(a.clock.boot() - began, 1s) << "nobody waits for a database that does not answer";
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().slug, "record_unavailable");
  EXPECT_EQ(log.count("record.state_changed"), 1);

  restore();
  EXPECT_TRUE(eventually([&] { return !a.record->cut_off() && a.fresh(); }));
  EXPECT_EQ(a.record->status().state, State::normal) << "without a write";
  EXPECT_EQ(a.number_of("test.before").value_or(-1), 1);
  EXPECT_EQ(log.count("record.state_changed"), 2) << "one line each way";
}

INSTANTIATE_TEST_SUITE_P(Postgres, CutOff, testing::Bool(),
                         [](const auto& test) { return test.param ? "Stopped" : "Killed"; });

TEST(PostgresReads, AreNotBegunThatNobodyWaitsForAnyLonger) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
  EventLog log;
  Instance a(PostgresServer::shared().new_database(), log);
  Reach reach;
  reach.deadline = a.clock.boot();
  bool began = false;
  std::function<Task<std::int64_t>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    began = true;
    return get(tx, "test.before");
  };

  const auto read = test::run(a.record->read_by<std::int64_t>(reach, work));

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::deadline_exceeded);
  EXPECT_FALSE(began);
}

}  // namespace
}  // namespace redoubt::record
