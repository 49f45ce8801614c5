#include "sql/postgres/migrate.hpp"

#include "tests/support/postgres_server.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace redoubt::sql::postgres {
namespace {

using test::PostgresServer;

constexpr WallTime kNow{1'800'000'000'000};
constexpr Migration kFirst{"0001_a.sql", "CREATE TABLE a (x bigint); INSERT INTO a VALUES (1);"};
constexpr Migration kSecond{"0002_b.sql", "ALTER TABLE a ADD COLUMN y text; CREATE TABLE b ();"};
constexpr Migration kBroken{"0003_c.sql", "CREATE TABLE c (); INSERT INTO nowhere VALUES (1);"};
constexpr Migration kThird{"0003_c.sql", "-- compatible with 2\nCREATE TABLE c ();"};
constexpr Migration kFourth{"0004_d.sql", "-- compatible with 3\nDROP TABLE b;"};

class PostgresMigrate : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = PostgresServer::shared().new_database();
  }

  Result<std::int64_t> migrate_to(const std::vector<Migration>& migrations) {
    boost::asio::io_context io;
    const auto target = parse_target(Secret(url_));
    auto opened = test::run(io, Connection::open(io.get_executor(), *target, {}));
    if (!opened) return fail(std::move(opened).error());
    return test::run(io, migrate(**opened, migrations, kNow));
  }
  std::string value(const std::string& sql) { return PostgresServer::shared().execute(url_, sql); }

  std::string url_;
};

TEST_F(PostgresMigrate, AppliesWhatIsMissingOnceAndInOrder) {
  EXPECT_EQ(migrate_to({kFirst}).value(), 1);
  EXPECT_EQ(migrate_to({kFirst, kSecond}).value(), 2);
  EXPECT_EQ(migrate_to({kFirst, kSecond}).value(), 2);

  EXPECT_EQ(value("SELECT count(*) FROM a"), "1");
  EXPECT_EQ(value("SELECT count(*) FROM rd_migration"), "2");
}

TEST_F(PostgresMigrate, IsSafeForTenThatStartAtOnce) {
  std::vector<std::thread> instances;
  std::vector<Result<std::int64_t>> results(10, 0);
  for (auto& result : results) {
    instances.emplace_back([&] { result = migrate_to({kFirst, kSecond, kThird}); });
  }
  for (std::thread& instance : instances) instance.join();

  for (const auto& result : results) {
    ASSERT_TRUE(result) << result.error().cause;
    EXPECT_EQ(*result, 3);
  }
  EXPECT_EQ(value("SELECT count(*) FROM a"), "1") << "applied once";
}

TEST_F(PostgresMigrate, LeavesNothingOfAScriptThatFails) {
  const auto failed = migrate_to({kFirst, kSecond, kBroken});

  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().cause.find("0003_c.sql"), std::string::npos);
  EXPECT_EQ(value("SELECT count(*) FROM rd_migration"), "2");
  EXPECT_EQ(value("SELECT count(*) FROM pg_class WHERE relname = 'c'"), "0");
  EXPECT_EQ(migrate_to({kFirst, kSecond, kThird}).value(), 3) << "the lock was given back";
}

TEST_F(PostgresMigrate, LetsAnOlderVersionStartOnWhatItCanStillUse) {
  ASSERT_TRUE(migrate_to({kFirst, kSecond, kThird}));

  EXPECT_EQ(migrate_to({kFirst, kSecond}).value(), 3) << "0003 is compatible with 2";
  const auto older = migrate_to({kFirst});
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().slug, "record_newer");

  ASSERT_TRUE(migrate_to({kFirst, kSecond, kThird, kFourth}));
  EXPECT_EQ(migrate_to({kFirst, kSecond}).error().slug, "record_newer");
  EXPECT_EQ(migrate_to({kFirst, kSecond, kThird}).value(), 4);
}

TEST_F(PostgresMigrate, RefusesAnAppliedScriptThatWasAltered) {
  ASSERT_TRUE(migrate_to({kFirst}));

  const auto refused = migrate_to({Migration{"0001_a.sql", "CREATE TABLE other ();"}});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_changed");
}

}  // namespace
}  // namespace redoubt::sql::postgres
