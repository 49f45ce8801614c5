// Three Sentinels, a master and two replicas; the master dies, or hangs, while the client is at
// work.
#include "tests/support/guarded_redis.hpp"
#include "tests/support/redis_loop.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::GuardedRedis;
using test::RedisLoop;

// Adds one after the other, for as long as it is told to. Every acknowledged one is counted, and so
// is every one whose outcome is unknown.
struct Load {
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t refused = 0;
  std::int64_t last = 0;
  bool stop = false;
  bool ended = false;

  boost::asio::awaitable<void> run(Client& client, Timers& timers) {
    while (!stop) {
      const Result<Value> reply = co_await client.run(Command("INCR").key("n"));
      if (reply) {
        ++acknowledged;
        last = reply->as_integer();
      } else if (reply.error().slug == "redis_unknown_outcome") {
        ++unknown;
      } else {
        ++refused;
        co_await timers.sleep(Duration(5));
      }
    }
    ended = true;
  }
};

// Starts the load and waits until it flows.
void start_load(RedisLoop& loop, Client& client, Load& load) {
  auto ended = [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  boost::asio::co_spawn(loop.io, load.run(client, *loop.timers), ended);
  ASSERT_TRUE(loop.until([&] { return load.acknowledged > 100; }));
}

void end_load(RedisLoop& loop, Load& load) {
  load.stop = true;
  ASSERT_TRUE(loop.until([&] { return load.ended; }));
}

class Listener final : public SubscriptionHandler {
 public:
  void subscribed(bool gap) override { ++(gap ? gaps : starts); }
  void message(std::string_view, std::string_view payload, std::string_view) override {
    last = payload;
  }
  void lost(const Error&) override {}
  int starts = 0;
  int gaps = 0;
  std::string last;
};

TEST(SentinelTopology, FollowsTheMasterThroughAFailoverUnderLoad) {
  GuardedRedis redis;
  RedisLoop loop;
  const auto client = loop.client(redis.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_EQ(client->status().nodes[0].facts.endpoint.port, redis.master.port());
  Listener listener;
  const SubscribeRequest request{.channels = {"c"}, .patterns = {}};
  const auto subscription = *client->subscribe(request, listener);
  Load load;
  start_load(loop, *client, load);

  redis.master.kill();
  const std::uint64_t before = load.acknowledged;
  const BootTime killed = loop.clock.boot();
  ASSERT_TRUE(
      loop.until([&] { return load.acknowledged > before + 100; }, std::chrono::seconds(40)));
  const auto away = std::chrono::duration_cast<Duration>(loop.clock.boot() - killed);
  end_load(loop, load);

  RecordProperty("away_ms", static_cast<int>(away.count()));
  EXPECT_NE(client->status().nodes[0].facts.endpoint.port, redis.master.port());
  EXPECT_EQ(client->status().nodes[0].facts.role, "master");
  // One command at a time: at most one outcome per lost connection is unknown.
  EXPECT_LE(load.unknown, client->status().reconnects);
  EXPECT_TRUE(loop.until([&] { return listener.gaps > 0; }));
  EXPECT_TRUE(loop.run(client->run(Command("PUBLISH").arg("c").arg("after"))));
  EXPECT_TRUE(loop.until([&] { return listener.last == "after"; }));
  // Nothing was counted twice: what was acknowledged and not lost by Redis is what there is, give
  // or take the unknown.
  EXPECT_LE(load.last, static_cast<std::int64_t>(load.acknowledged + load.unknown));
}

TEST(SentinelTopology, LeavesAMasterThatHangs) {
  GuardedRedis redis;
  RedisLoop loop;
  const auto client = loop.client(redis.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  Load load;
  start_load(loop, *client, load);

  redis.master.pause();
  const std::uint64_t before = load.acknowledged;
  ASSERT_TRUE(
      loop.until([&] { return load.acknowledged > before + 100; }, std::chrono::seconds(40)));
  end_load(loop, load);
  redis.master.resume();

  EXPECT_NE(client->status().nodes[0].facts.endpoint.port, redis.master.port());
  EXPECT_GE(load.unknown, 1U);
}

TEST(SentinelTopology, OneSentinelOfThreeIsEnough) {
  GuardedRedis redis;
  RedisLoop loop;
  redis.sentinels[0]->kill();
  redis.sentinels[1]->pause();

  const auto client = loop.client(redis.options());
  EXPECT_TRUE(loop.run(client->connected(Duration(10'000))));
  EXPECT_TRUE(loop.run(client->run(Command("INCR").key("n"))));
  redis.sentinels[1]->resume();
}

}  // namespace
}  // namespace redoubt::redis
