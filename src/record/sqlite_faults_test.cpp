// What the record does when the disk does not: full, read-only, broken, at every point where SQLite
// touches it.
#include "base/clock.hpp"
#include "record/sqlite_record.hpp"
#include "tests/support/event_log.hpp"
#include "tests/support/fault_vfs.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <sys/mount.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

namespace redoubt::record {
namespace {

using test::EventLog;
using test::FaultVfs;
using test::TemporaryDirectory;

constexpr std::size_t kPayloadBytes = 3'000;
constexpr sql::Statement kInsert{"INSERT INTO rd_meta (name, bytes) VALUES ($1, $2)"};
constexpr sql::Statement kNames{"SELECT name FROM rd_meta WHERE name LIKE 'test.%'"};
constexpr sql::Statement kDelete{"DELETE FROM rd_meta WHERE name LIKE 'test.%'"};
constexpr sql::Statement kCheck{"PRAGMA integrity_check"};

Task<void> insert(sql::Transaction& tx, std::string name) {
  const Bytes payload(kPayloadBytes, 'x');
  RD_CO_CHECK(co_await tx.run(kInsert, {std::string_view(name), ByteView(payload)}));
  co_return Result<void>{};
}

Task<void> delete_all(sql::Transaction& tx) {
  RD_CO_CHECK(co_await tx.run(kDelete));
  co_return Result<void>{};
}

// Takes the database's error for an answer of its own.
Task<void> insert_and_ignore_the_error(sql::Transaction& tx, std::string name) {
  std::ignore = co_await insert(tx, std::move(name));
  co_return Result<void>{};
}

Task<std::set<std::string>> names(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kNames));
  std::set<std::string> out;
  for (const sql::Row& row : rows.rows) out.insert(row.text(0));
  co_return out;
}

Task<std::string> check(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kCheck));
  co_return rows[0].text(0);
}

// Keeps the names of the events.
// A small file system of its own, gone at the end of the test however that comes. Needs the right
// to mount one.
class SmallFileSystem {
 public:
  explicit SmallFileSystem(const std::string& path) : path_(path) {
    std::filesystem::create_directory(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=2m") == 0;
  }
  ~SmallFileSystem() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  bool mounted() const { return mounted_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool remount(unsigned long flags) {
    return ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | flags, nullptr) == 0;
  }

 private:
  std::string path_;
  bool mounted_ = false;
};

class SqliteFaults : public testing::Test {
 protected:
  void SetUp() override { FaultVfs::instance().heal(); }
  void TearDown() override { FaultVfs::instance().heal(); }

  Result<void> open(const std::string& path) {
    record_.reset();
    options_.path = path;
    auto opened = open_sqlite_record(options_, clock_, log_, metrics_);
    if (!opened) return fail(std::move(opened).error());
    record_ = std::move(*opened);
    return {};
  }

  Result<void> add(const std::string& name) {
    return test::run(record_->write_unit([&](Unit& unit) { return insert(unit, name); }));
  }
  Result<void> clear() { return test::run(record_->write_unit(delete_all)); }
  std::set<std::string> stored() {
    return test::run(record_->read<std::set<std::string>>(names)).value();
  }
  std::string integrity() { return test::run(record_->read<std::string>(check)).value(); }

  // Adds rows until one is refused, and returns its error.
  Error fill(std::set<std::string>& acknowledged) {
    for (int i = 0; i < 10'000; ++i) {
      const std::string name = "test." + std::to_string(i);
      const Result<void> done = add(name);
      if (!done) return done.error();
      acknowledged.insert(name);
    }
    ADD_FAILURE() << "it never became full";
    return Error();
  }

