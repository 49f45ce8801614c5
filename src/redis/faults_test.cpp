// What a connection does when the other side misbehaves.
#include "redis/client.hpp"

#include "tests/support/fake_redis.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::FakeRedis;
using test::RedisLoop;
using test::RedisServer;
using test::standalone;

TEST(RedisFaults, ACommandThatWasSentAndNotAnsweredIsNotSentAgain) {
  FakeRedis fake([](FakeRedis::Peer& peer, const std::string&, int) { peer.close(); });
  RedisLoop loop;
  const auto client = loop.client(standalone(fake.port()));

  const auto reply = loop.run(client->run(Command("INCR").key("n")));

  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().slug, "redis_unknown_outcome");
  EXPECT_EQ(reply.error().code, Errc::deadline_exceeded);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_EQ(fake.commands("INCR"), 1);
}

TEST(RedisFaults, ARepeatableCommandIsSentAgainOnce) {
  FakeRedis once([](FakeRedis::Peer& peer, const std::string&, int connection) {
    if (connection == 1) return peer.close();
    peer.send("$1\r\nx\r\n");
  });
  FakeRedis never([](FakeRedis::Peer& peer, const std::string&, int) { peer.close(); });
  RedisLoop loop;

  const auto client = loop.client(standalone(once.port()));
  const auto reply = loop.run(client->run(Command("GET").key("a").read_only()));
  ASSERT_TRUE(reply) << reply.error().cause;
  EXPECT_EQ(reply->text(), "x");
  EXPECT_EQ(once.commands("GET"), 2);

  const auto hopeless = loop.client(standalone(never.port()));
  EXPECT_EQ(loop.run(hopeless->run(Command("GET").key("a").read_only())).error().slug,
            "redis_unknown_outcome");
  EXPECT_EQ(never.commands("GET"), 2);
}

