// Keys that are watched, on a real Redis.
#include "redis/tracking.hpp"

#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::RedisLoop;
using test::RedisServer;

class Told final : public TrackingHandler {
 public:
  void changed(std::string_view key) override { ++times[std::string(key)]; }
  void all_changed() override { ++all; }
  std::map<std::string, int, std::less<>> times;
  int all = 0;
};

class TrackingTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> connect(const Options& options) {
    ClientParts parts = loop_.parts();
    parts.tracking = &told_;
    auto made = make_client(loop_.io.get_executor(), options, parts);
    EXPECT_TRUE(made);
    EXPECT_TRUE(loop_.run((*made)->connected(Duration(5'000))));
    return std::move(*made);
  }
  static Result<Value> get(RedisLoop& loop, Client& client, std::string_view key,
                           Watched& outcome) {
    Command command = Command("GET").key(key).read_only().watch(outcome);
    return loop.run(client.run(std::move(command)));
  }
  Watched watch(Client& client, std::string_view key) {
    Watched outcome = Watched::no;
    EXPECT_TRUE(get(loop_, client, key, outcome));
    return outcome;
  }
  bool told(std::string_view key, int times) {
    return loop_.until([&] { return told_.times[std::string(key)] == times; });
  }

  RedisLoop loop_;
  RedisServer redis_;
  Told told_;
};

TEST_F(TrackingTest, TellsTheFirstChangeOfWhatWasWatchedAndOfNothingElse) {
  const auto client = connect(test::standalone(redis_.port()));
  redis_.cli("mset a 1 b 1 c 1");
  EXPECT_EQ(watch(*client, "a"), Watched::yes);
  EXPECT_TRUE(loop_.run(client->run(Command("GET").key("b").read_only())));
  EXPECT_EQ(watch(*client, "none"), Watched::yes);

  redis_.cli("mset a 2 b 2 c 2 none 2");
  ASSERT_TRUE(told("a", 1));
  ASSERT_TRUE(told("none", 1));
  redis_.cli("set a 3");
  EXPECT_EQ(watch(*client, "a"), Watched::yes);
  redis_.cli("del a");
  ASSERT_TRUE(told("a", 2)) << "the change in between was not watched";
  EXPECT_EQ(told_.times.count("b") + told_.times.count("c"), 0U);
  EXPECT_EQ(told_.all, 0);
}

TEST_F(TrackingTest, TellsOfItsOwnWritesAndOfTheEndOfAKey) {
  const auto client = connect(test::standalone(redis_.port()));
  watch(*client, "a");
  EXPECT_TRUE(loop_.run(client->run(Command("SET").key("a").arg("1").arg("PX").arg(20))));
  ASSERT_TRUE(told("a", 1));
  watch(*client, "a");
  EXPECT_TRUE(told("a", 2)) << "it has expired";
}

TEST_F(TrackingTest, WatchesManyInOnePipeline) {
  const auto client = connect(test::standalone(redis_.port()));
  std::vector<Watched> outcomes(200, Watched::never);
  std::vector<Command> commands;
  for (int i = 0; i < 200; ++i) {
    Command command("GET");
    command.key("k" + std::to_string(i)).read_only();
    if (i % 2 == 0) command.watch(outcomes[static_cast<std::size_t>(i)]);
    commands.push_back(std::move(command));
  }
  for (const auto& reply : loop_.run(client->run_all(std::move(commands)))) EXPECT_TRUE(reply);

  for (int i = 0; i < 200; ++i) redis_.cli("set k" + std::to_string(i) + " x");

  for (int i = 0; i < 200; i += 2) ASSERT_TRUE(told("k" + std::to_string(i), 1));
  EXPECT_EQ(told_.times.size(), 100U);
}

TEST_F(TrackingTest, TellsThatNothingIsWatchedWhenItsConnectionIsLostOrRedisIsEmptied) {
  Options options = test::standalone(redis_.port());
  options.backoff.max = Duration(20);
  const auto client = connect(options);
  watch(*client, "a");
  redis_.cli("flushall");
  ASSERT_TRUE(loop_.until([&] { return told_.all == 1; }));
  redis_.cli("client kill type normal");
  ASSERT_TRUE(loop_.until([&] { return told_.all == 2; }));
  ASSERT_TRUE(loop_.run(client->connected(Duration(5'000))));
  EXPECT_EQ(watch(*client, "a"), Watched::yes);
  redis_.restart();
  ASSERT_TRUE(loop_.until([&] { return told_.all == 3; }));
  client->stop();
}

TEST_F(TrackingTest, WorksWithoutWhereTheServerDoesNotTell) {
  Options old = test::standalone(redis_.port());
  old.allow_resp3 = false;
  EXPECT_EQ(watch(*connect(old), "a"), Watched::never);

  redis_.cli("acl setuser plain on '>pw' '~*' +@all '-client|tracking'");
  Options denied = test::standalone(redis_.port());
  denied.credentials = {.user = "plain", .password = Secret("pw")};
  EXPECT_EQ(watch(*connect(denied), "a"), Watched::never);
  EXPECT_EQ(told_.all, 0);
}

// What is read and what is told are in one order: of a reply with the old value it is told that it
// has changed.
TEST_F(TrackingTest, MissesNoChangeHoweverItFallsTogetherWithAReply) {
  const auto client = connect(test::standalone(redis_.port()));
  const auto writer = loop_.client(test::standalone(redis_.port()));
  int changes = 0;
  int old = 0;
  for (int i = 1; i <= 300; ++i) {
    const std::string key = "k" + std::to_string(i);
    Watched outcome = Watched::no;
    std::vector<Command> reads;
    reads.push_back(Command("GET").key(key).read_only().watch(outcome));
    boost::asio::co_spawn(
        loop_.io, writer->run(Command("SET").key(key).arg(i)),
        [&](std::exception_ptr, const Result<Value>& reply) { changes += reply ? 1 : 0; });
    const auto replies = loop_.run(client->run_all(std::move(reads)));
    ASSERT_TRUE(loop_.until([&] { return changes == i; }));
    if (!replies[0]->is_null()) continue;  // The value after the write.
    ASSERT_TRUE(told(key, 1)) << i;
    ++old;
  }
  EXPECT_GT(old, 0) << "else nothing was seen";
}

}  // namespace
}  // namespace redoubt::redis
