// The client of one server, against real ones.
#include "redis/client.hpp"

#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::RedisLoop;
using test::RedisServer;
using test::standalone;
using wire::resp::Kind;

Command set(std::string_view key, std::string_view value) {
  return Command("SET").key(key).arg(value).repeatable();
}
Command get(std::string_view key) {
  return Command("GET").key(key).read_only();
}

TEST(SingleClient, RunsCommandsOverTcp) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));

  EXPECT_TRUE(loop.run(client->run(set("a", "1")))->is_ok());
  EXPECT_EQ(loop.run(client->run(get("a")))->text(), "1");
  EXPECT_TRUE(loop.run(client->run(get("none")))->is_null());
  EXPECT_EQ(loop.run(client->run(Command("INCRBY").key("a").arg(41)))->as_integer(), 42);

  const ClientStatus status = client->status();
  EXPECT_TRUE(status.connected);
  EXPECT_EQ(status.nodes[0].facts.protocol, 3);
  EXPECT_EQ(status.nodes[0].facts.role, "master");
  EXPECT_EQ(status.nodes[0].facts.run_id.size(), 40U);
  EXPECT_EQ(status.nodes[0].facts.replication_id.size(), 40U);
  EXPECT_EQ(status.nodes[0].facts.maxmemory_policy, "noeviction");
  EXPECT_FALSE(status.nodes[0].facts.version.empty());
}

TEST(SingleClient, RunsCommandsOverAUnixSocket) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(0);
  options.topology = Standalone{{.host = {}, .port = 0, .socket_path = redis.socket_path()}};
  const auto client = loop.client(options);

  EXPECT_TRUE(loop.run(client->run(set("a", "1")))->is_ok());
}

TEST(SingleClient, CarriesWhateverBytesInWhateverSize) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.timeouts.operation = Duration(60'000);  // However slow the machine is.
  const auto client = loop.client(options);
  std::string big(20 * 1024 * 1024, 'x');
  for (std::size_t i = 0; i < big.size(); i += 7) big[i] = static_cast<char>(i * 31);

  ASSERT_TRUE(loop.run(client->run(set("big", big))));
  const auto reply = loop.run(client->run(get("big")));
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->text() == big);  // Nobody wants to read the difference.
}

TEST(SingleClient, AnErrorReplyIsAnErrorAndRawOnesAreValues) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(set("text", "x"))));

  const auto refused = loop.run(client->run(Command("INCR").key("text")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "redis_error");
  EXPECT_TRUE(refused.error().cause.starts_with("ERR value is not an integer"));
  const auto raw = loop.run(client->run(Command("INCR").key("text").raw()));
  ASSERT_TRUE(raw);
  EXPECT_TRUE(raw->is_error());
  EXPECT_TRUE(raw->text().starts_with("ERR value is not an integer"));
}

TEST(SingleClient, APipelineKeepsItsOrderAndOneFailureKeepsNoOther) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  std::vector<Command> commands;
  for (int i = 0; i < 100; ++i) commands.push_back(Command("RPUSH").key("list").arg(i));
  commands.push_back(Command("INCR").key("list"));
  commands.push_back(Command("LRANGE").key("list").arg(0).arg(-1));

  const auto replies = loop.run(client->run_all(std::move(commands)));

  ASSERT_EQ(replies.size(), 102U);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(replies[i]->as_integer(), static_cast<int>(i) + 1);
  EXPECT_FALSE(replies[100]);
  ASSERT_EQ(replies[101]->items().size(), 100U);
  EXPECT_EQ(replies[101]->items()[99].text(), "99");
  EXPECT_TRUE(loop.run(client->run_all({})).empty());
}

TEST(SingleClient, ATransactionIsAllOrNothing) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));

  std::vector<Command> sound;
  sound.push_back(set("t", "1"));
  sound.push_back(Command("LPUSH").key("t").arg("x"));
  sound.push_back(Command("INCR").key("t"));
  const auto replies = loop.run(client->transaction(std::move(sound)));
  ASSERT_TRUE(replies);
  EXPECT_TRUE((*replies)[0].is_ok());
  EXPECT_TRUE((*replies)[1].is_error());
  EXPECT_EQ((*replies)[2].as_integer(), 2);

  std::vector<Command> broken;
  broken.push_back(set("t", "9"));
  broken.push_back(Command("NOSUCHCOMMAND").key("t"));
  const auto discarded = loop.run(client->transaction(std::move(broken)));
  ASSERT_FALSE(discarded);
  EXPECT_EQ(discarded.error().slug, "redis_exec_abort");
  EXPECT_TRUE(discarded.error().message.starts_with("ERR unknown command"));
  EXPECT_EQ(loop.run(client->run(get("t")))->text(), "2");
}

