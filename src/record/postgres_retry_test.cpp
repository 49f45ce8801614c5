// What the record on PostgreSQL tries again by itself when a connection was lost, and how often.
#include "base/retry_budget.hpp"
#include "record/postgres_record.hpp"
#include "tests/support/postgres_record_fixture.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace redoubt::record {
namespace {

using test::PostgresServer;

constexpr int kLanesAndMore = 8;  // Writes after each other, so that every connection has its turn.
constexpr int kAsked = 20;
constexpr auto kRetriesMax = RetryBudget::kRetriesMax + kAsked / RetryBudget::kAttemptsPerRetry;

// Ends the connection that it runs on.
Task<void> end_the_connection(sql::Transaction& tx) {
  static constexpr sql::Statement end{"SELECT pg_terminate_backend(pg_backend_pid())"};
  RD_CO_CHECK(co_await tx.run(end));
  co_return Result<void>{};
}

using PostgresRetries = PostgresRecord;

TEST_F(PostgresRetries, OfReadsAreATenthOfWhatIsAskedFor) {
  Instance a(url_);
  int runs = 0;
  std::function<Task<void>(sql::Transaction&)> work = [&](sql::Transaction& tx) {
    ++runs;
    return end_the_connection(tx);
  };

  for (int i = 0; i < kAsked; ++i) EXPECT_FALSE(test::run(a.record->read_snapshot(work)));

  EXPECT_GE(runs - kAsked, RetryBudget::kRetriesMax);
  EXPECT_LE(runs - kAsked, kRetriesMax);
}

TEST_F(PostgresRetries, OfWritesAreATenthOfWhatIsAskedFor) {
  Instance a(url_);
  int runs = 0;
  Reach reach;
  reach.keys = {"test.a"};
  std::function<Task<void>(Unit&)> work = [&](Unit& unit) {
    ++runs;
    return end_the_connection(unit);
  };

  for (int i = 0; i < kAsked; ++i) EXPECT_FALSE(test::run(a.record->write_within(reach, work)));

  EXPECT_GE(runs - kAsked, RetryBudget::kRetriesMax);
  EXPECT_LE(runs - kAsked, kRetriesMax);
}

TEST_F(PostgresRetries, AreNotForWhatMayTouchAnything) {
  Instance a(url_);
  int runs = 0;

  const auto refused = a.write([&](Unit& unit) {
    ++runs;
    return end_the_connection(unit);
  });

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_unavailable");
  EXPECT_EQ(runs, 1);
}

// Those that idled meanwhile are opened anew before anything is sent on them.
TEST_F(PostgresRetries, AreNotNeededOnConnectionsFromBeforeARestart) {
  PostgresServer own;
  Instance a(own.new_database());
  const auto write = [&](int i) {
    Reach reach;
    if (i % 2 != 0) reach.keys = {"test.a"};
    std::function<Task<void>(Unit&)> work = [i](Unit& unit) { return put(unit, "test.a", i); };
    return test::run(a.record->write_within(reach, work));
  };
  for (int i = 0; i < kLanesAndMore; ++i) ASSERT_TRUE(write(i));

  own.stop();
  ASSERT_TRUE(eventually([&] { return a.record->status().state == State::down; }));
  own.start();
  ASSERT_TRUE(eventually([&] { return a.record->status().state == State::normal; }));
  const WallTime back = a.record->status().since;

  for (int i = 0; i < kLanesAndMore; ++i) {
    const auto done = write(i);
    EXPECT_TRUE(done) << i << ": " << done.error().message;
  }
  EXPECT_EQ(a.record->status().since, back) << "it was not down once more";
}

}  // namespace
}  // namespace redoubt::record
