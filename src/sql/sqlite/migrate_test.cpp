#include "sql/sqlite/migrate.hpp"

#include "tests/support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace redoubt::sql::sqlite {
namespace {

constexpr WallTime kNow{1'800'000'000'000};
constexpr Migration kFirst{"0001_a.sql", "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);"};
constexpr Migration kSecond{"0002_b.sql", "ALTER TABLE a ADD COLUMN y TEXT; CREATE TABLE b (z);"};
constexpr Migration kBroken{"0003_c.sql", "CREATE TABLE c (x); INSERT INTO nowhere VALUES (1);"};

class Migrate : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    db_.reset();
    ConnectionOptions options;
    options.path = directory_.file("test.db");
    auto opened = Connection::open(options);
    ASSERT_TRUE(opened) << opened.error().message;
    db_ = std::move(*opened);
  }

  Result<std::int64_t> migrate_to(const std::vector<Migration>& migrations) {
    return migrate(*db_, migrations, kNow);
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<Connection> db_;
};

TEST_F(Migrate, AppliesWhatIsMissingOnceAndInOrder) {
  EXPECT_EQ(migrate_to({kFirst}).value(), 1);
  EXPECT_EQ(migrate_to({kFirst, kSecond}).value(), 2);
  open();
  EXPECT_EQ(migrate_to({kFirst, kSecond}).value(), 2);

  EXPECT_EQ(db_->integer("SELECT count(*) FROM a").value(), 1);
  EXPECT_EQ(db_->integer("SELECT count(*) FROM rd_migration").value(), 2);
  EXPECT_EQ(db_->integer("SELECT applied_at FROM rd_migration WHERE number = 1").value(), kNow.ms);
  EXPECT_EQ(db_->integer("PRAGMA user_version").value(), 2);
  EXPECT_EQ(db_->integer("PRAGMA application_id").value(), kApplicationId);
}

TEST_F(Migrate, LeavesNothingOfAScriptThatFails) {
  const auto failed = migrate_to({kFirst, kSecond, kBroken});

  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().cause.find("0003_c.sql"), std::string::npos);
  EXPECT_EQ(db_->integer("PRAGMA user_version").value(), 2);
  EXPECT_EQ(db_->integer("SELECT count(*) FROM sqlite_schema WHERE name = 'c'").value(), 0);
  EXPECT_FALSE(db_->in_transaction());
}

TEST_F(Migrate, RefusesADatabaseThatANewerVersionHasChanged) {
  ASSERT_TRUE(migrate_to({kFirst, kSecond}));

  const auto refused = migrate_to({kFirst});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_newer");
  EXPECT_NE(refused.error().message.find("0002_b.sql"), std::string::npos);
}

TEST_F(Migrate, RefusesAnAppliedScriptThatWasAltered) {
  ASSERT_TRUE(migrate_to({kFirst}));
  const Migration altered{kFirst.name, "CREATE TABLE a (x TEXT);"};

  EXPECT_EQ(migrate_to({altered}).error().slug, "record_changed");
}

TEST_F(Migrate, RefusesAScriptThatComesInBetween) {
  ASSERT_TRUE(migrate_to({kSecond}).error().cause.find("no such table") != std::string::npos);
  const Migration late{"0005_late.sql", "CREATE TABLE late (x);"};
  ASSERT_TRUE(migrate_to({kFirst, late}));

  EXPECT_EQ(migrate_to({kFirst, kSecond, late}).error().slug, "record_changed");
}

TEST_F(Migrate, LeavesAnotherProgramsDatabaseAlone) {
  ASSERT_TRUE(db_->execute("CREATE TABLE theirs (x)"));

  EXPECT_EQ(migrate_to({kFirst}).error().slug, "record_foreign");
  EXPECT_EQ(db_->integer("SELECT count(*) FROM sqlite_schema").value(), 1);
}

TEST_F(Migrate, RefusesNamesWithoutANumberAndNumbersTwice) {
  EXPECT_FALSE(migrate_to({Migration{"core.sql", "SELECT 1"}}));
  EXPECT_FALSE(migrate_to({kFirst, Migration{"0001_z.sql", "SELECT 1"}}));
}

}  // namespace
}  // namespace redoubt::sql::sqlite
