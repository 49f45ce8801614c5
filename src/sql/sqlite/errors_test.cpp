#include "sql/sqlite/errors.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cerrno>

namespace redoubt::sql::sqlite {
namespace {

TEST(SqliteErrors, SayWhyTheDatabaseCannotWork) {
  EXPECT_EQ(classify(SQLITE_FULL, 0, "").reason, "disk full");
  EXPECT_EQ(classify(SQLITE_IOERR_WRITE, ENOSPC, "").reason, "disk full");
  EXPECT_EQ(classify(SQLITE_IOERR_WRITE, EROFS, "").reason, "read-only file system");
  EXPECT_EQ(classify(SQLITE_READONLY_DBMOVED, 0, "").reason, "read-only file system");
  EXPECT_EQ(classify(SQLITE_IOERR_FSYNC, EIO, "").reason, "I/O error");
  EXPECT_EQ(classify(SQLITE_IOERR_NOMEM, 0, "").reason, "out of memory");
  EXPECT_EQ(classify(SQLITE_BUSY_SNAPSHOT, 0, "").reason, "locked by another process");
}

TEST(SqliteErrors, TellTheCallerTheReasonAndTheLogTheRest) {
  const Failure failure = classify(SQLITE_FULL, ENOSPC, "database or disk is full");

  EXPECT_EQ(failure.error.code, Errc::unavailable);
  EXPECT_EQ(failure.error.slug, "record_unavailable");
  EXPECT_NE(failure.error.message.find("disk full"), std::string::npos);
  EXPECT_GT(failure.error.retry_after.count(), 0);
  EXPECT_EQ(failure.error.message.find("sqlite"), std::string::npos);
  EXPECT_NE(failure.error.cause.find("database or disk is full"), std::string::npos);
}

TEST(SqliteErrors, KeepTheStatementsFaultApartFromTheDatabases) {
  const Failure constraint = classify(SQLITE_CONSTRAINT_UNIQUE, 0, "UNIQUE constraint failed: t.a");
  const Failure syntax = classify(SQLITE_ERROR, 0, "near \"SELEKT\": syntax error");

  EXPECT_EQ(constraint.error.code, Errc::conflict);
  EXPECT_EQ(constraint.error.slug, "constraint");
  EXPECT_EQ(constraint.error.message.find("t.a"), std::string::npos);
  EXPECT_TRUE(constraint.reason.empty());
  EXPECT_EQ(syntax.error.code, Errc::internal);
  EXPECT_TRUE(syntax.reason.empty());
}

TEST(SqliteErrors, CallADamagedDatabaseDamaged) {
  EXPECT_EQ(classify(SQLITE_CORRUPT_INDEX, 0, "").error.slug, "record_corrupt");
  EXPECT_EQ(classify(SQLITE_NOTADB, 0, "").error.slug, "record_corrupt");
}

}  // namespace
}  // namespace redoubt::sql::sqlite
