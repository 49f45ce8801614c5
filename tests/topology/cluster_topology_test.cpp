// Three masters with a replica each; hot slots move and a master dies while the client is at work.
#include "tests/support/redis_cluster.hpp"
#include "tests/support/redis_loop.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

using test::RedisCluster;
using test::RedisLoop;
using test::RedisServer;

std::string key_in(int i) {
  return "key:" + std::to_string(i);
}

TEST(ClusterTopology, RoutesByKeyAndSplitsBatches) {
  RedisCluster cluster(0);
  RedisLoop loop;
  const auto client = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  EXPECT_TRUE(client->status().connected);
  EXPECT_GE(client->status().nodes.size(), 3U);

  std::vector<Command> writes;
  for (int i = 0; i < 300; ++i) {
    writes.push_back(Command("SET").key(key_in(i)).arg(i).repeatable());
  }
  const auto written = loop.run(client->run_all(std::move(writes)));
  for (const auto& reply : written) EXPECT_TRUE(reply && reply->is_ok());
  std::vector<Command> reads;
  for (int i = 0; i < 300; ++i) reads.push_back(Command("GET").key(key_in(i)).read_only());
  const auto read = loop.run(client->run_all(std::move(reads)));
  for (std::size_t i = 0; i < 300; ++i) EXPECT_EQ(read[i]->text(), std::to_string(i));
  EXPECT_EQ(client->status().redirects, 0U);

  const auto crossing = loop.run(client->run(Command("MGET").key("a").key("b")));
  EXPECT_EQ(crossing.error().slug, "redis_cross_slot");
  EXPECT_TRUE(loop.run(client->run(Command("MGET").key("{t}a").key("{t}b"))));
  EXPECT_TRUE(loop.run(client->run(Command("PING"))));
  EXPECT_TRUE(loop.run(client->probe(Command("GET").key("key:1").read_only())));

  std::vector<Command> together;
  together.push_back(Command("INCR").key("{t}n"));
  together.push_back(Command("INCR").key("{t}n"));
  EXPECT_EQ(loop.run(client->transaction(std::move(together)))->at(1).as_integer(), 2);
  std::vector<Command> apart;
  apart.push_back(Command("INCR").key("a"));
  apart.push_back(Command("INCR").key("b"));
  EXPECT_EQ(loop.run(client->transaction(std::move(apart))).error().slug, "redis_cross_slot");

  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const std::vector<std::string_view> keys{"{t}n"};
  const std::vector<std::string_view> by{"5"};
  EXPECT_EQ(loop.run(client->script(script, keys, by))->as_integer(), 7);
}

TEST(ClusterTopology, IsFollowedOverTls) {
  const test::Certificates certificates;
  RedisCluster cluster(certificates);
  RedisLoop loop;
  Options options = cluster.options();
  options.tls.enabled = true;
  options.tls.ca_file = certificates.file("ca.crt");
  const auto client = loop.client(options);
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));

  std::vector<Command> writes;
  for (int i = 0; i < 100; ++i) {
    writes.push_back(Command("SET").key(key_in(i)).arg(i).repeatable());
  }
  const auto written = loop.run(client->run_all(std::move(writes)));
  for (const auto& reply : written) EXPECT_TRUE(reply && reply->is_ok());
}

class Heard final : public SubscriptionHandler {
 public:
  void subscribed(bool) override { ready = true; }
  void message(std::string_view, std::string_view payload, std::string_view) override {
    last = payload;
  }
  void lost(const Error&) override {}
  bool ready = false;
  std::string last;
};

TEST(ClusterTopology, MessagesReachASubscriberOnAnyNode) {
  RedisCluster cluster(0);
  RedisLoop loop;
  const auto client = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  Heard heard;
  const SubscribeRequest request{.channels = {"c"}, .patterns = {}};
  const auto subscription = *client->subscribe(request, heard);
  ASSERT_TRUE(loop.until([&] { return heard.ready; }));

  for (std::size_t node = 0; node < 3; ++node) {
    cluster.nodes[node]->cli("publish c from" + std::to_string(node));
    EXPECT_TRUE(loop.until([&] { return heard.last == "from" + std::to_string(node); }));
  }
}