const Script& add_script() {
  static const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  return script;
}

std::vector<std::string_view> list(std::initializer_list<std::string_view> items) {
  return items;
}

TEST(SingleClient, AScriptIsSentWholeWhenTheServerForgotIt) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  const auto keys = list({"n"});
  const auto by = list({"5"});

  EXPECT_EQ(loop.run(client->script(add_script(), keys, by))->as_integer(), 5);
  EXPECT_EQ(loop.run(client->script(add_script(), keys, by))->as_integer(), 10);
  redis.cli("script flush");
  EXPECT_EQ(loop.run(client->script(add_script(), keys, by))->as_integer(), 15);
}

TEST(SingleClient, APipelineNeverNeedsAScriptThatIsNotThere) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  const auto keys = list({"n"});
  const auto by = list({"1"});
  const auto pipeline = [&] {
    std::vector<Command> commands;
    for (int i = 0; i < 3; ++i) commands.push_back(add_script().command(keys, by));
    return loop.run(client->run_all(std::move(commands)));
  };

  EXPECT_EQ(pipeline()[2]->as_integer(), 3);
  EXPECT_EQ(pipeline()[2]->as_integer(), 6);
  redis.cli("script flush");
  const auto forgotten = pipeline();
  EXPECT_EQ(forgotten[0].error().slug, "redis_script_missing");
  EXPECT_EQ(pipeline()[2]->as_integer(), 9);

  std::vector<Command> commands;
  commands.push_back(add_script().command(keys, by));
  redis.cli("script flush");
  redis.restart();
  ASSERT_TRUE(loop.until([&] { return !client->status().connected; }));
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_EQ(loop.run(client->transaction(std::move(commands)))->at(0).as_integer(), 1);
}

TEST(SingleClient, EverythingOfATurnLeavesInOneWrite) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(set("a", "1"))));
  const auto reads = [&redis] {
    const std::string stats = redis.cli("info stats");
    const std::string name = "total_reads_processed:";
    return std::stoll(stats.substr(stats.find(name) + name.size()));
  };
  const long long before = reads();
  const long long own = reads() - before;  // What asking costs.

  int answered = 0;
  for (int i = 0; i < 500; ++i) {
    auto count = [&answered](std::exception_ptr, Result<Value> reply) {
      answered += reply ? 1 : 0;
    };
    boost::asio::co_spawn(loop.io, client->run(get("a")), count);
  }
  ASSERT_TRUE(loop.until([&] { return answered == 500; }));

  EXPECT_LE(reads() - before - 2 * own,
            3);  // 500 commands are about 10 KiB: one read, or a split one.
}

TEST(SingleClient, SendsACommandBeforeAnybodyWaitsForIt) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(set("n", "1"))));
  const std::string_view keys[] = {"n"};
  const std::string_view by[] = {"5"};

  const auto sent = client->send(Command("INCR").key("n"));
  const auto unknown = client->send(add_script().command(keys, by));  // To be sent whole, then.
  EXPECT_EQ(loop.run(client->run(get("n")))->text(), "2") << "sent after it";

  EXPECT_EQ(loop.run(sent->reply())->as_integer(), 2);
  EXPECT_EQ(loop.run(unknown->reply())->as_integer(), 7);
}

TEST(SingleClient, ASentCommandMayBeLetGo) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  client->send(Command("INCR").key("n"));  // Not even connected yet.
  EXPECT_EQ(loop.run(client->run(get("n")))->text(), "1");
  client->send(Command("INCR").key("n"));
  EXPECT_EQ(loop.run(client->run(get("n")))->text(), "2");
  const auto unanswered = client->send(Command("INCR").key("n"));
  client->stop();
  EXPECT_FALSE(loop.run(unanswered->reply()));
}

