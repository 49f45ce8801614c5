#include "sql/sqlite/connection.hpp"

#include "tests/support/temporary_directory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <fstream>

namespace redoubt::sql::sqlite {
namespace {

class SqliteConnection : public testing::Test {
 protected:
  std::unique_ptr<Connection> open(ConnectionOptions::Mode mode = ConnectionOptions::Mode::writer) {
    ConnectionOptions options;
    options.path = directory_.file("test.db");
    options.mode = mode;
    auto connection = Connection::open(options);
    EXPECT_TRUE(connection) << connection.error().message << connection.error().cause;
    return std::move(*connection);
  }

  std::unique_ptr<Connection> open_with_table() {
    auto db = open();
    EXPECT_TRUE(db->execute("CREATE TABLE t (a INTEGER UNIQUE, b TEXT, c BLOB, d REAL) STRICT"));
    return db;
  }

  test::TemporaryDirectory directory_;
};

TEST_F(SqliteConnection, SyncsEveryCommitOfItsWriteAheadLog) {
  auto db = open();

  EXPECT_EQ((*db->run("PRAGMA journal_mode"))[0].text(0), "wal");
  EXPECT_EQ(db->integer("PRAGMA synchronous").value(), 2);  // FULL
  EXPECT_EQ(db->integer("PRAGMA foreign_keys").value(), 1);
  EXPECT_EQ(db->integer("PRAGMA mmap_size").value(), 0);
}

TEST_F(SqliteConnection, BindsParametersByTheirNumberInWhateverOrderTheyAppear) {
  auto db = open();
  const std::array<Param, 3> params{std::int64_t{1}, std::int64_t{2}, std::int64_t{3}};

  const auto rows = db->run("SELECT $3, $1, $2, $1", params);

  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0].integer(0), 3);
  EXPECT_EQ((*rows)[0].integer(1), 1);
  EXPECT_EQ((*rows)[0].integer(2), 2);
  EXPECT_EQ((*rows)[0].integer(3), 1);
}

TEST_F(SqliteConnection, KeepsEveryByteAndTellsEmptyFromNull) {
  auto db = open_with_table();
  const std::string text("a\0b\xff", 4);
  const Bytes bytes{0, 1, 255};
  const std::array<Param, 3> full{std::int64_t{INT64_MIN}, std::string_view(text), ByteView(bytes)};
  const std::array<Param, 3> empty{std::int64_t{1}, std::string_view(), ByteView()};
  const std::array<Param, 3> null{std::int64_t{2}, nullptr, nullptr};
  constexpr std::string_view insert = "INSERT INTO t (a, b, c) VALUES ($1, $2, $3)";

  ASSERT_TRUE(db->run(insert, full));
  ASSERT_TRUE(db->run(insert, empty));
  ASSERT_TRUE(db->run(insert, null));
  const auto rows = db->run("SELECT a, b, c FROM t ORDER BY a");

  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].integer(0), INT64_MIN);
  EXPECT_EQ((*rows)[0].text(1), text);
  EXPECT_EQ((*rows)[0].bytes(2), bytes);
  EXPECT_FALSE((*rows)[1].is_null(1));
  EXPECT_FALSE((*rows)[1].is_null(2));
  EXPECT_TRUE((*rows)[2].is_null(1));
  EXPECT_TRUE((*rows)[2].is_null(2));
}

TEST_F(SqliteConnection, CountsTheRowsAStatementChanged) {
  auto db = open_with_table();

  EXPECT_EQ(db->run("INSERT INTO t (a) VALUES (1), (2), (3)")->changed, 3);
  EXPECT_EQ(db->run("UPDATE t SET b = 'x' WHERE a > 1")->changed, 2);
  EXPECT_EQ(db->run("SELECT a FROM t")->changed, 0);
  EXPECT_EQ(db->run("DELETE FROM t WHERE a = 9")->changed, 0);
}

TEST_F(SqliteConnection, RefusesWhatIsNotExactlyOneStatementWithItsParameters) {
  auto db = open_with_table();
  const std::array<Param, 1> one{std::int64_t{1}};

  EXPECT_EQ(db->run("SELECT 1; SELECT 2").error().code, Errc::internal);
  EXPECT_EQ(db->run("  ").error().code, Errc::internal);
  EXPECT_EQ(db->run("SELECT $2", one).error().code, Errc::internal);
  EXPECT_EQ(db->run("SELECT ?", one).error().code, Errc::internal);
  EXPECT_EQ(db->run("SELEKT").error().code, Errc::internal);
  EXPECT_TRUE(db->run("SELECT 1 ;\n"));
}

TEST_F(SqliteConnection, NoticesAnAddressThatHoldsAnotherText) {
  auto db = open();
  std::string text = "SELECT 1";

  EXPECT_EQ((*db->run(text))[0].integer(0), 1);
  text[7] = '2';
  EXPECT_EQ((*db->run(text))[0].integer(0), 2);
}

TEST_F(SqliteConnection, ReportsAViolatedConstraintAsAConflict) {
  auto db = open_with_table();
  ASSERT_TRUE(db->run("INSERT INTO t (a) VALUES (1)"));

  const auto again = db->run("INSERT INTO t (a) VALUES (1)");

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().slug, "constraint");
  EXPECT_TRUE(db->failure_reason().empty());
}

TEST_F(SqliteConnection, DoesNotWriteWhenOpenedForReading) {
  auto writer = open_with_table();
  auto reader = open(ConnectionOptions::Mode::reader);

  const auto refused = reader->run("INSERT INTO t (a) VALUES (1)");

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(reader->failure_reason(), kReadOnly);
}

TEST_F(SqliteConnection, ShowsAReaderOneSnapshotWhileTheWriterGoesOn) {
  auto writer = open_with_table();
  auto reader = open(ConnectionOptions::Mode::reader);
  constexpr std::string_view count = "SELECT count(*) FROM t";

  ASSERT_TRUE(reader->run("BEGIN"));
  EXPECT_EQ((*reader->run(count))[0].integer(0), 0);
  ASSERT_TRUE(writer->run("INSERT INTO t (a) VALUES (1)"));
  EXPECT_EQ((*reader->run(count))[0].integer(0), 0);
  ASSERT_TRUE(reader->run("COMMIT"));
  EXPECT_EQ((*reader->run(count))[0].integer(0), 1);
}

TEST_F(SqliteConnection, RefusesAFileThatIsNoDatabase) {
  std::ofstream(directory_.file("test.db")) << std::string(8'192, 'x');
  ConnectionOptions options;
  options.path = directory_.file("test.db");

  const auto refused = Connection::open(options);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "record_corrupt");
}

}  // namespace
}  // namespace redoubt::sql::sqlite
