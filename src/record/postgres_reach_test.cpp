// The record on PostgreSQL while it is out of reach, and work that comes too late for it.
#include "record/postgres_record.hpp"

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "tests/support/event_log.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>

namespace redoubt::record {
namespace {

using namespace std::chrono_literals;
using test::EventLog;
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

// The system's, with hours that can be made to pass.
class ShiftedClock final : public Clock {
 public:
  WallTime wall() const override { return real_.wall(); }
  BootTime boot() const override { return real_.boot() + passed_.load(); }
  void pass(std::chrono::nanoseconds time) { passed_ = passed_.load() + time; }

 private:
  SystemClock real_;
  std::atomic<std::chrono::nanoseconds> passed_{std::chrono::nanoseconds(0)};
};

// With limits that no test lives to see: what ends was ended by something else.
PostgresRecordOptions patient() {
  PostgresRecordOptions options;
  options.connect_timeout = Duration(600'000);
  options.reply_timeout = Duration(600'000);
  return options;
}

template <class T>
bool is_over(const std::future<T>& work) {
  return work.wait_for(0s) == std::future_status::ready;
}

struct Instance {
  Instance(const std::string& url, Log& log, PostgresRecordOptions options = {}) {
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

  ShiftedClock clock;
  Metrics metrics;
  std::unique_ptr<Record> record;
};

// Counts the events that were logged.
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

TEST_P(CutOff, EndsWhatWasBegunBefore) {
  EventLog log;
  Instance a(url_, log, patient());
  ASSERT_TRUE(a.put_number("test.before", 1));
  ASSERT_EQ(a.number_of("test.before").value_or(-1), 1);

  lose();
  auto read = std::async(std::launch::async, [&] { return a.number_of("test.before"); });
  auto write = std::async(std::launch::async, [&] { return a.put_number("test.before", 2); });
  const bool ended = eventually([&] { return is_over(read) && is_over(write); });
  restore();

  ASSERT_TRUE(ended) << "nobody waits for a database that does not answer";
  const auto number = read.get();
  ASSERT_FALSE(number);
  EXPECT_EQ(number.error().slug, "record_unavailable");
  const auto written = write.get();
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().slug, "record_unavailable") << "its commit was not sent";
  EXPECT_TRUE(eventually([&] { return a.number_of("test.before").value_or(-1) == 1; }));
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

TEST(PostgresReads, AreGivenUpWhenNobodyWaitsForThemAnyLonger) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
  EventLog log;
  const std::string url = PostgresServer::shared().new_database();
  Instance a(url, log, patient());
  Reach reach;
  reach.deadline = a.clock.boot() + 1h;
  std::function<Task<std::int64_t>(sql::Transaction&)> work =
      [&](sql::Transaction& tx) -> Task<std::int64_t> {
    static constexpr sql::Statement without_limit{
        "SELECT set_config('statement_timeout', '0', true)"};
    static constexpr sql::Statement sleep{"SELECT pg_sleep(600)"};
    RD_CO_CHECK(co_await tx.run(without_limit));
    a.clock.pass(1h);
    RD_CO_CHECK(co_await tx.run(sleep));
    co_return 0;
  };

  auto read = std::async(std::launch::async,
                         [&] { return test::run(a.record->read_by<std::int64_t>(reach, work)); });
  const bool ended = eventually([&] { return is_over(read); });
  PostgresServer::shared().execute(
      url,
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
      " WHERE datname = current_database() AND query = 'SELECT pg_sleep(600)'");

  EXPECT_TRUE(ended);
  const auto late = read.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::deadline_exceeded);
}

TEST(PostgresWrites, WhoseCommitIsNotAnsweredAreInDoubtWhenNobodyWaitsAnyLonger) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
  PostgresServer own;
  EventLog log;
  Instance a(own.new_database(), log, patient());
  Reach reach;
  reach.keys = {"test.a"};
  reach.deadline = a.clock.boot() + 1h;
  std::function<Task<void>(Unit&)> work = [&](Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await put(unit, "test.a", 1));
    own.pause();  // Before the commit is sent.
    a.clock.pass(1h);
    co_return Result<void>{};
  };

  auto write = std::async(std::launch::async,
                          [&] { return test::run(a.record->write_within(reach, work)); });
  const bool ended = eventually([&] { return is_over(write); });
  own.resume();

  ASSERT_TRUE(ended);
  const auto unknown = write.get();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().slug, "record_outcome_unknown");
}

}  // namespace
}  // namespace redoubt::record
