#include "record/postgres_link.hpp"

#include "tests/support/postgres_record_fixture.hpp"
#include "tests/support/tcp_proxy.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace redoubt::record {
namespace {

using sql::postgres::Connection;

constexpr std::uint16_t kNobodyListens = 1;
constexpr int kUntilRestsAreLong = 8;  // Two seconds: however slow the machine, it still rests.

class PostgresLinkTest : public PostgresRecord {
 protected:
  // Behind the proxy, which leads nowhere at first.
  std::unique_ptr<PostgresLink> make_link() {
    std::string url = server().over_tcp(url_);
    const std::string port = ":" + std::to_string(server().port());
    url.replace(url.find(port), port.size(), ":" + std::to_string(proxy_.port()));
    auto target = sql::postgres::parse_target(Secret(url));
    EXPECT_TRUE(target);
    target_ = std::move(*target);
    return std::make_unique<PostgresLink>(io_.get_executor(), target_,
                                          sql::postgres::ConnectionOptions{});
  }
  // Not until the loop is empty: a rest is a timer on it.
  Result<Connection*> get(PostgresLink& link) {
    std::optional<Result<Connection*>> got;
    const auto spawned = test::spawn(io_, test::keep_result<Connection*>(link.get(), got));
    while (!spawned->over) io_.run_one();
    return *got;
  }

  boost::asio::io_context io_;
  test::TcpProxy proxy_{kNobodyListens};
  sql::postgres::Target target_;
};

TEST_F(PostgresLinkTest, RestsAfterAFailureUntilItIsWoken) {
  const auto link = make_link();
  for (int i = 0; i < kUntilRestsAreLong; ++i) {
    link->wake();
    EXPECT_FALSE(get(*link));
  }
  EXPECT_EQ(link->reason(), sql::postgres::kUnreachable);
  proxy_.redirect(server().port());
  EXPECT_FALSE(get(*link)) << "it answers what it knows";
  EXPECT_EQ(link->opened(), 0U);

  link->wake();

  const auto connection = get(*link);
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_EQ(link->opened(), 1U);
  EXPECT_EQ(link->reason(), "");
  EXPECT_EQ(*get(*link), *connection) << "it is kept";
}

}  // namespace
}  // namespace redoubt::record
