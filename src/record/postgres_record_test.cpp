// What only PostgreSQL has: several instances on one record. What every engine does alike is in
// record_test.cpp.
#include "record/postgres_record.hpp"

#include "record/audit.hpp"
#include "tests/support/postgres_record_fixture.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

TEST_F(PostgresRecord, TellsEveryInstanceWhatChanged) {
  Instance a(url_);
  Instance b(url_);

  ASSERT_TRUE(a.write([](Unit& unit) { return announce(unit, "x"); }));

  EXPECT_TRUE(a.has_heard("x")) << "its own before the writer knows";
  EXPECT_TRUE(eventually([&] { return b.has_heard("x"); }));
  ASSERT_TRUE(b.write([](Unit& unit) { return announce(unit, "y"); }));
  EXPECT_TRUE(eventually([&] { return a.has_heard("y"); }));
}

TEST_F(PostgresRecord, HearsWhatCommitsLateBehindWhatCommittedBefore) {
  Instance a(url_);
  server().execute(url_,
                   "CREATE TABLE late (x int);"
                   "SELECT setval('rd_journal_seq_seq', 100)");
  // A transaction that draws a number and commits a second later, and one that overtakes it.
  std::thread late([&] {
    server().execute(url_,
                     "BEGIN; SELECT pg_current_xact_id();"
                     "INSERT INTO rd_journal (origin, tenant, kind, key, value)"
                     " VALUES ('other', 't', 0, 'late', 0); SELECT pg_sleep(1); COMMIT");
  });
  ASSERT_TRUE(eventually([&] {
    return value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1";
  }));
  value(
      "INSERT INTO rd_journal (origin, tenant, kind, key, value)"
      " VALUES ('other', 't', 0, 'early', 0)");

  EXPECT_TRUE(eventually([&] { return a.has_heard("early"); }));
  EXPECT_FALSE(a.has_heard("late"));
  late.join();
  EXPECT_TRUE(eventually([&] { return a.has_heard("late"); }));
}

TEST_F(PostgresRecord, HearsWhatCommitsLateThoughItBeganLater) {
  Instance a(url_);
  const auto sleepers = [&](const std::string& count) {
    return eventually([&] {
      return value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == count;
    });
  };
  // The one with the older id draws its number last and commits first.
  std::thread early([&] {
    server().execute(url_,
                     "BEGIN; SELECT pg_current_xact_id(); SELECT pg_sleep(1);"
                     "INSERT INTO rd_journal (origin, tenant, kind, key, value)"
                     " VALUES ('other', 't', 0, 'early', 0); COMMIT");
  });
  EXPECT_TRUE(sleepers("1"));
  std::thread late([&] {
    server().execute(url_,
                     "BEGIN; SELECT pg_current_xact_id();"
                     "INSERT INTO rd_journal (origin, tenant, kind, key, value)"
                     " VALUES ('other', 't', 0, 'late', 0); SELECT pg_sleep(2); COMMIT");
  });

  EXPECT_TRUE(eventually([&] { return a.has_heard("early"); }));
  EXPECT_FALSE(a.has_heard("late"));
  early.join();
  late.join();
  EXPECT_TRUE(eventually([&] { return a.has_heard("late"); }));
}

TEST_F(PostgresRecord, TrustsItsCopiesOnlyWhileItReadsTheJournal) {
  Instance a(url_);
  ASSERT_TRUE(a.fresh());
  const BootTime before = a.record->fresh_until();
  EXPECT_TRUE(eventually([&] { return a.record->fresh_until() > before; }));
  EXPECT_LE(a.record->fresh_until(), a.clock.boot() + 2s);

  server().pause();
  const bool stale = eventually([&] { return !a.fresh(); });
  server().resume();

  EXPECT_TRUE(stale) << "within two seconds of the last look";
  EXPECT_TRUE(eventually([&] { return a.fresh(); }));
}

TEST_F(PostgresRecord, WaitsUntilEveryInstanceHasHeard) {
  Instance a(url_);
  Instance b(url_);
  for (int i = 0; i < 3; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_TRUE(a.write([&](Unit& unit) { return announce(unit, key); }));

    ASSERT_TRUE(test::run(a.record->wait_for_all()));

    EXPECT_TRUE(b.has_heard(key));
  }
}

