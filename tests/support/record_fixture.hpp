// For tests of the record itself: numbers under names, in rd_meta, and a fixture that writes and
// reads them. Names begin with "test.".
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace redoubt::record {

inline Task<void> put(sql::Transaction& tx, std::string name, std::int64_t number) {
  static constexpr sql::Statement put{
      "INSERT INTO rd_meta (name, number) VALUES ($1, $2)"
      " ON CONFLICT (name) DO UPDATE SET number = excluded.number"};
  RD_CO_CHECK(co_await tx.run(put, {std::string_view(name), number}));
  co_return Result<void>{};
}

// -1: there is none.
inline Task<std::int64_t> get(sql::Transaction& tx, std::string name) {
  static constexpr sql::Statement get{"SELECT number FROM rd_meta WHERE name = $1"};
  RD_CO_TRY(rows, co_await tx.run(get, {std::string_view(name)}));
  co_return rows.empty() ? -1 : rows[0].integer(0);
}

inline Task<std::int64_t> count(sql::Transaction& tx) {
  static constexpr sql::Statement count{"SELECT count(*) FROM rd_meta WHERE name LIKE 'test.%'"};
  RD_CO_TRY(rows, co_await tx.run(count));
  co_return rows[0].integer(0);
}

inline Task<void> announce(Unit& unit, std::string key) {
  unit.announce(JournalEntry{.kind = JournalEntry::Kind::session, .tenant = "t", .key = key});
  co_return Result<void>{};
}

class RecordTest : public testing::Test {
 protected:
  // Before what it was opened in goes.
  void TearDown() override { record_.reset(); }

  Result<void> write(std::function<Task<void>(Unit&)> work) {
    return test::run(record_->write_unit(std::move(work)));
  }
  Result<void> put_number(std::string name, std::int64_t number) {
    return write([&](Unit& unit) { return put(unit, name, number); });
  }
  std::int64_t number_of(const std::string& name) {
    return test::run(
               record_->read<std::int64_t>([&](sql::Transaction& tx) { return get(tx, name); }))
        .value();
  }
  std::int64_t rows() { return test::run(record_->read<std::int64_t>(count)).value(); }

  ManualClock clock_;
  Metrics metrics_;
  std::unique_ptr<Record> record_;
};

}  // namespace redoubt::record