  TemporaryDirectory directory_{TemporaryDirectory::Where::in_memory};
  SqliteRecordOptions options_;
  ManualClock clock_;
  EventLog log_;
  Metrics metrics_;
  std::unique_ptr<Record> record_;
};

TEST_F(SqliteFaults, LosesNothingAcknowledgedWhicheverWriteOrSyncFails) {
  FaultVfs& disk = FaultVfs::instance();
  options_.vfs = disk.name();
  options_.checkpoint_pages = 8;  // So that checkpoints are among what fails.
  constexpr int kWrites = 8;
  std::int64_t calls = 1;
  int unknown = 0;

  for (std::int64_t n = 1; n <= calls; ++n) {
    ASSERT_TRUE(open(directory_.file("n" + std::to_string(n))));
    const std::int64_t calls_before = disk.calls();
    const std::int64_t failures_before = disk.failures();
    disk.fail_from(n, FaultVfs::Fault::io_error, false);
    std::set<std::string> acknowledged;
    for (int i = 0; i < kWrites; ++i) {
      const std::string name = "test." + std::to_string(i);
      const Result<void> done = add(name);
      if (done) acknowledged.insert(name);
      if (!done) {
        ASSERT_EQ(done.error().code, Errc::unavailable) << done.error().cause;
        unknown += done.error().slug == "record_outcome_unknown" ? 1 : 0;
      }
      // Refused means not there.
      ASSERT_EQ(stored(), acknowledged) << "operation " << n << ", row " << i;
    }
    const bool fault_met = disk.failures() != failures_before;
    if (n == 1) calls = disk.calls() - calls_before + 8;  // A failure costs some operations more.
    disk.heal();

    ASSERT_TRUE(add("test.after")) << "operation " << n;
    acknowledged.insert("test.after");
    ASSERT_EQ(record_->status().state, State::normal);
    ASSERT_TRUE(open(options_.path));
    ASSERT_EQ(stored(), acknowledged) << "operation " << n;
    ASSERT_EQ(integrity(), "ok") << "operation " << n;
    if (n <= 10) {
      ASSERT_TRUE(fault_met) << n;
    }
  }
  EXPECT_GT(calls, 3 * kWrites);
  EXPECT_GE(unknown, kWrites) << "the sync of each commit failed at least once";
}

TEST_F(SqliteFaults, OpensCleanlyAfterFailingToOpenAtAnyPoint) {
  FaultVfs& disk = FaultVfs::instance();
  options_.vfs = disk.name();
  int refused = 0;

  for (std::int64_t n = 1; n <= 40; ++n) {
    const std::string path = directory_.file("n" + std::to_string(n));
    disk.fail_from(n, FaultVfs::Fault::io_error, true);
    const Result<void> opened = open(path);
    refused += !opened;
    disk.heal();
    ASSERT_TRUE(open(path)) << "operation " << n;
    ASSERT_TRUE(add("test.a")) << "operation " << n;
    ASSERT_EQ(integrity(), "ok");
  }
  EXPECT_GE(refused, 10);
}

class SqliteOutage : public SqliteFaults,
                     public testing::WithParamInterface<std::pair<FaultVfs::Fault, const char*>> {};

TEST_P(SqliteOutage, AnswersWithTheReasonReadsOnAndRecoversByItself) {
  const auto [fault, reason] = GetParam();
  options_.vfs = FaultVfs::instance().name();
  ASSERT_TRUE(open(directory_.file("outage.db")));
  ASSERT_TRUE(add("test.before"));

  FaultVfs::instance().fail_from(1, fault, true);
  for (int i = 0; i < 3; ++i) {
    const Result<void> refused = add("test.during");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unavailable);
    EXPECT_NE(refused.error().message.find(reason), std::string::npos);
    EXPECT_GT(refused.error().retry_after.count(), 0);
  }
  EXPECT_EQ(record_->status().state, State::down);
  EXPECT_EQ(record_->status().reason, reason);
  EXPECT_EQ(stored(), std::set<std::string>{"test.before"});
  EXPECT_NE(metrics_.prometheus_text().find("redoubt_record_up 0"), std::string::npos);
  clock_.advance(std::chrono::seconds(90));
  const WallTime recovered_at = clock_.wall();
  FaultVfs::instance().heal();

  ASSERT_TRUE(add("test.after"));
  EXPECT_EQ(record_->status().state, State::normal);
  EXPECT_EQ(record_->status().reason, "");
  EXPECT_EQ(record_->status().since, recovered_at);
  EXPECT_EQ(stored(), (std::set<std::string>{"test.before", "test.after"}));
  EXPECT_EQ(log_.count("record.state_changed"), 2) << "one line each way";
}

INSTANTIATE_TEST_SUITE_P(Faults, SqliteOutage,
                         testing::Values(std::pair{FaultVfs::Fault::disk_full, "disk full"},
                                         std::pair{FaultVfs::Fault::read_only,
                                                   "read-only file system"},
                                         std::pair{FaultVfs::Fault::io_error, "I/O error"}),
                         [](const auto& info) {
                           std::string name = info.param.second;
                           std::erase_if(name, [](char c) { return c < 'A' || c > 'z'; });
                           return name;
                         });

TEST_F(SqliteFaults, DoesNotGoOnWithAnotherFileThanItsReaders) {
  options_.vfs = FaultVfs::instance().name();
  const std::string path = directory_.file("replaced.db");
  ASSERT_TRUE(open(path));
  ASSERT_TRUE(add("test.before"));
  const std::string copy = directory_.file("copy.db");
  ASSERT_TRUE(std::filesystem::copy_file(path, copy));

  FaultVfs::instance().fail_from(1, FaultVfs::Fault::read_only, true);
  std::filesystem::rename(copy, path);
  ASSERT_FALSE(add("test.during"));

  FaultVfs::instance().heal();

  EXPECT_FALSE(add("test.after"));
  EXPECT_EQ(record_->status().state, State::down);
  EXPECT_EQ(record_->status().reason, "file was replaced; restart");
}

TEST_F(SqliteFaults, AcknowledgesNothingIntoAFileThatWasMovedAway) {
  const std::string path = directory_.file("moved.db");
  ASSERT_TRUE(open(path));
  ASSERT_TRUE(add("test.before"));
  std::filesystem::rename(path, directory_.file("elsewhere.db"));

  EXPECT_FALSE(add("test.after"));
  EXPECT_EQ(record_->status().reason, "file was replaced; restart");
}