TEST(SingleClient, LogsInWithPasswordOrUser) {
  RedisServer redis({"requirepass secret", "user alice on >wonder ~a:* +@all"});
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.credentials = {.user = {}, .password = Secret("secret")};
  options.database = 3;
  const auto client = loop.client(options);
  EXPECT_TRUE(loop.run(client->run(set("x", "1"))));
  EXPECT_TRUE(redis.cli("-a secret client list").contains("name=redoubt"));
  EXPECT_TRUE(redis.cli("-a secret client list").contains("db=3"));

  options.credentials = {.user = "alice", .password = Secret("wonder")};
  options.database = 0;
  const auto alice = loop.client(options);
  EXPECT_TRUE(loop.run(alice->run(set("a:1", "1"))));
  const auto denied = loop.run(alice->run(set("b:1", "1")));
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().slug, "redis_denied");
}

TEST(SingleClient, WrongCredentialsAreNotTriedInAStorm) {
  RedisServer redis({"requirepass secret"});
  RedisLoop loop;
  for (const char* password : {"wrong", ""}) {
    Options options = standalone(redis.port());
    options.credentials.password = Secret(password);
    const auto client = loop.client(options);
    const auto reply = loop.run(client->run(set("x", "1")));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().slug, "redis_unavailable");
    EXPECT_TRUE(client->status().last_error.contains("refuses our credentials"))
        << client->status().last_error;
    const std::uint64_t failures =
        loop.metrics
            .counter("redoubt_redis_connects_total", "Attempts to connect to Redis.",
                     {{"result", "failed"}})
            .value();
    loop.pass(std::chrono::milliseconds(300));
    EXPECT_EQ(loop.metrics
                  .counter("redoubt_redis_connects_total", "Attempts to connect to Redis.",
                           {{"result", "failed"}})
                  .value(),
              failures);
  }
}

TEST(SingleClient, SpeaksResp2WhereHelloIsUnknown) {
  RedisServer redis({"rename-command HELLO \"\"", "requirepass secret"});
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.credentials.password = Secret("secret");
  const auto client = loop.client(options);

  EXPECT_TRUE(loop.run(client->run(set("a", "1")))->is_ok());
  EXPECT_TRUE(redis.cli("-a secret client list").contains("name=redoubt"));
  EXPECT_EQ(client->status().nodes[0].facts.protocol, 2);
  EXPECT_EQ(loop.run(client->run(Command("HGETALL").key("none")))->kind(), Kind::array);
}

// As a managed service does: no CONFIG, MODULE, INFO, ROLE, CLIENT.
TEST(SingleClient, WorksWithoutTheCommandsAManagedServiceKeepsToItself) {
  RedisServer redis({"user default on nopass ~* &* +@all -config -module -info -role -client"});
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));

  EXPECT_TRUE(loop.run(client->run(set("a", "1")))->is_ok());
  EXPECT_EQ(client->status().nodes[0].facts.role, "");
}

TEST(SingleClient, AnAdmissionDecidesWithTheFactsAndTheIdentity) {
  RedisServer redis;
  RedisLoop loop;
  redis.cli("set rd:inc generation-7");
  Options options = standalone(redis.port());
  options.identity_key = "rd:inc";
  std::string identity;
  bool admit = false;
  const auto client = loop.client(options, [&](const ServerFacts& facts) -> Result<void> {
    identity = facts.identity;
    if (admit) return {};
    return fail(unavailable("redis_unavailable", "another generation"));
  });

  EXPECT_FALSE(loop.run(client->run(set("a", "1"))));
  EXPECT_EQ(identity, "generation-7");
  admit = true;
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_TRUE(loop.run(client->run(set("a", "1"))));
}

TEST(SingleClient, AServerThatIsNotAdmittedAnyMoreIsLeft) {
  RedisServer redis;
  RedisLoop loop;
  bool admit = true;
  const auto client =
      loop.client(standalone(redis.port()), [&](const ServerFacts&) -> Result<void> {
        if (admit) return {};
        return fail(unavailable("redis_unavailable", "left behind"));
      });
  ASSERT_TRUE(loop.run(client->run(set("a", "1"))));

  admit = false;

  ASSERT_TRUE(loop.until([&] { return !client->status().connected; }, std::chrono::seconds(30)));
  EXPECT_FALSE(loop.run(client->run(set("a", "2"))));
  admit = true;
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_TRUE(loop.run(client->run(set("a", "3"))));
}