class Changed final : public TrackingHandler {
 public:
  void changed(std::string_view key) override { ++times[std::string(key)]; }
  void all_changed() override { ++all; }
  std::map<std::string, int> times;
  int all = 0;
};

TEST(ClusterTopology, TellsOfChangesOnEveryNode) {
  RedisCluster cluster(0);
  RedisLoop loop;
  Changed told;
  ClientParts parts = loop.parts();
  parts.tracking = &told;
  const auto client = *make_client(loop.io.get_executor(), cluster.options(), parts);
  const auto writer = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  std::vector<Watched> outcomes(60, Watched::no);
  std::vector<Command> reads;
  for (int i = 0; i < 60; ++i) {
    reads.push_back(
        Command("GET").key(key_in(i)).read_only().watch(outcomes[static_cast<std::size_t>(i)]));
  }
  for (const auto& reply : loop.run(client->run_all(std::move(reads)))) ASSERT_TRUE(reply);
  for (const Watched outcome : outcomes) EXPECT_EQ(outcome, Watched::yes);

  std::vector<Command> writes;
  for (int i = 0; i < 60; ++i) writes.push_back(Command("SET").key(key_in(i)).arg(i).repeatable());
  for (const auto& reply : loop.run(writer->run_all(std::move(writes)))) ASSERT_TRUE(reply);

  EXPECT_TRUE(loop.until([&] { return told.times.size() == 60; }));
  EXPECT_EQ(told.all, 0);
  cluster.nodes[0]->kill();
  EXPECT_TRUE(loop.until([&] { return told.all == 1; }));
  client->stop();
}

// Counts up in each of some slots, one command at a time per slot.
struct Counting {
  std::string key;
  std::int64_t acknowledged = 0;
  std::int64_t unknown = 0;
  std::int64_t refused = 0;
  std::string last_refusal;
};

boost::asio::awaitable<void> count_up(Client& client, Timers& timers, Counting& counting,
                                      const bool& stop, int& running) {
  ++running;
  while (!stop) {
    const Result<Value> reply = co_await client.run(Command("INCR").key(counting.key));
    if (reply) {
      ++counting.acknowledged;
    } else if (reply.error().slug == "redis_unknown_outcome") {
      ++counting.unknown;
    } else {
      ++counting.refused;
      counting.last_refusal = reply.error().slug + ": " + reply.error().cause;
      co_await timers.sleep(Duration(5));
    }
  }
  --running;
}

void start(RedisLoop& loop, Client& client, std::vector<Counting>& all, const bool& stop,
           int& running) {
  for (Counting& counting : all) {
    auto ended = [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    };
    boost::asio::co_spawn(loop.io, count_up(client, *loop.timers, counting, stop, running), ended);
  }
  ASSERT_TRUE(loop.until([&] {
    return std::ranges::all_of(all, [](const Counting& c) { return c.acknowledged > 20; });
  }));
}

// Moves a slot as redis-cli --cluster reshard does, step by step, with load between the steps.
void move_slot(RedisLoop& loop, RedisCluster& cluster, std::uint16_t slot, std::size_t to) {
  std::size_t from = 0;
  const std::string number = std::to_string(slot);
  while (from < 3 &&
         !cluster.nodes[from]->cli("cluster countkeysinslot " + number).starts_with("1")) {
    ++from;
  }
  ASSERT_LT(from, 3U);
  if (from == to) return;
  RedisServer& source = *cluster.nodes[from];
  RedisServer& target = *cluster.nodes[to];
  const auto pause = [&loop] { loop.pass(std::chrono::milliseconds(20)); };
  target.cli("cluster setslot " + number + " importing " + cluster.id(from));
  source.cli("cluster setslot " + number + " migrating " + cluster.id(to));
  pause();
  const std::string keys = source.cli("cluster getkeysinslot " + number + " 100");
  std::string line = keys;
  for (char& c : line) c = c == '\n' ? ' ' : c;
  source.cli("migrate 127.0.0.1 " + std::to_string(target.port()) + " \"\" 0 5000 keys " + line);
  pause();  // The slot is still the source's, and the key is not: ASK.
  target.cli("cluster setslot " + number + " node " + cluster.id(to));
  source.cli("cluster setslot " + number + " node " + cluster.id(to));
  pause();
}

