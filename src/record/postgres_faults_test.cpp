// Servers that are killed, promoted, read-only, or lose a connection at the worst moment.
#include "record/postgres_record.hpp"

#include "tests/support/postgres_record_fixture.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::PostgresServer;
using test::TcpProxy;

TEST_F(PostgresRecord, LosesNothingAcknowledgedWhenTheServerIsKilled) {
  PostgresServer own;
  const std::string url = own.new_database();
  Instance a(url);
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::set<int> acknowledged;
  std::multiset<std::string> slugs;
  std::vector<std::jthread> writers;
  const auto stop_at_the_end = std::shared_ptr<void>(nullptr, [&](void*) { stop = true; });
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (int i = w; !stop; i += 4) {
        std::function<Task<void>(Unit&)> work = [i](Unit& unit) {
          return put(unit, "test." + std::to_string(i), i);
        };
        Reach reach;
        if (i % 3 != 0) reach.keys = {"test." + std::to_string(i)};
        const auto done = test::run(a.record->write_within(reach, work));
        const std::lock_guard lock(mutex);
        if (done) {
          acknowledged.insert(i);
        } else {
          slugs.insert(done.error().slug);
        }
      }
    });
  }
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return acknowledged.size();
  };

  for (int round = 0; round < 3; ++round) {
    const std::size_t before = count();
    EXPECT_TRUE(eventually([&] { return count() > before + 200; })) << "round " << round;
    own.kill();
    EXPECT_TRUE(eventually([&] { return a.record->status().state == State::down; }));
    own.start();
    EXPECT_TRUE(eventually([&] { return a.record->status().state == State::normal; }));
  }
  stop = true;
  writers.clear();

  for (const std::string& slug : slugs) {
    EXPECT_TRUE(slug == "record_unavailable" || slug == "record_outcome_unknown") << slug;
  }
  // A write may have found the database before the journal was looked at.
  EXPECT_TRUE(eventually([&] { return a.number_of("test.0").has_value(); }));
  for (const int i : acknowledged) {
    const auto found = a.number_of("test." + std::to_string(i));
    ASSERT_TRUE(found) << i << ": " << found.error().message << " " << found.error().cause;
    ASSERT_EQ(*found, i);
  }
}

// As it is sent, and as nothing else contains it.
const std::string kCommit("COMMIT\0", 7);

class PostgresConnectionLoss : public PostgresRecord {
 protected:
  void SetUp() override {
    PostgresRecord::SetUp();
    if (IsSkipped()) return;
    proxy_ = std::make_unique<TcpProxy>(server().port());
    std::string url = server().over_tcp(url_);
    const std::string port = ":" + std::to_string(server().port());
    url.replace(url.find(port), port.size(), ":" + std::to_string(proxy_->port()));
    instance_ = std::make_unique<Instance>(url);
  }

  Result<void> write() {
    return instance_->write([](Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await put(unit, "test.a", 1));
      co_return co_await announce(unit, "x");
    });
  }
  std::string rows() { return value("SELECT count(*) FROM rd_meta WHERE name = 'test.a'"); }

  std::unique_ptr<TcpProxy> proxy_;
  std::unique_ptr<Instance> instance_;
};

TEST_F(PostgresConnectionLoss, AfterTheCommitArrivedIsFoundToBeCommittedOnce) {
  value("INSERT INTO rd_meta (name, number) VALUES ('test.count', 0)");
  proxy_->arm(TcpProxy::Cut::after, kCommit);

  const auto found = instance_->write([](Unit& unit) -> Task<void> {
    RD_CO_TRY(now, co_await get(unit, "test.count"));
    RD_CO_CHECK(co_await put(unit, "test.count", now + 1));
    co_return co_await announce(unit, "x");
  });

  ASSERT_TRUE(proxy_->fired());
  EXPECT_TRUE(found) << found.error().slug;
  EXPECT_EQ(instance_->number_of("test.count").value(), 1) << "acknowledged once, effect once";
  EXPECT_TRUE(instance_->has_heard("x"));
  EXPECT_EQ(instance_->record->status().state, State::normal);
}