TEST(SingleClient, AReplicaIsNotUsedAsAMaster) {
  RedisServer master;
  RedisServer replica({"replicaof 127.0.0.1 " + std::to_string(master.port())});
  RedisLoop loop;
  const auto client = loop.client(standalone(replica.port()));

  EXPECT_FALSE(loop.run(client->run(get("a"))));
  EXPECT_TRUE(client->status().last_error.contains("not the master"));
  replica.cli("replicaof no one");
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_TRUE(loop.run(client->run(set("a", "1"))));

  // Demoted while connected: the first refused write ends the connection.
  replica.cli("replicaof 127.0.0.1 " + std::to_string(master.port()));
  const auto refused = loop.run(client->run(set("a", "2")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "redis_read_only");
  EXPECT_TRUE(loop.until([&] { return !client->status().connected; }));
}

TEST(SingleClient, WhatItKnowsOfAServerIsNotFromBeforeItWasAReplica) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(get("a"))));
  ASSERT_TRUE(loop.run(client->probe(set("a", "1"))));
  const std::string before = client->status().nodes[0].facts.replication_id;

  redis.cli("replicaof 127.0.0.1 1");
  EXPECT_FALSE(loop.run(client->probe(set("a", "2"))));
  EXPECT_TRUE(loop.until([&] { return !client->status().connected; }));
  redis.cli("replicaof no one");
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));

  const std::string after = client->status().nodes[0].facts.replication_id;
  EXPECT_NE(after, before);
  EXPECT_TRUE(redis.cli("info replication").contains("master_replid:" + after));
}

TEST(SingleClient, AScriptThatClaimsReadonlyEndsNoConnection) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  const Script script("return redis.error_reply('READONLY so there')");

  EXPECT_EQ(loop.run(client->script(script, {}, {})).error().slug, "redis_read_only");
  EXPECT_TRUE(loop.run(client->run(set("a", "1"))));
  loop.pass(std::chrono::milliseconds(50));
  EXPECT_TRUE(client->status().connected);
  EXPECT_EQ(client->status().reconnects, 1U);
}

