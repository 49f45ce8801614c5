#include "sql/postgres/connection.hpp"

#include "tests/support/certificates.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <array>

namespace redoubt::sql::postgres {
namespace {

using test::PostgresServer;

class PostgresConnection : public testing::Test {
 protected:
  void SetUp() override {
    if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
    url_ = PostgresServer::shared().new_database();
    connection_ = open();
  }

  std::unique_ptr<Connection> open(ConnectionOptions options = {}) {
    auto target = parse_target(Secret(url_));
    EXPECT_TRUE(target);
    auto opened = test::run(io_, Connection::open(io_.get_executor(), *target, options));
    EXPECT_TRUE(opened) << opened.error().message << opened.error().cause;
    return std::move(*opened);
  }

  Result<Rows> run(std::string_view text, std::initializer_list<Param> params = {}) {
    return test::run(io_, connection_->run(text, Params(std::span(params.begin(), params.size()))));
  }
  void execute(std::string script) {
    const auto done = test::run(io_, connection_->execute(std::move(script)));
    ASSERT_TRUE(done) << done.error().cause;
  }
  Commit commit() {
    Commit outcome{};
    auto task = [&]() -> boost::asio::awaitable<void> { outcome = co_await connection_->commit(); };
    boost::asio::co_spawn(io_, task(), [](std::exception_ptr) {});
    io_.restart();
    io_.run();
    return outcome;
  }

  std::string url_;
  boost::asio::io_context io_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(PostgresConnection, ReturnsWhatItWasGivenInEveryType) {
  const Bytes bytes{0, 1, 255};
  const auto rows = run("SELECT $1, $2, $3, $4, $5::int4, true, $6",
                        {std::int64_t{-7}, std::string_view("h\xc3\xa9"), ByteView(bytes), nullptr,
                         std::int64_t{5}, std::string_view("")});

  ASSERT_TRUE(rows) << rows.error().cause;
  EXPECT_EQ((*rows)[0].integer(0), -7);
  EXPECT_EQ((*rows)[0].text(1), "h\xc3\xa9");
  EXPECT_EQ((*rows)[0].bytes(2), bytes);
  EXPECT_TRUE((*rows)[0].is_null(3));
  EXPECT_EQ((*rows)[0].integer(4), 5);
  EXPECT_EQ((*rows)[0].integer(5), 1);
  EXPECT_EQ((*rows)[0].text(6), "");
  EXPECT_FALSE((*rows)[0].is_null(6));
}

TEST_F(PostgresConnection, CountsTheRowsThatAStatementChanged) {
  execute("CREATE TABLE a (x bigint)");

  EXPECT_EQ(run("INSERT INTO a SELECT generate_series(1, 5)")->changed, 5);
  EXPECT_EQ(run("UPDATE a SET x = 0 WHERE x > 3")->changed, 2);
  EXPECT_EQ(run("SELECT x FROM a")->changed, 0);
  EXPECT_EQ(run("DELETE FROM a RETURNING x")->changed, 5);
}

TEST_F(PostgresConnection, SendsWhatIsQueuedInFrontAndReturnsTheLastRows) {
  execute("CREATE TABLE a (x bigint)");
  connection_->queue("BEGIN");
  for (std::int64_t i = 0; i < 500; ++i) {
    const Param number[] = {i};
    connection_->queue("INSERT INTO a VALUES ($1)", Params(number));
  }

  EXPECT_EQ((*run("SELECT count(*) FROM a"))[0].integer(0), 500);
  EXPECT_TRUE(connection_->in_transaction());
  EXPECT_EQ(commit(), Commit::committed);
  EXPECT_FALSE(connection_->in_transaction());
}

TEST_F(PostgresConnection, FailsWithTheErrorOfTheFirstThatFailedAndGoesOn) {
  connection_->queue("SELECT 1 / 0");
  connection_->queue("SELECT 'never prepared'");

  const auto failed = run("SELECT 2");

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::internal);
  EXPECT_NE(failed.error().cause.find("division by zero"), std::string::npos);
  EXPECT_EQ((*run("SELECT 'never prepared'"))[0].text(0), "never prepared");
}

TEST_F(PostgresConnection, ToldTheSameSlugsAsSqlite) {
  execute("CREATE TABLE a (x bigint PRIMARY KEY CHECK (x > 0))");
  ASSERT_TRUE(run("INSERT INTO a VALUES (1)"));

  EXPECT_EQ(run("INSERT INTO a VALUES (1)").error().slug, "constraint");
  EXPECT_EQ(run("INSERT INTO a VALUES (0)").error().slug, "constraint");
  EXPECT_EQ(run("SELECT * FROM nowhere").error().code, Errc::internal);
}

TEST_F(PostgresConnection, DoesNotCallARolledBackTransactionCommitted) {
  execute("CREATE TABLE a (x bigint PRIMARY KEY)");
  connection_->queue("BEGIN");
  ASSERT_TRUE(run("INSERT INTO a VALUES (1)"));
  ASSERT_FALSE(run("INSERT INTO a VALUES (1)"));

  EXPECT_EQ(commit(), Commit::failed) << "COMMIT is answered with ROLLBACK, not with an error";
  EXPECT_EQ((*run("SELECT count(*) FROM a"))[0].integer(0), 0);
}

TEST_F(PostgresConnection, NoticesThatTheServerEndedIt) {
  const std::int64_t pid = (*run("SELECT pg_backend_pid()"))[0].integer(0);
  PostgresServer::shared().execute(
      url_, "SELECT pg_terminate_backend(" + std::to_string(pid) + ", 5000)");

  EXPECT_EQ(run("SELECT 1").error().slug, "record_unavailable");
  EXPECT_FALSE(connection_->alive());
}

TEST_F(PostgresConnection, NoticesBeforeItIsUsedThatTheServerEndedIt) {
  const std::int64_t pid = (*run("SELECT pg_backend_pid()"))[0].integer(0);
  PostgresServer::shared().execute(
      url_, "SELECT pg_terminate_backend(" + std::to_string(pid) + ", 5000)");

  EXPECT_FALSE(connection_->alive()) << "though it said goodbye";
}

TEST_F(PostgresConnection, ThatIsLostTakesNoOtherWithIt) {
  const std::int64_t pid = (*run("SELECT pg_backend_pid()"))[0].integer(0);
  PostgresServer::shared().execute(
      url_, "SELECT pg_terminate_backend(" + std::to_string(pid) + ", 5000)");
  ASSERT_FALSE(run("SELECT 1"));
  ASSERT_FALSE(connection_->alive());

  auto next = open();  // Its socket has the number of the lost one.
  connection_ = std::move(next);

  EXPECT_TRUE(run("SELECT 2"));
}

TEST_F(PostgresConnection, GivesUpOnAServerThatIsSilent) {
  ConnectionOptions options;
  options.reply_timeout = Duration(100);
  connection_ = open(options);

  const auto silent = run("SELECT pg_sleep(60)");

  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().slug, "record_unavailable");
  EXPECT_NE(silent.error().message.find("does not answer"), std::string::npos);
  EXPECT_FALSE(connection_->alive());
}

TEST_F(PostgresConnection, PreparesAgainWhenAnAddressHasAnotherText) {
  std::array<char, 16> text{"SELECT 1"};
  EXPECT_EQ((*run(std::string_view(text.data())))[0].integer(0), 1);
  text[7] = '2';

  EXPECT_EQ((*run(std::string_view(text.data())))[0].integer(0), 2);
}

// What `url` leads to: "TLS", "no TLS", or "" when it was refused.
std::string protection(const std::string& url) {
  boost::asio::io_context io;
  const auto target = parse_target(Secret(url));
  auto opened = test::run(io, Connection::open(io.get_executor(), *target, {}));
  if (!opened) return {};
  const auto rows =
      test::run(io, (*opened)->run("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"));
  return (*rows)[0].integer(0) != 0 ? "TLS" : "no TLS";
}

TEST(PostgresTls, WantsARightCertificateForTheRightName) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
  const test::Certificates certificates;
  PostgresServer::Options options;
  options.tls_certificate = certificates.file("good.crt");
  options.tls_key = certificates.file("good.key");
  PostgresServer server(options);
  const std::string url = server.over_tcp(server.new_database()) + "?hostaddr=127.0.0.1";
  const std::string verified = "&sslmode=verify-full&sslrootcert=" + certificates.file("ca.crt");
  const std::string other_authority =
      "&sslmode=verify-full&sslrootcert=" + certificates.file("self.crt");

