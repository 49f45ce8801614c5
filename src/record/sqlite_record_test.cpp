#include "record/sqlite_record.hpp"

#include "base/clock.hpp"
#include "sql/sqlite/connection.hpp"
#include "tests/support/record_fixture.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include <sqlite3.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

constexpr sql::Statement kCheck{"PRAGMA integrity_check"};

// For an answer that never comes: whoever should have given it forgot.
Task<void> put_then_wait_in_vain(sql::Transaction& tx) {
  RD_CO_CHECK(co_await put(tx, "test.waiting", 1));
  auto forget = [](auto handler) { static_cast<void>(handler); };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(forget, asio::use_awaitable);
  co_return Result<void>{};
}

Task<std::string> check(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kCheck));
  co_return rows[0].text(0);
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class SqliteRecord : public RecordTest {
 protected:
  void SetUp() override { open(); }

  void open() {
    record_.reset();
    auto opened = open_sqlite_record(options_, clock_, null_log(), metrics_);
    ASSERT_TRUE(opened) << opened.error().message << opened.error().cause;
    record_ = std::move(*opened);
  }

  std::string integrity() { return test::run(record_->read<std::string>(check)).value(); }

  test::TemporaryDirectory directory_;
  SqliteRecordOptions options_{.path = directory_.file("record.db")};
};

TEST_F(SqliteRecord, ReadsWhatItWroteAlsoAfterOpeningAgain) {
  ASSERT_TRUE(put_number("test.a", 7));
  EXPECT_EQ(number_of("test.a"), 7);

  open();

  EXPECT_EQ(number_of("test.a"), 7);
  EXPECT_EQ(integrity(), "ok");
}

// The batch is held open by its first unit until all the others wait behind it.
TEST_F(SqliteRecord, AcknowledgesNothingOfAUnitThatWaitsForSomethingElse) {
  const auto refused = write(put_then_wait_in_vain);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().cause, "a unit of work waited for something other than its unit");
  EXPECT_EQ(rows(), 0);
  EXPECT_TRUE(put_number("test.after", 1));
}

TEST_F(SqliteRecord, TellsListenersOnlyWhatCanAlreadyBeRead) {
  std::int64_t seen = 0;
  record_->subscribe([&](const JournalEntry&) { seen = number_of("test.a"); });

  ASSERT_TRUE(write([](Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await put(unit, "test.a", 5));
    co_return co_await announce(unit, "a");
  }));

  EXPECT_EQ(seen, 5);
}

TEST_F(SqliteRecord, IsOpenInOneProcessAtATime) {
  const auto second = open_sqlite_record(options_, clock_, null_log(), metrics_);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().slug, "record_in_use");
}

TEST_F(SqliteRecord, IsOpenInOneProcessAtATimeWhateverPathLeadsToIt) {
  SqliteRecordOptions linked;
  linked.path = directory_.file("linked.db");
  std::filesystem::create_symlink(options_.path, linked.path);

  const auto second = open_sqlite_record(linked, clock_, null_log(), metrics_);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().slug, "record_in_use");
}

TEST_F(SqliteRecord, IsOpenInOneProcessAlsoWhenALinkWasThereBeforeTheFile) {
  SqliteRecordOptions target;
  target.path = directory_.file("new.db");
  SqliteRecordOptions linked;
  linked.path = directory_.file("linked.db");
  std::filesystem::create_symlink(target.path, linked.path);
  const auto first = open_sqlite_record(linked, clock_, null_log(), metrics_);
  ASSERT_TRUE(first) << first.error().message;

  const auto second = open_sqlite_record(target, clock_, null_log(), metrics_);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().slug, "record_in_use");
}

TEST_F(SqliteRecord, LeavesAnotherProgramsFileAsItIs) {
  const std::string theirs = directory_.file("theirs.db");
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(theirs.c_str(), &handle), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE theirs (x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
  const std::string before = content(theirs);
  SqliteRecordOptions options;
  options.path = theirs;

  const auto refused = open_sqlite_record(options, clock_, null_log(), metrics_);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_foreign");
  EXPECT_EQ(content(theirs), before) << "its journal mode is in its header";
}

TEST_F(SqliteRecord, KeepsItsFilesFromOthers) {
  ASSERT_TRUE(put_number("test.a", 1));

  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat info {};
    ASSERT_EQ(::stat((options_.path + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteRecord, KeepsATemporaryDatabaseToItself) {
  options_.path = kTemporary;
  open();
  ASSERT_TRUE(put_number("test.a", 1));

  open();

  EXPECT_EQ(number_of("test.a"), -1);
}

// What a power failure leaves: the log up to some byte, then garbage or nothing.
TEST_F(SqliteRecord, OpensWithATornLogAndKeepsEveryWholeCommitBeforeTheTear) {
  constexpr int kWrites = 20;
  for (int i = 0; i < kWrites; ++i) ASSERT_TRUE(put_number("test." + std::to_string(i), i));
  std::filesystem::copy(options_.path, directory_.file("torn.db"));
  const auto log_size = std::filesystem::file_size(options_.path + "-wal");
  SqliteRecordOptions torn = options_;
  torn.path = directory_.file("torn.db");
  std::int64_t most = 0;

  for (std::uint64_t cut = 0; cut < log_size; cut += 9'973) {
    std::filesystem::copy_file(options_.path, torn.path,
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(options_.path + "-wal", torn.path + "-wal",
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(torn.path + "-wal", log_size - cut);
    std::ofstream(torn.path + "-wal", std::ios::app | std::ios::binary)
        << "torn by a power failure";
    auto opened = open_sqlite_record(torn, clock_, null_log(), metrics_);
    ASSERT_TRUE(opened) << opened.error().message << opened.error().cause;
    const auto kept = test::run((*opened)->read<std::int64_t>(count)).value();
    ASSERT_EQ(test::run((*opened)->read<std::string>(check)).value(), "ok");
    // A prefix: the newest row kept is the number of rows kept.
    if (kept > 0) {
      const auto newest = "test." + std::to_string(kept - 1);
      const auto number = test::run(
          (*opened)->read<std::int64_t>([&](sql::Transaction& tx) { return get(tx, newest); }));
      ASSERT_EQ(number.value(), kept - 1);
    }
    most = std::max(most, kept);
  }
  EXPECT_EQ(most, kWrites);
}

}  // namespace
}  // namespace redoubt::record