TEST(SingleClient, AStoppedServerIsAnUnknownOutcomeByTheDeadline) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.timeouts.operation = Duration(50);
  options.timeouts.silence = Duration(1000);
  const auto client = loop.client(options);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  ASSERT_TRUE(loop.run(client->run(Command("INCR").key("n"))));

  redis.pause();
  const BootTime start = loop.clock.boot();
  const auto reply = loop.run(client->run(Command("INCR").key("n")));
  const auto took = std::chrono::duration_cast<Duration>(loop.clock.boot() - start);

  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().slug, "redis_unknown_outcome");
  EXPECT_GE(took.count(), 50);
  EXPECT_LT(took.count(), 500);
  // And after a second of silence the connection is given up.
  EXPECT_TRUE(loop.until([&] { return !client->status().connected; }, std::chrono::seconds(5)));
  redis.resume();
  ASSERT_TRUE(loop.run(client->connected(Duration(10'000))));
  // It was executed after all, once: it is never sent again.
  ASSERT_TRUE(loop.until([&] { return redis.cli("get n").starts_with("2"); }));
}

TEST(SingleClient, ALateReplyBelongsToNobodyElse) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.timeouts.operation = Duration(30);
  options.timeouts.silence = Duration(10'000);
  const auto client = loop.client(options);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  redis.cli("set a one");
  redis.cli("set b two");

  redis.pause();
  EXPECT_FALSE(loop.run(client->run(get("a"))));
  redis.resume();
  EXPECT_EQ(loop.run(client->run(get("b").within(Duration(5000))))->text(), "two");
}

TEST(SingleClient, ComesBackAfterARestartByItself) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  const auto keys = list({"n"});
  const auto by = list({"1"});
  ASSERT_TRUE(loop.run(client->script(add_script(), keys, by)));

  redis.kill();
  ASSERT_TRUE(loop.until([&] { return !client->status().connected; }));
  const BootTime start = loop.clock.boot();
  ASSERT_TRUE(loop.until([&] {
    const auto reply = loop.run(client->run(get("n")));
    return !reply && reply.error().slug == "redis_unavailable";
  }));
  // Known to be away: refused at once.
  EXPECT_FALSE(loop.run(client->run(get("n"))));
  EXPECT_LT((loop.clock.boot() - start), std::chrono::seconds(2));

  redis.start();
  ASSERT_TRUE(loop.run(client->connected(Duration(10'000))));
  EXPECT_EQ(loop.run(client->script(add_script(), keys, by))->as_integer(), 1);
}

// Goal: what was acknowledged was executed, and nothing was executed twice. Method: connections are
// cut at any moment under load, and the count in Redis is compared with what the callers were told.
TEST(SingleClient, CutConnectionsLoseNothingAcknowledgedAndRepeatNothing) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.backoff.first = Duration(5);
  options.backoff.max = Duration(20);
  const auto client = loop.client(options);
  struct Told {
    std::int64_t acknowledged = 0;
    std::int64_t unknown = 0;
    bool stop = false;
    int running = 0;
  } told;
  const auto count_up = [&]() -> boost::asio::awaitable<void> {
    ++told.running;
    while (!told.stop) {
      const Result<Value> reply = co_await client->run(Command("INCR").key("n"));
      if (reply) ++told.acknowledged;
      if (!reply && reply.error().slug == "redis_unknown_outcome") ++told.unknown;
      if (!reply) co_await loop.timers->sleep(Duration(1));
    }
    --told.running;
  };
  auto ended = [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  for (int i = 0; i < 64; ++i) boost::asio::co_spawn(loop.io, count_up(), ended);
  for (int cut = 0; cut < 30; ++cut) {
    const std::int64_t before = told.acknowledged;
    ASSERT_TRUE(loop.until([&] { return told.acknowledged > before + 200; }));
    redis.cli("client kill type normal skipme yes");
  }
  told.stop = true;
  ASSERT_TRUE(loop.until([&] { return told.running == 0; }));

  const std::int64_t executed = std::stoll(redis.cli("get n"));
  EXPECT_GE(executed, told.acknowledged);
  EXPECT_LE(executed, told.acknowledged + told.unknown);
  EXPECT_GE(client->status().reconnects, 20U);
}

TEST(SingleClient, AnIdleConnectionIsAskedWhetherItLives) {
  RedisServer redis;
  RedisLoop loop;
  Options options = standalone(redis.port());
  options.timeouts.idle_ping = Duration(100);
  options.timeouts.silence = Duration(300);
  const auto client = loop.client(options);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));

  EXPECT_TRUE(loop.until([&] { return redis.cli("info commandstats").contains("cmdstat_ping"); }));
  redis.pause();
  EXPECT_TRUE(loop.until([&] { return !client->status().connected; }, std::chrono::seconds(5)));
  redis.resume();
}

TEST(SingleClient, AProbeHasItsOwnConnection) {
  RedisServer redis;
  RedisLoop loop;
  const auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(set("a", "1"))));

  EXPECT_EQ(loop.run(client->probe(get("a")))->text(), "1");
  EXPECT_TRUE(redis.cli("info clients").contains("connected_clients:3"));  // And redis-cli's own.
}

TEST(SingleClient, StopEndsEveryCall) {
  RedisServer redis;
  RedisLoop loop;
  auto client = loop.client(standalone(redis.port()));
  ASSERT_TRUE(loop.run(client->run(set("a", "1"))));
  redis.pause();
  std::string slug;
  auto keep = [&slug](std::exception_ptr, Result<Value> reply) { slug = reply.error().slug; };
  boost::asio::co_spawn(loop.io, client->run(Command("INCR").key("a")), keep);
  loop.pass(std::chrono::milliseconds(30));

  client->stop();
  loop.until([&] { return !slug.empty(); });
  EXPECT_EQ(slug, "redis_unknown_outcome");
  EXPECT_EQ(loop.run(client->run(get("a"))).error().slug, "redis_unavailable");
  client.reset();
  redis.resume();
}

}  // namespace
}  // namespace redoubt::redis