  EXPECT_EQ(protection(url + "&host=localhost" + verified), "TLS");
  EXPECT_EQ(protection(url + "&host=db.example.com" + verified), "") << "another name";
  EXPECT_EQ(protection(url + "&host=localhost" + other_authority), "");
  EXPECT_EQ(protection(url + "&host=db.example.com&sslmode=require"), "TLS") << "as it was told";
}

TEST(PostgresTls, IsNotGivenUpForAServerWithout) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL is installed";
  PostgresServer& server = PostgresServer::shared();
  const std::string url = server.over_tcp(server.new_database());

  EXPECT_EQ(protection(url + "?sslmode=verify-full"), "");
  EXPECT_EQ(protection(url), "no TLS") << "on this machine";
}

TEST(PostgresTarget, VerifiesTheServerUnlessItIsThisMachine) {
  const auto mode = [](const std::string& url) {
    const auto target = parse_target(Secret(url));
    for (const auto& [keyword, value] : target->parameters) {
      if (keyword == "sslmode")
        return std::string(value.reveal()) + (target->weak_tls ? " weak" : "");
    }
    return std::string();
  };

  EXPECT_EQ(mode("postgresql://u@db.example.com/d"), "verify-full");
  EXPECT_EQ(mode("postgresql://u@db.example.com,localhost/d"), "verify-full");
  EXPECT_EQ(mode("postgresql://u@db.example.com/d?sslmode=require"), "require weak");
  EXPECT_EQ(mode("postgresql://u@127.0.0.1/d"), "prefer");
  EXPECT_EQ(mode("postgresql:///d?host=/run/postgresql"), "prefer");
}

TEST(PostgresTarget, QuotesNothingOfAUrlItDoesNotUnderstand) {
  const auto refused = parse_target(Secret("postgresql://u:hunter2@host:port:5/d?nonsense"));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(refused.error().cause.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::sql::postgres