// An operator who restores a backup under a running server.
TEST_F(SqliteFaults, NeitherWritesNorReadsOnceItsFileIsReplaced) {
  const std::string path = directory_.file("replaced.db");
  ASSERT_TRUE(open(path));
  ASSERT_TRUE(add("test.before"));
  const std::string copy = directory_.file("copy.db");
  ASSERT_TRUE(std::filesystem::copy_file(path, copy));

  std::filesystem::rename(copy, path);

  EXPECT_FALSE(add("test.after"));
  EXPECT_EQ(record_->status().reason, "file was replaced; restart");
  const auto read = test::run(record_->read<std::set<std::string>>(names));
  ASSERT_FALSE(read) << "a new reader would see the other file";
  EXPECT_EQ(read.error().slug, "record_unavailable");
}

TEST_F(SqliteFaults, FailsAUnitThatIgnoresTheDatabasesError) {
  options_.pages_max = 60;
  ASSERT_TRUE(open(directory_.file("full.db")));
  std::set<std::string> acknowledged;
  fill(acknowledged);

  const auto failed = test::run(record_->write_unit(
      [](Unit& unit) { return insert_and_ignore_the_error(unit, "test.ignored"); }));

  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("disk full"), std::string::npos);
  EXPECT_EQ(stored(), acknowledged);
}

TEST_F(SqliteFaults, RecoversFromAFullDatabaseWhenRowsAreDeleted) {
  options_.pages_max = 60;
  ASSERT_TRUE(open(directory_.file("full.db")));
  std::set<std::string> acknowledged;

  const Error full = fill(acknowledged);

  EXPECT_NE(full.message.find("disk full"), std::string::npos);
  EXPECT_EQ(record_->status().state, State::down);
  EXPECT_EQ(stored(), acknowledged);
  ASSERT_TRUE(clear());
  ASSERT_TRUE(add("test.again"));
  EXPECT_EQ(record_->status().state, State::normal);
  EXPECT_EQ(stored(), std::set<std::string>{"test.again"});
}

// Every failing insert undoes its batch; the one unit that frees space must get through regardless.
TEST_F(SqliteFaults, LetsTheWriteThatFreesSpaceThroughAmongManyThatNeedIt) {
  options_.pages_max = 60;
  ASSERT_TRUE(open(directory_.file("full.db")));
  std::set<std::string> acknowledged;
  fill(acknowledged);
  boost::asio::io_context io;
  int added = 0;
  std::optional<Result<void>> cleared;
  auto add_later = [&](int i) {
    std::function<Task<void>(Unit&)> work = [i](Unit& unit) {
      return insert(unit, "test.late." + std::to_string(i));
    };
    boost::asio::co_spawn(io, record_->write_unit(work),
                          [&added](std::exception_ptr, Result<void> r) { added += r.has_value(); });
  };

  for (int i = 0; i < 30; ++i) add_later(i);
  boost::asio::co_spawn(io, record_->write_unit(delete_all),
                        [&cleared](std::exception_ptr, Result<void> r) { cleared = r; });
  for (int i = 30; i < 40; ++i) add_later(i);
  io.run();

  ASSERT_TRUE(cleared && *cleared) << (*cleared).error().message;
  EXPECT_GE(added, 10);
  EXPECT_EQ(stored().size(), std::size_t(added));
}

TEST_F(SqliteFaults, RecoversFromAFullFileSystemWhenSpaceIsFreed) {
  const SmallFileSystem disk(directory_.file("small"));
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system is not permitted here";
  const std::string ballast = disk.file("ballast");
  std::ofstream(ballast, std::ios::binary) << std::string(512 << 10, 'b');
  std::set<std::string> acknowledged;
  ASSERT_TRUE(open(disk.file("full.db")));

  const Error full = fill(acknowledged);
  EXPECT_NE(full.message.find("disk full"), std::string::npos) << full.cause;
  EXPECT_EQ(stored(), acknowledged);
  std::filesystem::remove(ballast);
  EXPECT_TRUE(add("test.again"));
  acknowledged.insert("test.again");

  EXPECT_EQ(record_->status().state, State::normal);
  ASSERT_TRUE(open(options_.path));
  EXPECT_EQ(stored(), acknowledged);
  EXPECT_EQ(integrity(), "ok");
  record_.reset();
}

TEST_F(SqliteFaults, SaysThatTheFileSystemIsReadOnlyAndLeavesItsDataAlone) {
  SmallFileSystem disk(directory_.file("small"));
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system is not permitted here";
  ASSERT_TRUE(open(disk.file("ro.db")));
  ASSERT_TRUE(add("test.before"));
  record_.reset();
  ASSERT_TRUE(disk.remount(MS_RDONLY));

  const Result<void> refused = open(disk.file("ro.db"));

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("Read-only file system"), std::string::npos);
  ASSERT_TRUE(disk.remount(0));
  ASSERT_TRUE(open(disk.file("ro.db")));
  EXPECT_EQ(stored(), std::set<std::string>{"test.before"});
  record_.reset();
}

}  // namespace
}  // namespace redoubt::record
