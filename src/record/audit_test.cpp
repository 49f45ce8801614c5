#include "record/audit.hpp"

#include "base/clock.hpp"
#include "record/retention.hpp"
#include "record/sqlite_record.hpp"
#include "sql/sqlite/connection.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

namespace redoubt::record {
namespace {

AuditEvent event_of(std::string action) {
  AuditEvent event;
  event.tenant = "acme";
  event.principal = "key:k1";
  event.action = std::move(action);
  event.target = "ses_1";
  event.request_id = "req-1";
  event.address = "192.0.2.1";
  return event;
}

Task<void> append(Unit& unit, AuditEvent event) {
  RD_CO_CHECK(co_await unit.audit(event));
  co_return Result<void>{};
}

Task<void> append_then_fail(Unit& unit, AuditEvent event) {
  RD_CO_CHECK(co_await unit.audit(event));
  co_return fail(Error(Errc::conflict, "changed_my_mind", "no"));
}

class AuditTrail : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    record_.reset();
    record_ = home_.open(clock_, metrics_);
  }

  void add(int count, std::string tenant = "acme") {
    for (int i = 0; i < count; ++i) {
      AuditEvent event = event_of("session.revoked");
      event.tenant = tenant;
      ASSERT_TRUE(test::run(record_->write_unit([&](Unit& unit) { return append(unit, event); })));
    }
  }

  void add_in_one_unit(int count) {
    std::function<Task<void>(Unit&)> many = [count](Unit& unit) -> Task<void> {
      const AuditEvent event = event_of("api_key.created");
      for (int i = 0; i < count; ++i) {
        RD_CO_CHECK(co_await unit.audit(event));
      }
      co_return Result<void>{};
    };
    ASSERT_TRUE(test::run(record_->write_unit(many)));
  }

  AuditVerification verify() { return test::run(verify_audit(*record_)).value(); }

  AuditPage list(AuditQuery query) {
    return test::run(record_->read<AuditPage>(
                         [&](sql::Transaction& tx) { return list_audit(tx, query); }))
        .value();
  }

  void tamper(const std::string& script) {
    record_.reset();
    home_.tamper(script);
    open();
  }

  void expect_broken_at(std::int64_t seq) {
    const AuditVerification found = verify();
    EXPECT_FALSE(found.intact);
    EXPECT_EQ(found.first_bad, seq) << found.problem;
    EXPECT_NE(found.problem, "");
  }

  test::RecordHome home_;
  ManualClock clock_;
  Metrics metrics_;
  std::unique_ptr<Record> record_;
};

TEST_F(AuditTrail, VerifiesFromTheFirstEntryAlsoAfterOpeningAgain) {
  EXPECT_TRUE(verify().intact);
  add(5);
  open();
  add(5);

  const AuditVerification found = verify();

  EXPECT_TRUE(found.intact) << found.problem;
  EXPECT_EQ(found.rows, 10);
  EXPECT_EQ(found.head.seq, 10);
  EXPECT_EQ(found.first_bad, 0);
}

