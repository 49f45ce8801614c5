// Subscriptions to a real server, in both protocols.
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::RedisLoop;
using test::RedisServer;
using test::standalone;

class Recorder final : public SubscriptionHandler {
 public:
  void subscribed(bool gap) override { events.push_back(gap ? "gap" : "subscribed"); }
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override {
    events.push_back(std::string(channel) + "=" + std::string(payload) +
                     (pattern.empty() ? "" : " by " + std::string(pattern)));
  }
  void lost(const Error&) override { events.push_back("lost"); }

  bool has(const std::string& event) const {
    return std::ranges::find(events, event) != events.end();
  }
  std::vector<std::string> events;
};

class Subscriptions : public testing::TestWithParam<bool> {};

TEST_P(Subscriptions, DeliverMessagesAndSayWhenSomeMayBeMissing) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.allow_resp3 = GetParam();
  options.timeouts.idle_ping = Duration(50);
  const auto client = loop.client(options);
  Recorder recorder;
  SubscribeRequest request{.channels = {"news", "other"}, .patterns = {"user:*"}};
  auto subscription = *client->subscribe(request, recorder);
  ASSERT_TRUE(loop.until([&] { return recorder.has("subscribed"); }));

  redis.cli("publish news hello");
  redis.cli("publish user:1 hi");
  EXPECT_TRUE(loop.until(
      [&] { return recorder.has("news=hello") && recorder.has("user:1=hi by user:*"); }));

  SubscribeRequest more{.channels = {"later"}, .patterns = {}};
  recorder.events.clear();
  subscription->add(more);
  ASSERT_TRUE(loop.until([&] { return recorder.has("subscribed"); }));
  redis.cli("publish later x");
  EXPECT_TRUE(loop.until([&] { return recorder.has("later=x"); }));
  subscription->remove(more);
  loop.pass(std::chrono::milliseconds(200));  // Pings too, between messages.
  EXPECT_TRUE(redis.cli("publish later y").starts_with("0"));

  redis.restart();
  EXPECT_TRUE(loop.until([&] { return recorder.has("lost") && recorder.has("gap"); }));
  redis.cli("publish news again");
  EXPECT_TRUE(loop.until([&] { return recorder.has("news=again"); }));

  subscription.reset();
  EXPECT_TRUE(loop.until([&] { return redis.cli("publish news gone").starts_with("0"); }));
}

TEST_P(Subscriptions, AreNotAskedForInAStormWhenTheyAreDenied) {
  RedisServer redis({"user deaf on >pw ~* resetchannels +@all"});
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.allow_resp3 = GetParam();
  options.credentials = {.user = "deaf", .password = Secret("pw")};
  options.backoff = {.first = Duration(1), .max = Duration(1), .refused = Duration(3'600'000)};
  const auto client = loop.client(options);
  Recorder recorder;
  const SubscribeRequest request{.channels = {"news"}, .patterns = {}};

  const auto subscription = *client->subscribe(request, recorder);
  ASSERT_TRUE(loop.until([&] { return recorder.has("lost"); }));
  loop.pass(std::chrono::milliseconds(200));

  EXPECT_TRUE(redis.cli("info errorstats").contains("errorstat_NOPERM:count=1\r"));
}

INSTANTIATE_TEST_SUITE_P(Protocols, Subscriptions, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Resp3" : "Resp2"; });

}  // namespace
}  // namespace redoubt::redis