TEST(RedisFaults, OnlyProbesConnectWhereNothingElseMay) {
  RedisServer redis;
  RedisLoop loop;
  bool allowed = false;
  ClientParts parts = loop.parts();
  parts.may_connect = [&allowed] { return allowed; };
  const auto client = *make_client(loop.io.get_executor(), standalone(redis.port()), parts);

  const auto held_back = loop.run(client->run(Command("PING")));
  ASSERT_FALSE(held_back);
  EXPECT_EQ(held_back.error().slug, "redis_unavailable");
  EXPECT_TRUE(loop.run(client->probe(Command("PING"))));
  EXPECT_FALSE(client->status().connected);
  EXPECT_EQ(client->status().reconnects, 1U) << "that of the probe";

  allowed = true;
  ASSERT_TRUE(loop.run(client->connected(Duration(10'000))));
  EXPECT_TRUE(loop.run(client->run(Command("PING"))));

  allowed = false;
  redis.restart();
  EXPECT_TRUE(loop.until([&] { return !client->status().connected; }));
  EXPECT_TRUE(loop.until([&] { return loop.run(client->probe(Command("PING"))).has_value(); }));
  EXPECT_FALSE(client->status().connected);
}

TEST(RedisFaults, APipelineSaysOfEachCommandWhatBecameOfIt) {
  FakeRedis fake([](FakeRedis::Peer& peer, const std::string& name, int) {
    if (name == "GET") return peer.send("$1\r\nx\r\n");
    peer.close();
  });
  RedisLoop loop;
  const auto client = loop.client(standalone(fake.port()));
  std::vector<Command> commands;
  commands.push_back(Command("GET").key("a").read_only());
  commands.push_back(Command("INCR").key("a"));
  commands.push_back(Command("GET").key("a").read_only());

  const auto replies = loop.run(client->run_all(std::move(commands)));

  EXPECT_TRUE(replies[0]);
  EXPECT_EQ(replies[1].error().slug, "redis_unknown_outcome");
  EXPECT_EQ(replies[2].error().slug, "redis_unknown_outcome");
}

TEST(RedisFaults, WhatIsNotTheProtocolEndsTheConnection) {
  for (const std::string garbage : {"HTTP/1.1 400 Bad Request\r\n\r\n", "$99999999999\r\n",
                                    "*1000000000\r\n", "+OK\r\n+OK\r\n"}) {
    FakeRedis fake(
        [&garbage](FakeRedis::Peer& peer, const std::string&, int) { peer.send(garbage); });
    RedisLoop loop;
    const auto client = loop.client(standalone(fake.port()));
    (void)loop.run(client->run(Command("INCR").key("n")));
    EXPECT_TRUE(loop.until([&] { return client->status().reconnects > 1; })) << garbage;
    EXPECT_EQ(fake.commands("INCR"), 1) << garbage;
  }
}

TEST(RedisFaults, RepliesMayComeInAnyPieces) {
  FakeRedis fake([](FakeRedis::Peer& peer, const std::string&, int) {
    for (const char c : std::string("*2\r\n$5\r\nhello\r\n:42\r\n")) peer.send({&c, 1});
  });
  RedisLoop loop;
  const auto client = loop.client(standalone(fake.port()));

  const auto reply = loop.run(client->run(Command("ANY")));

  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->items()[0].text(), "hello");
  EXPECT_EQ(reply->items()[1].as_integer(), 42);
}

TEST(RedisFaults, APushBetweenRepliesBelongsToNoCommand) {
  FakeRedis fake([](FakeRedis::Peer& peer, const std::string&, int) {
    peer.send(">2\r\n$10\r\ninvalidate\r\n_\r\n:1\r\n");
  });
  RedisLoop loop;
  const auto client = loop.client(standalone(fake.port()));

  EXPECT_EQ(loop.run(client->run(Command("INCR").key("n")))->as_integer(), 1);
  EXPECT_EQ(loop.run(client->run(Command("INCR").key("n")))->as_integer(), 1);
}

TEST(RedisFaults, AHandshakeThatHangsIsGivenUp) {
  FakeRedis fake([](FakeRedis::Peer&, const std::string&, int) {}, FakeRedis::Handshake::scripted);
  RedisLoop loop;
  Options options = standalone(fake.port());
  options.timeouts.connect = Duration(60);
  options.timeouts.operation = Duration(1500);
  const auto client = loop.client(options);

  const BootTime start = loop.clock.boot();
  const auto reply = loop.run(client->run(Command("INCR").key("n")));

  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().slug, "redis_unavailable");
  EXPECT_LT((loop.clock.boot() - start), std::chrono::milliseconds(1000));
  EXPECT_TRUE(client->status().last_error.contains("the handshake took too long"));
}

TEST(RedisFaults, ACallEndsByItsDeadlineEvenWhileConnecting) {
  FakeRedis fake([](FakeRedis::Peer&, const std::string&, int) {}, FakeRedis::Handshake::scripted);
  RedisLoop loop;
  Options options = standalone(fake.port());
  options.timeouts.connect = Duration(5000);
  options.timeouts.operation = Duration(50);
  const auto client = loop.client(options);

  const BootTime start = loop.clock.boot();
  const auto reply = loop.run(client->run(Command("INCR").key("n")));

  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().slug, "redis_unavailable");
  EXPECT_LT((loop.clock.boot() - start), std::chrono::milliseconds(500));
}

TEST(RedisFaults, AServerThatStopsReadingFillsABoundedQueue) {
  FakeRedis fake([](FakeRedis::Peer& peer, const std::string& name, int) {
    if (name != "SET") peer.send("+OK\r\n");
  });
  RedisLoop loop;
  Options options = standalone(fake.port());
  options.queue_bytes_max = 1024 * 1024;
  options.timeouts.operation = Duration(300);
  const auto client = loop.client(options);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  const std::string value(600 * 1024, 'x');
  std::vector<Command> commands;
  for (int i = 0; i < 3; ++i) commands.push_back(Command("SET").key("k").arg(value));

  const auto replies = loop.run(client->run_all(std::move(commands)));

  EXPECT_EQ(replies[0].error().slug, "redis_unknown_outcome");
  EXPECT_EQ(replies[1].error().slug, "redis_overloaded");
  EXPECT_EQ(replies[2].error().slug, "redis_overloaded");
}

TEST(RedisFaults, NobodyListening) {
  RedisLoop loop;
  const auto client = loop.client(standalone(test::free_port()));
  const auto reply = loop.run(client->run(Command("INCR").key("n")));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().slug, "redis_unavailable");
  EXPECT_FALSE(loop.run(client->connected(Duration(100))));
}

TEST(RedisFaults, AClientMayGoWhileItConnects) {
  FakeRedis fake([](FakeRedis::Peer&, const std::string&, int) {}, FakeRedis::Handshake::scripted);
  RedisLoop loop;
  for (int polls = 0; polls < 12; ++polls) {
    auto client = loop.client(standalone(fake.port()));
    for (int i = 0; i < polls; ++i) loop.io.poll_one();
    client.reset();
    loop.pass(std::chrono::milliseconds(2));
  }
}

}  // namespace
}  // namespace redoubt::redis
