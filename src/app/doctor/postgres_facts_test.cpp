// What the doctor finds of a real PostgreSQL that is badly set up.
#include "app/doctor/facts.hpp"
#include "base/clock.hpp"
#include "tests/support/postgres_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::app::doctor {
namespace {

using test::PostgresServer;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

std::vector<std::string> codes_of(const std::string& url, std::size_t pool = 4) {
  config::RecordSettings record;
  record.database_url = Secret(url);
  record.database_pool_size = pool;
  const SystemClock clock;
  boost::asio::io_context io;
  std::string identity;
  const auto facts = gather_postgres(record, clock, io, identity);
  std::vector<std::string> codes;
  for (const Finding& one : diagnostics::examine_record({.sqlite = nullptr, .postgres = &facts})) {
    codes.push_back(one.code);
  }
  return codes;
}

TEST(PostgresDoctor, FindsWhatAServerAndAnAccountHaveWrong) {
  if (!PostgresServer::available()) GTEST_SKIP() << "no PostgreSQL here";
  PostgresServer server(
      {.durable = false, .settings = {"full_page_writes=off", "max_connections=20"}});
  const std::string url = server.new_database();
  EXPECT_THAT(codes_of(url), UnorderedElementsAre("postgres_fsync_off", "postgres_torn_pages"))
      << "as the server for tests is set up";

  const std::string role = server.execute(
      url, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()");
  const auto alter = [&](const std::string& how) {
    server.execute(url, "ALTER ROLE " + role + " " + how);
  };
  alter("SET synchronous_commit = off");
  alter("SET default_transaction_read_only = on");
  alter("SUPERUSER");
  EXPECT_THAT(codes_of(url, 30), IsSupersetOf({"postgres_commits_unsafe", "postgres_read_only",
                                               "postgres_superuser", "postgres_few_connections"}));

  alter("NOSUPERUSER BYPASSRLS");
  EXPECT_THAT(codes_of(url), ::testing::Contains("postgres_bypasses_rls"));

  server.kill();
  EXPECT_THAT(codes_of(url), UnorderedElementsAre("postgres_unreachable"));
}

}  // namespace
}  // namespace redoubt::app::doctor
