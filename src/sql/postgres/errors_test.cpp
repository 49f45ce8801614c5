#include "sql/postgres/errors.hpp"

#include <gtest/gtest.h>

namespace redoubt::sql::postgres {
namespace {

std::string slug(std::string_view sqlstate) {
  const Failure failure = classify(sqlstate, "the server's words");
  return std::string(slug_of(failure.error)) +
         (failure.reason.empty() ? "" : ": " + std::string(failure.reason));
}

TEST(PostgresErrors, NameTheReasonWhenTheDatabaseIsAtFault) {
  EXPECT_EQ(slug("53100"), "record_unavailable: disk full");
  EXPECT_EQ(slug("25006"), "record_unavailable: database is read-only");
  EXPECT_EQ(slug("57P01"), "record_unavailable: database is shutting down");
  EXPECT_EQ(slug("08006"), "record_unavailable: database cannot be reached");
  EXPECT_EQ(slug("28P01"), "record_unavailable: login refused");
  EXPECT_EQ(slug("XX001"), "record_corrupt: database damaged");
}

TEST(PostgresErrors, TellAConflictFromAnOutage) {
  EXPECT_EQ(slug("23505"), "constraint");
  EXPECT_EQ(slug("23001"), "constraint") << "what the audit trail's triggers raise";
  EXPECT_EQ(slug("42P01"), "internal");
  EXPECT_TRUE(classify("40P01", "").conflict);
  EXPECT_TRUE(classify("40001", "").conflict);
  EXPECT_FALSE(classify("55P03", "").conflict);
  EXPECT_EQ(slug("40P01"), "record_unavailable");
}

TEST(PostgresErrors, KeepTheServersWordsFromTheCaller) {
  const Failure failure = classify("23505", "Key (id)=(secret) already exists");

  EXPECT_EQ(failure.error.message.find("secret"), std::string::npos);
  EXPECT_NE(failure.error.cause.find("23505"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::sql::postgres
