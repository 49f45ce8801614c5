// A client that is moved from one real Redis to another while it is used.
#include "redis/replaceable_client.hpp"

#include "redis/no_client.hpp"
#include "redis/shared.hpp"

#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::RedisLoop;
using test::RedisServer;
using test::standalone;

class Heard final : public SubscriptionHandler {
 public:
  void subscribed(bool gap) override { events.emplace_back(gap ? "gap" : "subscribed"); }
  void message(std::string_view, std::string_view payload, std::string_view) override {
    events.emplace_back(payload);
  }
  void lost(const Error&) override { events.emplace_back("lost"); }

  bool has(std::string_view event) const {
    return std::ranges::find(events, event) != events.end();
  }
  std::vector<std::string> events;
};

class ReplaceableClientTest : public testing::Test {
 protected:
  std::string get(const std::string& key) {
    auto reply = loop_.run(client_.run(Command("GET").key(key).read_only()));
    return reply && reply->is_text() ? std::string(reply->text()) : "(none)";
  }
  void set(const std::string& key, const std::string& value) {
    ASSERT_TRUE(loop_.run(client_.run(Command("SET").key(key).arg(value))));
  }
  void move_to(RedisServer& server) { client_.replace(loop_.client(standalone(server.port()))); }

  RedisLoop loop_;
  RedisServer first_;
  RedisServer second_;
  ReplaceableClient client_{loop_.client(standalone(first_.port()))};
};

TEST_F(ReplaceableClientTest, GoesOnWithTheOtherRedis) {
  set("k", "first");
  move_to(second_);

  EXPECT_EQ(get("k"), "(none)");
  set("k", "second");
  EXPECT_EQ(get("k"), "second");
  move_to(first_);
  EXPECT_EQ(get("k"), "first");
}

TEST_F(ReplaceableClientTest, WhatIsUnderWayEnds) {
  set("k", "first");
  first_.pause();
  std::optional<Result<Value>> reply;
  boost::asio::co_spawn(loop_.io, client_.run(Command("GET").key("k").read_only()),
                        [&](std::exception_ptr, Result<Value> r) { reply = std::move(r); });
  loop_.pass(std::chrono::milliseconds(50));
  EXPECT_FALSE(reply);

  move_to(second_);

  EXPECT_TRUE(loop_.until([&] { return reply.has_value(); }));
  EXPECT_FALSE(*reply);
  first_.resume();
}

TEST_F(ReplaceableClientTest, SubscriptionsMoveAlongAndSayThatMessagesMayBeMissing) {
  Heard heard;
  SubscribeRequest request;
  request.channels = {"a"};
  auto subscription = client_.subscribe(request, heard);
  ASSERT_TRUE(subscription);
  ASSERT_TRUE(loop_.until([&] { return heard.has("subscribed"); }));
  SubscribeRequest more;
  more.channels = {"b"};
  (*subscription)->add(more);

  move_to(second_);

  EXPECT_TRUE(heard.has("lost"));
  ASSERT_TRUE(loop_.until([&] { return heard.has("gap"); }));
  ASSERT_TRUE(loop_.run(client_.run(Command("PUBLISH").arg("b").arg("there"))));
  EXPECT_TRUE(loop_.until([&] { return heard.has("there"); })) << "what was added later moves, too";
}

TEST_F(ReplaceableClientTest, BeforeThereIsARedisEverythingIsAnsweredAtOnce) {
  ReplaceableClient client(no_client());
  const auto refused = [](const auto& reply) { return !reply && is_unsent(reply.error()); };
  EXPECT_TRUE(refused(loop_.run(client.connected(Duration(60'000)))));
  EXPECT_TRUE(refused(loop_.run(client.run(Command("GET").key("k")))));
  EXPECT_TRUE(refused(loop_.run(client.send(Command("GET").key("k"))->reply())));
  EXPECT_TRUE(refused(loop_.run(client.probe(Command("PING")))));
  std::vector<Command> two;
  two.emplace_back("PING");
  two.emplace_back("PING");
  const auto replies = loop_.run(client.run_all(std::move(two)));
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_TRUE(refused(replies[1]));
  EXPECT_FALSE(client.status().connected);
  Heard heard;
  EXPECT_FALSE(client.subscribe({}, heard));

  client.replace(loop_.client(standalone(first_.port())));

  EXPECT_TRUE(loop_.run(client.run(Command("SET").key("k").arg("v"))));
  client.stop();
}

TEST_F(ReplaceableClientTest, OneThatIsStoppedStaysSo) {
  client_.stop();
  move_to(second_);

  EXPECT_FALSE(loop_.run(client_.run(Command("GET").key("k").read_only())));
}

}  // namespace
}  // namespace redoubt::redis