TEST_F(AuditTrail, VerifiesMoreThanOneStretch) {
  add_in_one_unit(2'000);

  EXPECT_EQ(verify().rows, 2'000);
  EXPECT_TRUE(verify().intact);
}

TEST_F(AuditTrail, LetsOthersRunBetweenTheStretchesOfAVerification) {
  add_in_one_unit(1'500);
  boost::asio::io_context io;
  std::vector<std::string> order;
  boost::asio::co_spawn(io, verify_audit(*record_),
                        [&](std::exception_ptr, const Result<AuditVerification>& found) {
                          order.emplace_back(found && found->rows == 1'500 ? "verified" : "failed");
                        });
  boost::asio::post(io, [&] { order.emplace_back("other"); });

  io.run();

  EXPECT_EQ(order, (std::vector<std::string>{"other", "verified"}));
}

// The hash is a format: other programs check it, and it must never change.
TEST_F(AuditTrail, HashesWhatItsHeaderSays) {
  AuditEntry entry;
  entry.seq = 1;
  entry.at = WallTime{2};
  entry.event.tenant = "t";

  Bytes text(32, 0);
  auto number = [&text](std::uint8_t value) {
    text.insert(text.end(), 7, 0);
    text.push_back(value);
  };
  number(1);
  number(2);
  number(1);
  text.push_back('t');
  for (int i = 0; i < 3; ++i) number(0);  // principal, action, target
  number(2);
  text.push_back('o');
  text.push_back('k');
  number(0);  // request_id
  number(0);  // address

  EXPECT_EQ(audit_hash(Digest256{}, entry), sha256(text));
}

TEST_F(AuditTrail, DependsOnEveryFieldAndOnWhereOneEndsAndTheNextBegins) {
  AuditEntry entry;
  entry.event.principal = "ab";
  entry.event.action = "c";
  AuditEntry shifted;
  shifted.event.principal = "a";
  shifted.event.action = "bc";

  EXPECT_NE(audit_hash(Digest256{}, entry), audit_hash(Digest256{}, shifted));
}

TEST_F(AuditTrail, NoticesADeletedEntry) {
  add(6);
  tamper("DELETE FROM rd_audit WHERE seq = 3");
  expect_broken_at(3);
}

TEST_F(AuditTrail, NoticesADeletedFirstEntry) {
  add(6);
  tamper("DELETE FROM rd_audit WHERE seq = 1");
  expect_broken_at(1);
}

TEST_F(AuditTrail, NoticesAnEditInAnyColumn) {
  add(6);
  for (const char* column :
       {"tenant", "principal", "action", "target", "outcome", "request_id", "address"}) {
    SCOPED_TRACE(column);
    const std::string name = column;
    tamper("UPDATE rd_audit SET " + name + " = " + name + " || 'x' WHERE seq = 4");
    expect_broken_at(4);
    tamper("UPDATE rd_audit SET " + name + " = rtrim(" + name + ", 'x') WHERE seq = 4");
    ASSERT_TRUE(verify().intact);
  }
  tamper("UPDATE rd_audit SET at = at + 1 WHERE seq = 2");
  expect_broken_at(2);
}

TEST_F(AuditTrail, NoticesTwoEntriesThatChangedPlaces) {
  add(1);
  clock_.advance(std::chrono::seconds(1));
  add(5);
  tamper(
      "UPDATE rd_audit SET seq = -1 WHERE seq = 1; UPDATE rd_audit SET seq = 1 WHERE seq = 2;"
      "UPDATE rd_audit SET seq = 2 WHERE seq = -1");
  expect_broken_at(1);
}

TEST_F(AuditTrail, NoticesThatItsEndWasCutOff) {
  add(6);
  tamper("DELETE FROM rd_audit WHERE seq > 4");
  expect_broken_at(5);
  add(1);  // Going on does not cover it up.
  expect_broken_at(5);
}

TEST_F(AuditTrail, NoticesAnEntryAddedBehindItsEnd) {
  add(3);
  tamper(
      "INSERT INTO rd_audit SELECT 4, at, tenant, principal, action, target, outcome, request_id,"
      " address, hash FROM rd_audit WHERE seq = 3");
  expect_broken_at(4);
}

TEST_F(AuditTrail, RefusesChangesThroughSql) {
  add(3);
  for (const char* text :
       {"UPDATE rd_audit SET action = 'x' WHERE seq = 1", "DELETE FROM rd_audit WHERE seq = 1",
        "INSERT INTO rd_audit SELECT 1, at, tenant, principal, 'x', target, outcome,"
        " request_id, address, hash FROM rd_audit WHERE seq = 2"}) {
    SCOPED_TRACE(text);
    const sql::Statement statement{text};
    std::function<Task<void>(Unit&)> work = [&statement](Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await unit.run(statement));
      co_return Result<void>{};
    };
    EXPECT_EQ(test::run(record_->write_unit(work)).error().slug, "constraint");
  }
  EXPECT_TRUE(verify().intact);
}

TEST_F(AuditTrail, ContinuesWithoutAGapAfterAUnitThatWasUndone) {
  add(1);
  const AuditEvent event = event_of("session.revoked");
  EXPECT_FALSE(
      test::run(record_->write_unit([&](Unit& unit) { return append_then_fail(unit, event); })));
  add(1);

  const AuditVerification found = verify();
  EXPECT_TRUE(found.intact) << found.problem;
  EXPECT_EQ(found.rows, 2);
}

TEST_F(AuditTrail, StartsOverFromTheDatabaseAfterAnUndoneFirstUnit) {
  const AuditEvent event = event_of("session.revoked");
  EXPECT_FALSE(
      test::run(record_->write_unit([&](Unit& unit) { return append_then_fail(unit, event); })));
  EXPECT_TRUE(verify().intact);
  add(1);
  EXPECT_EQ(verify().rows, 1);
}

TEST_F(AuditTrail, ListsTheNewestFirstInPagesOfOneTenant) {
  add(3, "acme");
  add(2, "other");
  add(2, "acme");

  const AuditPage first = list(AuditQuery{.tenant = "acme", .limit = 2});
  const AuditPage second =
      list(AuditQuery{.tenant = "acme", .before_seq = first.next_before_seq, .limit = 2});
  const AuditPage third =
      list(AuditQuery{.tenant = "acme", .before_seq = second.next_before_seq, .limit = 2});

  std::vector<std::int64_t> seen;
  for (const AuditPage* page : {&first, &second, &third}) {
    for (const AuditEntry& entry : page->entries) {
      seen.push_back(entry.seq);
      EXPECT_EQ(entry.event.tenant, "acme");
      EXPECT_EQ(entry.event.address, "192.0.2.1");
    }
  }
  EXPECT_EQ(seen, (std::vector<std::int64_t>{7, 6, 3, 2, 1}));
  EXPECT_EQ(third.next_before_seq, 0);
}

// SQLite remembers the end; PostgreSQL reads it anew for each batch.
class SqliteAuditTrail : public AuditTrail {
 protected:
  void SetUp() override {
    if (test::RecordHome::is_postgres()) GTEST_SKIP() << "about SQLite";
    open();
  }
};

TEST_F(SqliteAuditTrail, FindsItsEndAgainAfterSomebodyElseWroteToIt) {
  add(1);
  sql::sqlite::ConnectionOptions options;
  options.path = home_.path();
  auto other = sql::sqlite::Connection::open(options);
  ASSERT_TRUE(other);
  const auto written = (*other)->execute(
      "INSERT INTO rd_audit SELECT 2, at, tenant, principal, action, target, outcome, request_id,"
      " address, hash FROM rd_audit WHERE seq = 1;"
      "UPDATE rd_meta SET number = 2 WHERE name = 'audit.head'");
  ASSERT_TRUE(written) << written.error().cause;
  const AuditEvent event = event_of("session.revoked");

  const auto refused =
      test::run(record_->write_unit([&](Unit& unit) { return append(unit, event); }));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "constraint");
  add(1);
  EXPECT_EQ(list(AuditQuery{.tenant = "acme"}).entries.front().seq, 3);
}

TEST_F(SqliteAuditTrail, RefusesToReplaceAnEntry) {
  add(3);
  static constexpr sql::Statement replace{
      "INSERT OR REPLACE INTO rd_audit SELECT 1, at, tenant, principal, 'x', target, outcome,"
      " request_id, address, hash FROM rd_audit WHERE seq = 2"};
  std::function<Task<void>(Unit&)> work = [](Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await unit.run(replace));
    co_return Result<void>{};
  };

  EXPECT_EQ(test::run(record_->write_unit(work)).error().slug, "constraint");
  EXPECT_TRUE(verify().intact);
}

class AuditRetention : public AuditTrail {
 protected:
  Result<std::int64_t> run_once(Duration keep, std::int64_t batch) {
    Retention retention(*record_, clock_, null_log(), metrics_);
    retention.add(audit_retention(keep));
    return test::run(retention.run_once(batch));
  }
};

TEST_F(AuditRetention, DeletesWhatIsOldInBatchesAndKeepsTheRestVerifiable) {
  add(25);
  clock_.advance(std::chrono::hours(48));
  add(5);

  EXPECT_EQ(run_once(std::chrono::hours(24), 10).value(), 25);

  const AuditVerification found = verify();
  EXPECT_TRUE(found.intact) << found.problem;
  EXPECT_EQ(found.rows, 5);
  EXPECT_EQ(list(AuditQuery{.tenant = "acme"}).entries.size(), 5u);
  EXPECT_EQ(run_once(std::chrono::hours(24), 10).value(), 0);
}

TEST_F(AuditRetention, CanDeleteEverythingAndTheTrailGoesOn) {
  add(4);
  clock_.advance(std::chrono::hours(48));

  EXPECT_EQ(run_once(std::chrono::hours(24), 4).value(), 4);
  EXPECT_TRUE(verify().intact);
  open();
  add(2);

  const AuditVerification found = verify();
  EXPECT_TRUE(found.intact) << found.problem;
  EXPECT_EQ(found.rows, 2);
  EXPECT_EQ(found.head.seq, 6);
}

TEST_F(AuditRetention, StillShowsTamperingBehindTheCut) {
  add(4);
  clock_.advance(std::chrono::hours(48));
  add(4);
  ASSERT_EQ(run_once(std::chrono::hours(24), 100).value(), 4);
  tamper("DELETE FROM rd_audit WHERE seq = 5");

  expect_broken_at(5);
}

TEST_F(AuditRetention, KeepsForEverWhenToldTo) {
  add(4);
  clock_.advance(std::chrono::hours(24 * 10'000));

  EXPECT_EQ(run_once(Duration::zero(), 100).value(), 0);
  EXPECT_EQ(verify().rows, 4);
}

TEST_F(AuditRetention, DeletesNothingOnTheWordOfAClockThatJumpedAhead) {
  add(4);
  Retention retention(*record_, clock_, null_log(), metrics_);
  retention.add(audit_retention(std::chrono::hours(24)));
  clock_.jump_wall(std::chrono::hours(24 * 365));

  EXPECT_EQ(test::run(retention.run_once(100)).value(), 0);
  EXPECT_EQ(verify().rows, 4);
  clock_.jump_wall(-std::chrono::hours(24 * 365));
  clock_.advance(std::chrono::hours(25));
  EXPECT_EQ(test::run(retention.run_once(100)).value(), 4) << "time that passed is believed";
}

TEST_F(AuditRetention, TriesEveryClassAndReturnsTheFirstError) {
  add(4);
  clock_.advance(std::chrono::hours(48));
  Retention retention(*record_, clock_, null_log(), metrics_);
  RetentionClass broken;
  broken.name = "broken";
  broken.keep = std::chrono::hours(1);
  broken.trim = [](Unit&, WallTime, std::int64_t) -> Task<std::int64_t> {
    co_return fail(internal("broken"));
  };
  retention.add(broken);
  retention.add(audit_retention(std::chrono::hours(1)));

  const auto done = test::run(retention.run_once(100));

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().cause, "broken");
  EXPECT_EQ(list(AuditQuery{.tenant = "acme"}).entries.size(), 0u);
}

}  // namespace
}  // namespace redoubt::record
