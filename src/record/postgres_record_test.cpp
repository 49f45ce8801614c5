// What only PostgreSQL has: several instances on one record, connections that break, rows that are
// kept apart by the server. What every engine does alike is in record_test.cpp.
#include "record/postgres_record.hpp"

#include "base/clock.hpp"
#include "base/log.hpp"
#include "record/audit.hpp"
#include "record/tenant_rows.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/run.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <tuple>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using test::PostgresServer;
using test::TcpProxy;

constexpr sql::Statement kPut{
    "INSERT INTO rd_meta (name, number) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number"};
constexpr sql::Statement kGet{"SELECT number FROM rd_meta WHERE name = $1"};
constexpr sql::Statement kKeysOfEverybody{"SELECT DISTINCT tenant FROM rd_api_key"};

Task<void> put(sql::Transaction& tx, std::string name, std::int64_t number) {
  RD_CO_CHECK(co_await tx.run(kPut, {std::string_view(name), number}));
  co_return Result<void>{};
}

Task<std::int64_t> get(sql::Transaction& tx, std::string name) {
  RD_CO_TRY(rows, co_await tx.run(kGet, {std::string_view(name)}));
  co_return rows.empty() ? -1 : rows[0].integer(0);
}

Task<void> announce(Unit& unit, std::string key) {
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::session, .tenant = "t", .key = key});
  co_return Result<void>{};
}

bool eventually(const std::function<bool()>& done) {
  return test::poll_until(
      done, [] {}, 10ms, 1'000);
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
    if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = server().new_database();
  }
  static PostgresServer& server() { return PostgresServer::shared(); }
  std::string value(const std::string& sql) { return server().execute(url_, sql); }

  std::string url_;
};

// ---- Several instances ----

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

// ---- Tenants ----

class PostgresTenants : public PostgresRecord {
 protected:
  void SetUp() override {
    PostgresRecord::SetUp();
    if (IsSkipped()) return;
    instance_ = std::make_unique<Instance>(url_);
    for (const char* tenant : {"acme", "globex"}) {
      ASSERT_TRUE(instance_->write([&](Unit& unit) { return add_key(unit, tenant); }));
    }
  }

  static Task<void> add_key(sql::Transaction& tx, std::string tenant) {
    ApiKeyRow row;
    row.key.id = "key-of-" + tenant;
    row.key.tenant = tenant;
    row.key.role = Role::service;
    co_return co_await insert_api_key(tx, row);
  }
  static Task<std::vector<std::string>> tenants(sql::Transaction& tx) {
    RD_CO_TRY(rows, co_await tx.run(kKeysOfEverybody));
    std::vector<std::string> out;
    for (const sql::Row& row : rows.rows) out.push_back(row.text(0));
    co_return out;
  }

  std::unique_ptr<Instance> instance_;
};

TEST_F(PostgresTenants, SeeTheirRowsAloneWhateverTheStatementAsks) {
  std::vector<std::string> seen;
  std::function<Task<void>(sql::Transaction&)> look = [&](sql::Transaction& tx) -> Task<void> {
    RD_CO_TRY(found, co_await tenants(tx));
    seen = found;
    co_return Result<void>{};
  };

  ASSERT_TRUE(test::run(instance_->record->read_tenant("acme", look)));
  EXPECT_EQ(seen, std::vector<std::string>{"acme"});
  ASSERT_TRUE(test::run(instance_->record->read_snapshot(look)));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(PostgresTenants, CannotWriteAnothersRows) {
  std::function<Task<void>(Unit&)> trespass = [](Unit& unit) { return add_key(unit, "globex2"); };
  std::function<Task<void>(Unit&)> revoke = [](Unit& unit) {
    return set_api_key_revoked(unit, "key-of-globex", WallTime{5});
  };
  Reach acme;
  acme.tenant = "acme";

  EXPECT_EQ(test::run(instance_->record->write_within(acme, trespass)).error().code,
            Errc::internal);
  EXPECT_TRUE(test::run(instance_->record->write_within(acme, revoke)));

  EXPECT_EQ(value("SELECT count(*) FROM rd_api_key WHERE revoked_at IS NOT NULL"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM rd_api_key"), "2");
}

TEST_F(PostgresTenants, DoNotLeakIntoTheNextUnitOfABatch) {
  asio::io_context io;
  std::vector<std::vector<std::string>> seen(20);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    std::function<Task<void>(Unit&)> look = [&seen, i](Unit& unit) -> Task<void> {
      RD_CO_TRY(found, co_await tenants(unit));
      seen[i] = found;
      if (i % 3 == 0) co_return fail(Error(Errc::conflict, "changed_my_mind", "no"));
      co_return Result<void>{};
    };
    Reach reach;
    reach.tenant = i % 2 == 0 ? "acme" : "globex";
    asio::co_spawn(io, instance_->record->write_within(reach, look),
                   [](std::exception_ptr, const Result<void>&) {});
  }
  io.run();

  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], std::vector<std::string>{i % 2 == 0 ? "acme" : "globex"}) << i;
  }
}

// So that a new table cannot be forgotten.
TEST_F(PostgresTenants, AreKeptApartInEveryTableThatHasThem) {
  const std::string with_tenants =
      "SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace ="
      " 'public'::regnamespace AND (relname = 'rd_tenant' OR EXISTS (SELECT FROM pg_attribute"
      " WHERE attrelid = c.oid AND attname LIKE 'tenant%' AND NOT attisdropped))";
  const std::string guarded =
      " AND relrowsecurity AND relforcerowsecurity AND EXISTS (SELECT FROM pg_policy WHERE"
      " polrelid = c.oid AND polpermissive AND polcmd = '*' AND"
      " pg_get_expr(polqual, polrelid) LIKE '%redoubt.tenant%')";

  EXPECT_GE(std::stoi(value(with_tenants)), 7);
  EXPECT_EQ(value(with_tenants + guarded), value(with_tenants));
}

TEST_F(PostgresTenants, AreHiddenFromASessionThatNamesNone) {
  const std::string owner = "SET ROLE redoubt; SELECT count(*) FROM rd_api_key";

  EXPECT_EQ(value(owner), "0") << "FORCE binds the owner of the tables";
}

// ---- Faults ----

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
