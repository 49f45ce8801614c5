#include "sql/sqlite/lock_file.hpp"

#include "tests/support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

namespace redoubt::sql::sqlite {
namespace {

TEST(LockFile, NamesTheProcessThatHasTheDatabase) {
  const test::TemporaryDirectory directory;
  const auto first = LockFile::acquire(directory.file("a.db"));
  ASSERT_TRUE(first);

  const auto second = LockFile::acquire(directory.file("a.db"));

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().slug, "record_in_use");
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
}

TEST(LockFile, IsFreeAgainWhenItsOwnerIsGone) {
  const test::TemporaryDirectory directory;
  {
    ASSERT_TRUE(LockFile::acquire(directory.file("a.db")));
  }

  EXPECT_TRUE(LockFile::acquire(directory.file("a.db")));
}

TEST(LockFile, SaysWhatToDoAboutAMissingDirectory) {
  const auto refused = LockFile::acquire("/nonexistent/a.db");

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("/nonexistent/a.db.lock"), std::string::npos);
  EXPECT_NE(refused.error().message.find("must exist"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::sql::sqlite