TEST_F(PostgresRecord, WaitsNoLongerThanASilentInstanceTrustsItsCopies) {
  Instance a(url_);
  value("INSERT INTO rd_instance (id, heartbeat, journal_seq) VALUES ('silent', 1, 0)");
  ASSERT_TRUE(a.write([](Unit& unit) { return announce(unit, "x"); }));
  const BootTime began = a.clock.boot();

  ASSERT_TRUE(test::run(a.record->wait_for_all()));

  EXPECT_GE(a.clock.boot() - began, 2s);
  EXPECT_LT(a.clock.boot() - began, 10s);
}

// What cannot be read by then has stopped being trusted: the wait ends all the same.
TEST_F(PostgresRecord, WaitsNoLongerWhenTheDatabaseStopsAnswering) {
  Instance a(url_);
  ASSERT_TRUE(a.write([](Unit& unit) { return announce(unit, "x"); }));
  server().pause();
  const BootTime began = a.clock.boot();

  const auto waited = test::run(a.record->wait_for_all());

  const auto took = a.clock.boot() - began;
  server().resume();
  EXPECT_TRUE(waited);
  EXPECT_GE(took, 2s);
  EXPECT_LT(took, 6s) << "less than the database may be silent for";
}

TEST_F(PostgresRecord, CountsTheInstancesThatRun) {
  Instance a(url_);
  {
    Instance b(url_);
    EXPECT_TRUE(eventually([&] { return a.record->status().instances == 2; }));
  }
  EXPECT_TRUE(eventually([&] { return a.record->status().instances == 1; }))
      << "one that stops says so";
}

TEST_F(PostgresRecord, TenInstancesStartAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> written = 0;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&, i] {
      PostgresRecordOptions options;
      options.connections_max = 4;
      Instance instance(url_, options);
      if (instance.put_number("test." + std::to_string(i), i)) ++written;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(written, 10);
  EXPECT_EQ(value("SELECT count(*) FROM rd_meta WHERE name LIKE 'test.%'"), "10");
}

TEST_F(PostgresRecord, NoticesThatTheDatabaseIsAnotherOne) {
  Instance a(url_);
  const Status before = a.record->status();
  EXPECT_NE(before.server, "");
  EXPECT_EQ(before.timeline, 1);
  const int everything = a.times_everything();
  value("UPDATE rd_meta SET number = 7 WHERE name = 'database.incarnation'");

  value(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'redoubt'"
      " AND datname = current_database()");

  EXPECT_TRUE(eventually([&] { return a.times_everything() > everything; }))
      << "no copy is good any more";
  EXPECT_EQ(value("SELECT number FROM rd_meta WHERE name = 'database.incarnation'"), "1");
}

// ---- Units that say what they reach ----

TEST_F(PostgresRecord, LosesNoUpdateOfUnitsOnSeveralInstances) {
  Instance a(url_);
  Instance b(url_);
  constexpr int kEach = 100;
  std::atomic<int> failed = 0;
  const auto count_up = [&](Record& record, bool within) {
    asio::io_context io;
    const auto worker = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < kEach; ++i) {
        std::function<Task<void>(Unit&)> work = [](Unit& unit) -> Task<void> {
          RD_CO_TRY(now, co_await get(unit, "test.counter"));
          co_return co_await put(unit, "test.counter", now + 1);
        };
        Reach reach;
        if (within) reach.keys = {"counter"};
        const auto done = co_await record.write_within(std::move(reach), std::move(work));
        if (!done) ++failed;
      }
    };
    for (int i = 0; i < 4; ++i) asio::co_spawn(io, worker(), [](std::exception_ptr) {});
    io.run();
  };
  ASSERT_TRUE(a.put_number("test.counter", 0));

  std::thread first([&] { count_up(*a.record, true); });
  std::thread second([&] { count_up(*b.record, true); });
  std::thread third([&] { count_up(*b.record, false); });
  for (std::thread* thread : {&first, &second, &third}) thread->join();

  EXPECT_EQ(failed, 0);
  EXPECT_EQ(a.number_of("test.counter").value(), 3 * 4 * kEach);
}