TEST_F(PostgresConnectionLoss, BeforeTheCommitArrivedIsFoundToHaveChangedNothing) {
  proxy_->arm(TcpProxy::Cut::before, kCommit);

  const auto found = write();

  ASSERT_TRUE(proxy_->fired());
  EXPECT_EQ(found.error().slug, "record_unavailable") << "certainly not made";
  EXPECT_EQ(rows(), "0");
  EXPECT_TRUE(eventually([&] { return write().has_value(); }));
  EXPECT_EQ(rows(), "1");
}

// The transaction is still open at the server when it is asked about, and must end first.
TEST_F(PostgresConnectionLoss, IsNotDecidedBeforeTheTransactionHasEnded) {
  const std::string open =
      "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'redoubt'"
      " AND datname = current_database() AND state LIKE 'idle in transaction%'";
  proxy_->arm(TcpProxy::Cut::held, kCommit);

  const auto found = write();

  EXPECT_EQ(found.error().slug, "record_unavailable");
  EXPECT_EQ(value(open), "0");
}

TEST_F(PostgresConnectionLoss, StaysUnknownOnlyWhileTheDatabaseCannotBeAsked) {
  proxy_->arm(TcpProxy::Cut::after, kCommit);
  proxy_->refuse_from_the_cut_on();
  const BootTime began = instance_->clock.boot();

  const auto unknown = write();

  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().slug, "record_outcome_unknown");
  EXPECT_EQ(unknown.error().code, Errc::unavailable);
  EXPECT_LT(instance_->clock.boot() - began, 60s);
  EXPECT_EQ(rows(), "1") << "it was committed";
  EXPECT_TRUE(instance_->has_heard("x")) << "so the copies had to go";
}

TEST_F(PostgresConnectionLoss, BeforeAnyWorkIsNotNoticedByWhoeverWrites) {
  proxy_->arm(TcpProxy::Cut::before, "READ COMMITTED");

  const auto done = write();

  ASSERT_TRUE(proxy_->fired());
  EXPECT_TRUE(done) << done.error().slug;
  EXPECT_EQ(rows(), "1");
  EXPECT_TRUE(instance_->has_heard("x"));
}

TEST_F(PostgresConnectionLoss, BeforeTheCommitRunsWhatSaysHowFarItReachesOnceMore) {
  proxy_->arm(TcpProxy::Cut::after, "INSERT INTO rd_meta");
  int runs = 0;
  Reach reach;
  reach.keys = {"test.a"};
  std::function<Task<void>(Unit&)> work = [&](Unit& unit) {
    ++runs;
    return put(unit, "test.a", 1);
  };

  const auto done = test::run(instance_->record->write_within(reach, work));

  ASSERT_TRUE(proxy_->fired());
  EXPECT_TRUE(done) << done.error().slug;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(rows(), "1");
}

TEST_F(PostgresConnectionLoss, BeforeTheCommitChangesNothing) {
  proxy_->arm(TcpProxy::Cut::after, "INSERT INTO rd_meta");

  const auto refused = write();

  ASSERT_TRUE(proxy_->fired());
  EXPECT_EQ(refused.error().slug, "record_unavailable");
  EXPECT_EQ(rows(), "0");
  EXPECT_FALSE(instance_->has_heard("x"));
  EXPECT_TRUE(eventually([&] { return write().has_value(); }));
}

