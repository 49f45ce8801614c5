#include "record/sqlite_record.hpp"

#include "base/clock.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

namespace redoubt::record {
namespace {

constexpr sql::Statement kPut{
    "INSERT INTO rd_meta (name, number) VALUES ($2, $1)"
    " ON CONFLICT (name) DO UPDATE SET number = excluded.number"};
constexpr sql::Statement kGet{"SELECT number FROM rd_meta WHERE name = $1"};

Task<void> put(sql::Transaction& tx, std::string name, std::int64_t number) {
  RD_CO_CHECK(co_await tx.run(kPut, {number, std::string_view(name)}));
  co_return Result<void>{};
}

Task<std::int64_t> get(sql::Transaction& tx, std::string name) {
  RD_CO_TRY(rows, co_await tx.run(kGet, {std::string_view(name)}));
  co_return rows.empty() ? -1 : rows[0].integer(0);
}

TEST(SqliteRecord, ReadsWhatItWrote) {
  ManualClock clock;
  Metrics metrics;
  auto record = open_sqlite_record({.path = ":memory:"}, clock, null_log(), metrics);
  ASSERT_TRUE(record) << record.error().message << record.error().cause;
  auto done = test::run((*record)->write_unit([](Unit& u) { return put(u, "a", 7); }));
  ASSERT_TRUE(done) << done.error().message << done.error().cause;
  auto read = test::run((*record)->read<std::int64_t>([](sql::Transaction& tx) { return get(tx, "a"); }));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, 7);
}

}  // namespace
}  // namespace redoubt::record