// Others wait for the locks of a whole batch: where units take long, few of them share one.
TEST_F(PostgresRecord, CommitsFewUnitsTogetherWhereTheyTakeLong) {
  Instance a(url_);
  const Counter& batches =
      a.metrics.counter("redoubt_record_batches_total", "Transactions committed.");
  const std::uint64_t before = batches.value();
  constexpr int kUnits = 50;
  constexpr sql::Statement kSlowly{"SELECT pg_sleep(0.025)"};
  asio::io_context io;
  for (int i = 0; i < kUnits; ++i) {
    const std::string name = "test." + std::to_string(i);
    std::function<Task<void>(Unit&)> work = [&kSlowly, name](Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await unit.run(kSlowly));
      co_return co_await put(unit, name, 1);
    };
    Reach reach;
    reach.keys = {name};
    asio::co_spawn(io, a.record->write_within(std::move(reach), std::move(work)),
                   [](std::exception_ptr, const Result<void>& done) { EXPECT_TRUE(done); });
  }
  io.run();

  // Two of them at most are done in a twentieth of a second.
  EXPECT_GE(batches.value() - before, kUnits / 2U);
}

// Two units that touch the same rows in opposite order, having said that they do not meet.
TEST_F(PostgresRecord, RunsAUnitAgainThatLostADeadlock) {
  Instance a(url_);
  ASSERT_TRUE(a.put_number("test.a", 0));
  ASSERT_TRUE(a.put_number("test.b", 0));
  constexpr sql::Statement kSlowly{"SELECT pg_sleep(0.3)"};
  const auto both = [&](const char* key, const char* first, const char* second) {
    std::function<Task<void>(Unit&)> work = [&kSlowly, first, second](Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await put(unit, first, 1));
      RD_CO_CHECK(co_await unit.run(kSlowly));
      co_return co_await put(unit, second, 1);
    };
    Reach reach;
    reach.keys = {key};
    return test::run(a.record->write_within(std::move(reach), std::move(work)));
  };

  Result<void> one;
  std::thread other([&] { one = both("one", "test.a", "test.b"); });
  const Result<void> two = both("two", "test.b", "test.a");
  other.join();

  EXPECT_TRUE(one) << one.error().cause;
  EXPECT_TRUE(two) << two.error().cause;
}

// As one that was suspended in the middle of a unit that may touch anything.
TEST_F(PostgresRecord, AStoppedInstanceHoldsTheOthersUpForSecondsOnly) {
  Instance a(url_);
  Instance b(url_);
  std::promise<void> entered;
  std::promise<void> go;
  Result<void> stopped;
  std::thread other([&] {
    stopped = a.write([&](Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await put(unit, "test.a", 1));
      entered.set_value();
      go.get_future().wait();
      co_return co_await put(unit, "test.a", 2);
    });
  });
  entered.get_future().wait();
  const BootTime began = b.clock.boot();

  const Result<void> written = b.put_number("test.b", 1);

  EXPECT_TRUE(written) << written.error().cause;
  EXPECT_LT(b.clock.boot() - began, 5s);
  go.set_value();
  other.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().slug, "record_unavailable");
  EXPECT_EQ(b.number_of("test.a").value(), -1);
  EXPECT_TRUE(eventually([&] { return a.put_number("test.a", 3).has_value(); }));
}

TEST_F(PostgresRecord, KeepsTheAuditTrailWholeWithManyWriters) {
  Instance a(url_);
  Instance b(url_);
  const auto audit = [](Record& record, const std::string& name) {
    asio::io_context io;
    std::function<Task<void>(Unit&)> work = [](Unit& unit) -> Task<void> {
      AuditEvent event;
      event.tenant = "acme";
      event.action = "session.revoked";
      co_return co_await unit.audit(event);
    };
    for (int i = 0; i < 100; ++i) {
      Reach reach;
      reach.keys = {name + std::to_string(i)};
      asio::co_spawn(io, record.write_within(reach, work),
                     [](std::exception_ptr, const Result<void>& done) { EXPECT_TRUE(done); });
    }
    io.run();
  };

  std::thread other([&] { audit(*b.record, "b"); });
  audit(*a.record, "a");
  other.join();

  const auto found = test::run(verify_audit(*a.record)).value();
  EXPECT_TRUE(found.intact) << found.problem;
  EXPECT_EQ(found.rows, 200);
}

}  // namespace
}  // namespace redoubt::record