TEST(ClusterTopology, FollowsHotSlotsThatMoveUnderLoadAndLosesNothing) {
  RedisCluster cluster(0);
  RedisLoop loop;
  const auto client = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  std::vector<Counting> all(10);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].key = "hot:" + std::to_string(i);
  bool stop = false;
  int running = 0;
  start(loop, *client, all, stop, running);

  for (std::size_t i = 0; i < all.size(); ++i) {
    move_slot(loop, cluster, wire::slot_of(all[i].key), i % 3);
  }
  loop.pass(std::chrono::milliseconds(500));
  stop = true;
  ASSERT_TRUE(loop.until([&] { return running == 0; }));

  EXPECT_GT(client->status().redirects, 0U);
  for (const Counting& counting : all) {
    const auto value = loop.run(client->run(Command("GET").key(counting.key).read_only()));
    EXPECT_EQ(value->text(), std::to_string(counting.acknowledged)) << counting.key;
    EXPECT_EQ(counting.unknown, 0);
    EXPECT_EQ(counting.refused, 0) << counting.last_refusal;
  }
}

TEST(ClusterTopology, KeysOfOneCommandOnBothSidesOfAMoveAreTriedAgain) {
  RedisCluster cluster(0);
  RedisLoop loop;
  const auto client = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  ASSERT_TRUE(loop.run(client->run(Command("MSET").key("{t}a").arg(1).key("{t}b").arg(2))));
  const std::string slot = std::to_string(wire::slot_of("t"));
  std::size_t from = 0;
  while (!cluster.nodes[from]->cli("cluster countkeysinslot " + slot).starts_with("2")) ++from;
  const std::size_t to = (from + 1) % 3;
  cluster.nodes[to]->cli("cluster setslot " + slot + " importing " + cluster.id(from));
  cluster.nodes[from]->cli("cluster setslot " + slot + " migrating " + cluster.id(to));
  cluster.nodes[from]->cli("migrate 127.0.0.1 " + std::to_string(cluster.nodes[to]->port()) +
                           " {t}a 0 5000");

  const auto both = loop.run(client->run(Command("MGET").key("{t}a").key("{t}b").read_only()));
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().slug, "redis_refused");
  EXPECT_TRUE(both.error().cause.starts_with("TRYAGAIN"));
  EXPECT_GE(client->status().redirects, 3U);
  EXPECT_EQ(loop.run(client->run(Command("GET").key("{t}a").read_only()))->text(), "1");
  std::vector<Command> moved;
  moved.push_back(Command("INCR").key("{t}a"));
  EXPECT_EQ(loop.run(client->transaction(std::move(moved)))->at(0).as_integer(), 2);
}

TEST(ClusterTopology, GoesOnWhenAReplicaTakesOver) {
  RedisCluster cluster(1);
  RedisLoop loop;
  const auto client = loop.client(cluster.options());
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  std::vector<Counting> all(12);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].key = "hot:" + std::to_string(i);
  bool stop = false;
  int running = 0;
  start(loop, *client, all, stop, running);

  ASSERT_TRUE(cluster.is_master(0));
  cluster.nodes[0]->kill();
  std::vector<std::int64_t> before;
  for (const Counting& counting : all) before.push_back(counting.acknowledged);
  EXPECT_TRUE(loop.until(
      [&] {
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (all[i].acknowledged < before[i] + 50) return false;
        }
        return true;
      },
      std::chrono::seconds(40)));
  stop = true;
  ASSERT_TRUE(loop.until([&] { return running == 0; }));

  for (const Counting& counting : all) {
    const auto value = loop.run(client->run(Command("GET").key(counting.key).read_only()));
    ASSERT_TRUE(value);
    EXPECT_LE(std::stoll(std::string(value->text())), counting.acknowledged + counting.unknown);
  }
}

}  // namespace
}  // namespace redoubt::redis
