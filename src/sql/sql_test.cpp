#include "sql/sql.hpp"

#include <gtest/gtest.h>

namespace redoubt::sql {
namespace {

Row sample() {
  return Row({std::int64_t{42}, std::string("text"), Bytes{1, 2, 3}, std::monostate{}});
}

TEST(Row, GivesEachColumnAsItsType) {
  const Row row = sample();

  EXPECT_EQ(row.integer(0), 42);
  EXPECT_EQ(row.text(1), "text");
  EXPECT_EQ(row.bytes(2), (Bytes{1, 2, 3}));
}

TEST(Row, ReadsNullAsNothing) {
  const Row row = sample();

  EXPECT_TRUE(row.is_null(3));
  EXPECT_FALSE(row.is_null(0));
  EXPECT_EQ(row.integer(3), 0);
  EXPECT_EQ(row.text(3), "");
  EXPECT_TRUE(row.bytes(3).empty());
}

TEST(RowDeathTest, StopsTheProgramOnAColumnOfAnotherType) {
  EXPECT_DEATH(sample().integer(1), "another type");
  EXPECT_DEATH(sample().text(9), "column 9 of 4");
}

}  // namespace
}  // namespace redoubt::sql