TEST_F(PostgresRecord, GoesOnWithAStandbyThatWasPromotedAndTrustsNoOldCopy) {
  PostgresServer primary;
  PostgresServer::Options follows;
  follows.standby_of = &primary;
  PostgresServer standby(follows);
  TcpProxy proxy(primary.port());
  const std::string database = primary.new_database();
  std::string url = primary.over_tcp(database);
  const std::string port = ":" + std::to_string(primary.port());
  url.replace(url.find(port), port.size(), ":" + std::to_string(proxy.port()));
  Instance a(url);
  ASSERT_TRUE(a.put_number("test.a", 1));
  const std::string at = primary.execute(database, "SELECT pg_current_wal_lsn()");
  const std::string there = standby.url_of(database);
  ASSERT_TRUE(eventually([&] {
    try {
      return standby.execute(there, "SELECT pg_last_wal_replay_lsn() >= '" + at + "'") == "t";
    } catch (const std::runtime_error&) {
      return false;  // The database is on its way there too.
    }
  }));
  const int everything = a.times_everything();

  primary.kill();
  standby.promote();
  proxy.redirect(standby.port());

  EXPECT_TRUE(eventually([&] { return a.put_number("test.b", 2).has_value(); }));
  EXPECT_TRUE(eventually([&] { return a.record->status().timeline == 2; }));
  EXPECT_TRUE(eventually([&] { return a.times_everything() > everything; }));
  EXPECT_EQ(a.number_of("test.a").value(), 1);
  EXPECT_TRUE(eventually([&] { return a.fresh(); }));
}

TEST_F(PostgresRecord, SaysThatTheDatabaseIsReadOnlyReadsOnAndRecovers) {
  Instance a(url_);
  ASSERT_TRUE(a.put_number("test.a", 1));
  const std::string database = value("SELECT current_database()");
  const std::string reconnect =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
      " WHERE application_name = 'redoubt' AND datname = current_database()";
  value("ALTER DATABASE " + database + " SET default_transaction_read_only = on");
  value(reconnect);

  ASSERT_TRUE(eventually([&] {
    const auto done = a.put_number("test.a", 2);
    return !done && done.error().message.find("read-only") != std::string::npos;
  }));
  EXPECT_EQ(a.record->status().state, State::down);
  EXPECT_EQ(a.record->status().reason, "database is read-only");
  EXPECT_EQ(a.number_of("test.a").value(), 1);

  value("BEGIN READ WRITE; ALTER DATABASE " + database +
        " RESET default_transaction_read_only; COMMIT");
  EXPECT_TRUE(eventually([&] { return a.put_number("test.a", 3).has_value(); }));
  EXPECT_EQ(a.record->status().state, State::normal);
}

TEST_F(PostgresRecord, DoesNotWaitForEverForAConnectionToRead) {
  PostgresRecordOptions options;
  options.connections_max = 4;  // One of them reads.
  options.pool_wait = Duration(50);
  Instance a(url_, options);
  asio::io_context io;
  std::string slug;
  std::function<Task<void>(sql::Transaction&)> slow = [](sql::Transaction& tx) -> Task<void> {
    static constexpr sql::Statement sleep{"SELECT pg_sleep(1)"};
    RD_CO_CHECK(co_await tx.run(sleep));
    co_return Result<void>{};
  };
  asio::co_spawn(io, a.record->read_snapshot(slow),
                 [](std::exception_ptr, Result<void> done) { EXPECT_TRUE(done); });
  asio::co_spawn(io, a.record->read_snapshot(slow), [&](std::exception_ptr, Result<void> done) {
    slug = done ? "ok" : done.error().slug;
  });
  io.run();

  EXPECT_EQ(slug, "record_overloaded");
  EXPECT_EQ(a.number_of("test.a").value(), -1) << "it was given back";
}

TEST_F(PostgresRecord, SaysWhereItCouldNotConnectTo) {
  SystemClock clock;
  Metrics metrics;
  PostgresRecordOptions options;
  options.url = Secret("postgresql://u:hunter2@127.0.0.1:1/d");

  const auto refused = open_postgres_record(options, clock, null_log(), metrics);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_unavailable");
  EXPECT_NE(refused.error().message.find("127.0.0.1:1/d"), std::string::npos);
  EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::record
