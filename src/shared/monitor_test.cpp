// The monitor over real Redis servers, with a record's ledger in memory.
#include "shared/monitor.hpp"

#include "shared/copies.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/watched_redis.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace redoubt::shared {
namespace {

using namespace std::chrono_literals;
using test::MemoryLedger;
using test::RedisLoop;
using test::RedisServer;
using test::WatchedRedis;

class Watched : public WatchedRedis {
 public:
  Watched(RedisLoop& loop, Ledger& ledger, std::uint16_t port, Duration era = Duration(300'000))
      : WatchedRedis(loop, loop.clock, ledger, impatient(port),
                     {.instance = own_name(), .era = era}) {}

 private:
  // As processes have them: of two with one name, the second one's canaries would be the older ones.
  static std::string own_name() {
    static int made = 0;
    return "test-" + std::to_string(++made);
  }
  static redis::Options impatient(std::uint16_t port) {
    redis::Options options = test::standalone(port);
    options.timeouts.operation = Duration(200);
    options.backoff.max = Duration(100);
    return options;
  }
};

class MonitorTest : public ::testing::Test {
 protected:
  RedisLoop loop_;
  MemoryLedger ledger_{"rec_ours"};
  RedisServer redis_;
};

TEST_F(MonitorTest, TakesAFreshRedisForOursAndMarksIt) {
  Watched instance(loop_, ledger_, redis_.port());

  ASSERT_TRUE(instance.start());

  EXPECT_TRUE(instance.state.usable());
  EXPECT_EQ(instance.state.generation(), 1);
  EXPECT_EQ(instance.state.eras().current(), 1);
  EXPECT_TRUE(redis_.cli("get rd:inc").starts_with("redoubt1 rec_ours 1 "));
  EXPECT_GT(std::stoi(redis_.cli("get rd:hb:test-1")), 0);
  EXPECT_GT(std::stoi(redis_.cli("pttl rd:hb:test-1")), 0);
}

TEST_F(MonitorTest, WithoutAStartTheFirstRoundsAreOne) {
  Watched earlier(loop_, ledger_, redis_.port());
  ASSERT_TRUE(earlier.start());
  Watched instance(loop_, ledger_, redis_.port());

  ASSERT_TRUE(instance.rounds_until(Availability::normal));

  EXPECT_TRUE(instance.monitor->began());
  EXPECT_EQ(instance.monitor->identity(), "rec_ours");
  EXPECT_EQ(instance.state.eras().current(), 2) << "an era of its own";
  EXPECT_TRUE(instance.state.usable());
}

TEST_F(MonitorTest, WithoutAStartItBeginsOnceTheRecordIsThere) {
  Watched instance(loop_, ledger_, redis_.port());
  ledger_.set_away(true);
  instance.round();
  EXPECT_FALSE(instance.monitor->began());
  EXPECT_TRUE(instance.state.away());

  ledger_.set_away(false);

  EXPECT_TRUE(instance.rounds_until(Availability::normal));
  EXPECT_TRUE(instance.monitor->began());
}

TEST_F(MonitorTest, WithoutAStartTheRedisOfAnotherRecordIsNotUsed) {
  MemoryLedger theirs("rec_theirs");
  Watched other(loop_, theirs, redis_.port());
  ASSERT_TRUE(other.start());
  Watched instance(loop_, ledger_, redis_.port());

  for (int i = 0; i < 3; ++i) instance.round();

  EXPECT_FALSE(instance.state.reachable());
  EXPECT_TRUE(instance.state.status().reason.contains("rec_theirs"));
  EXPECT_TRUE(redis_.cli("get rd:inc").starts_with("redoubt1 rec_theirs 1 "));
}

TEST_F(MonitorTest, ASecondInstanceOfTheRecordSharesTheGenerationAndBeginsAnEra) {
  Watched first(loop_, ledger_, redis_.port());
  ASSERT_TRUE(first.start());
  Watched second(loop_, ledger_, redis_.port());

  ASSERT_TRUE(second.start());

  EXPECT_TRUE(second.state.usable());
  EXPECT_EQ(second.state.generation(), 1);
  EXPECT_EQ(second.state.eras().current(), 2);
}

TEST_F(MonitorTest, RefusesARedisOfAnotherRecordAndSaysWhatToChange) {
  MemoryLedger theirs("rec_theirs");
  Watched other(loop_, theirs, redis_.port());
  ASSERT_TRUE(other.start());
  const std::string mark = redis_.cli("get rd:inc");
  Watched instance(loop_, ledger_, redis_.port());

  const auto started = instance.start();

  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().slug, "redis_of_another_record");
  EXPECT_NE(started.error().message.find("rec_theirs"), std::string::npos);
  EXPECT_FALSE(instance.state.usable());
  EXPECT_EQ(redis_.cli("get rd:inc"), mark);
  EXPECT_EQ(ledger_.now().generation, 0);
}

TEST_F(MonitorTest, StartsWithoutARedisAndUsesItOnceItIsThere) {
  redis_.kill();
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(loop_.run(instance.monitor->start(Duration(50))));
  EXPECT_FALSE(instance.state.usable());
  EXPECT_FALSE(instance.monitor->status().reason.empty());

  redis_.start();

  EXPECT_TRUE(instance.rounds_until(Availability::normal));
  EXPECT_TRUE(instance.state.usable());
}

TEST_F(MonitorTest, ARestartedRedisIsANewGenerationAndTheOldOneIsRetired) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  const std::string before = ledger_.now().server;

  redis_.restart();

  ASSERT_TRUE(loop_.until(
      [&] {
        instance.round();
        return instance.state.generation() == 2 && instance.state.usable();
      },
      std::chrono::seconds(20)));
  EXPECT_EQ(ledger_.now().retired, std::vector<std::string>{before});
  EXPECT_TRUE(redis_.cli("get rd:inc").starts_with("redoubt1 rec_ours 2 "));
}

TEST_F(MonitorTest, AFlushedRedisIsANewGeneration) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());

  redis_.cli("flushall");

  instance.round();
  EXPECT_FALSE(instance.state.usable());
  ASSERT_TRUE(instance.rounds_until(Availability::normal));
  EXPECT_EQ(instance.state.generation(), 2);
  EXPECT_TRUE(ledger_.now().retired.empty());
}

TEST_F(MonitorTest, ARetiredRedisIsTakenAgainOnlyOnceNobodyUsesTheOneAfterIt) {
  ManualClock clock;
  WatchedRedis back(loop_, clock, ledger_, test::standalone(redis_.port()));
  ASSERT_TRUE(back.start());
  RedisServer elsewhere;
  WatchedRedis moved(loop_, clock, ledger_, test::standalone(elsewhere.port()));
  ASSERT_TRUE(moved.start());
  ASSERT_EQ(ledger_.now().generation, 2);
  const std::string after = ledger_.now().server;

  for (int i = 0; i < 30; ++i) {
    clock.advance(Duration(1'000));
    moved.round();
    back.round();
  }
  EXPECT_FALSE(back.state.usable());
  EXPECT_EQ(ledger_.now().generation, 2) << "both sides would take turns";

  ledger_.set_away(true);  // Nobody can say what he uses: that does not count.
  clock.advance(kUnusedAfter);
  back.round();
  ledger_.set_away(false);
  for (Duration passed{0}; passed < kUnusedAfter; passed += Duration(1'000)) {
    EXPECT_EQ(ledger_.now().generation, 2);
    back.round();
    clock.advance(Duration(1'000));
  }
  EXPECT_TRUE(loop_.until([&] {
    back.round();
    clock.advance(Duration(100));
    return back.state.usable();
  }));
  EXPECT_EQ(ledger_.now().generation, 3);
  EXPECT_EQ(ledger_.now().retired, std::vector<std::string>{after});
}

TEST_F(MonitorTest, ARetiredRedisIsNotUsedWhileAnotherOneIs) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  RedisServer elsewhere;
  Watched moved(loop_, ledger_, elsewhere.port());
  ASSERT_TRUE(moved.start());
  ASSERT_EQ(ledger_.now().generation, 2);

  ASSERT_TRUE(loop_.until([&] {
    instance.round();
    return !instance.state.usable();
  }));

  for (int i = 0; i < 3; ++i) instance.round();
  EXPECT_EQ(ledger_.now().generation, 2) << "both sides would take turns";
  EXPECT_NE(instance.state.status().reason.find("left behind"), std::string::npos);
}

TEST_F(MonitorTest, APausedRedisIsLeftAndTakenAgainWithItsGeneration) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());

  redis_.pause();
  EXPECT_TRUE(instance.rounds_until(Availability::away));
  EXPECT_FALSE(instance.state.usable());
  redis_.resume();

  EXPECT_TRUE(instance.rounds_until(Availability::normal));
  EXPECT_EQ(instance.state.generation(), 1);
}

TEST_F(MonitorTest, SaysThatConnectingIsInVainUntilACanaryIsAnswered) {
  Watched instance(loop_, ledger_, redis_.port());
  EXPECT_TRUE(instance.state.answers_probes()) << "nobody has tried";
  ASSERT_TRUE(instance.start());
  EXPECT_TRUE(instance.state.answers_probes());

  redis_.kill();
  EXPECT_TRUE(instance.rounds_until(Availability::away));
  EXPECT_FALSE(instance.state.answers_probes());
  redis_.start();

  EXPECT_TRUE(instance.rounds_until(Availability::recovering));
  EXPECT_TRUE(instance.state.answers_probes());
}

TEST_F(MonitorTest, IsNotUsedWhileTheRecordCannotBeAsked) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  ledger_.set_away(true);
  EXPECT_TRUE(loop_.until([&] {
    instance.round();
    return !instance.state.usable();
  }));
  ledger_.set_away(false);
  EXPECT_TRUE(loop_.until([&] {
    instance.round();
    return instance.state.usable();
  }));
}

TEST_F(MonitorTest, SeesWhatBecomesOfRedisWhileTheRecordHangs) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  ledger_.set_hung(true);
  const auto asking = [&]() -> boost::asio::awaitable<void> {
    while (instance.state.usable()) {
      EXPECT_TRUE(co_await instance.monitor->ask_record());
      co_await loop_.timers->sleep(Duration(10));
    }
  };
  const auto asked = test::spawn(loop_.io, asking());
  const auto looks_until = [&](Availability wanted) {
    return loop_.until([&] {
      EXPECT_TRUE(loop_.run(instance.monitor->run_once()));
      return instance.state.status().state == wanted;
    });
  };
  ASSERT_TRUE(loop_.until([&] { return !instance.state.usable(); }));
  ASSERT_FALSE(asked->over) << "the record was to hang";
  EXPECT_TRUE(instance.state.reachable());

  redis_.pause();
  EXPECT_TRUE(looks_until(Availability::away));
  redis_.resume();
  EXPECT_TRUE(looks_until(Availability::recovering));

  ledger_.set_hung(false);
  EXPECT_TRUE(loop_.until([&] { return asked->over; }));
  EXPECT_TRUE(instance.rounds_until(Availability::normal));
}

TEST_F(MonitorTest, AFullRedisIsReadAndDeletedFromAndTakesNothing) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  redis::Client& worker = instance.make_worker();
  ASSERT_TRUE(loop_.run(worker.connected(Duration(5'000))));
  const auto copies = make_redis_copies(worker, instance.state, instance.metrics);
  const auto named = [](const char* id) { return CopyName{Noun::session, "acme", id}; };
  const Duration life(60'000);
  ASSERT_EQ(loop_.run(copies->put(named("kept"), Copy{1, "one"}, life)), Stored::stored);
  ASSERT_EQ(loop_.run(copies->put(named("gone"), Copy{1, "two"}, life)), Stored::stored);

  redis_.cli("config set maxmemory 1");
  ASSERT_TRUE(instance.rounds_until(Availability::suspect));
  for (int i = 0; i < 10; ++i) {
    instance.round();
    EXPECT_EQ(instance.state.status().state, Availability::suspect);
  }

  EXPECT_FALSE(instance.state.counts());
  EXPECT_TRUE(loop_.run(copies->get(named("kept"))));
  EXPECT_EQ(loop_.run(copies->put(named("new"), Copy{1, "one"}, life)), Stored::nowhere);
  EXPECT_EQ(loop_.run(copies->bury(named("gone"), life)), Stored::nowhere);
  EXPECT_EQ(redis_.cli("exists 'rd:1:{acme}:session:gone'"), "0\n");

  redis_.cli("config set maxmemory 0");
  EXPECT_TRUE(instance.rounds_until(Availability::normal));
  EXPECT_TRUE(instance.state.counts());
}

// An account that rights are taken from while time stands still.
class DeniedMonitorTest : public MonitorTest {
 protected:
  DeniedMonitorTest() {
    redis_.cli("acl setuser app on '>pw' '~*' '&*' +@all");
    redis::Options options = test::standalone(redis_.port());
    options.credentials = {.user = "app", .password = Secret("pw")};
    instance_ = std::make_unique<WatchedRedis>(loop_, clock_, ledger_, options);
  }

  // How often Redis has said so.
  std::string denials() const {
    const std::string stats = redis_.cli("info errorstats");
    const std::size_t begin = stats.find("errorstat_NOPERM");
    return begin == std::string::npos ? "" : stats.substr(begin, stats.find('\r', begin) - begin);
  }
  void round_after(Duration duration) {
    clock_.advance(duration);
    instance_->round();
  }
  // Rounds as often as in production, but for what is denied: that is not tried meanwhile.
  void expect_patience() {
    const std::string before = denials();
    ASSERT_NE(before, "");
    for (Duration passed{0}; passed < Duration(2'250); passed += kMonitorPeriod) {
      round_after(kMonitorPeriod);
    }
    EXPECT_EQ(denials(), before);
    round_after(Duration(5'000));
    EXPECT_NE(denials(), before);
  }

  ManualClock clock_;
  std::unique_ptr<WatchedRedis> instance_;
};

TEST_F(DeniedMonitorTest, ARedisThatRunsNoScriptsOfOursStaysDegradedUntilItDoes) {
  ASSERT_TRUE(instance_->start());

  redis_.cli("acl setuser app -eval -evalsha");
  instance_->round();

  expect_patience();
  EXPECT_EQ(instance_->state.status().state, Availability::suspect);
  EXPECT_TRUE(instance_->state.usable());
  EXPECT_FALSE(instance_->state.counts());

  redis_.cli("acl setuser app +eval +evalsha");
  round_after(Duration(5'000));
  EXPECT_EQ(instance_->state.status().state, Availability::normal);
}

TEST_F(DeniedMonitorTest, OneThatTakesNoWritesAtAllIsNotTriedInAStormEither) {
  ASSERT_TRUE(instance_->start());

  redis_.cli("acl setuser app -eval -evalsha -set");
  instance_->round();

  expect_patience();
  EXPECT_TRUE(instance_->state.usable());
}

TEST_F(DeniedMonitorTest, OneThatDeniesEverythingIsLeftAtOnceAndTakenAgainWithinSeconds) {
  ASSERT_TRUE(instance_->start());

  redis_.cli("acl setuser app -@scripting -@read -@write");
  instance_->round();

  EXPECT_EQ(instance_->state.status().state, Availability::away);
  EXPECT_TRUE(instance_->state.status().reason.contains("credentials or rights"))
      << instance_->state.status().reason;
  expect_patience();

  redis_.cli("acl setuser app +@all");
  round_after(Duration(5'000));
  EXPECT_TRUE(instance_->state.answers_probes());
  for (int i = 0; i < 5; ++i) round_after(kMonitorPeriod);
  EXPECT_EQ(instance_->state.status().state, Availability::normal);
}

TEST_F(DeniedMonitorTest, WhatTheConfigurationMendedIsTriedAtOnce) {
  ASSERT_TRUE(instance_->start());
  redis_.cli("acl setuser app -@scripting -@read -@write");
  instance_->round();
  redis_.cli("acl setuser app +@all");
  instance_->round();
  ASSERT_FALSE(instance_->state.answers_probes()) << "nobody asks";

  instance_->monitor->try_at_once();

  instance_->round();
  EXPECT_TRUE(instance_->state.answers_probes());
}

TEST_F(MonitorTest, MovesTheEraOnWhenItIsDue) {
  Watched instance(loop_, ledger_, redis_.port(), Duration(600));
  ASSERT_TRUE(instance.start());
  EXPECT_TRUE(loop_.until([&] {
    instance.round();
    return instance.state.eras().current() >= 3;
  }));
}

TEST_F(MonitorTest, AdmitsWorkersToTheServerThatItFoundAndToNoOther) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  redis::Client& worker = instance.make_worker();
  const auto works = [&] {
    redis::Command command = redis::Command("GET").key("x").read_only();
    return loop_.run(worker.run(std::move(command))).has_value();
  };
  EXPECT_TRUE(loop_.until(works));

  redis_.restart();

  for (int i = 0; i < 20; ++i) {
    loop_.pass(std::chrono::milliseconds(10));
    ASSERT_FALSE(works()) << "nobody has looked whether it is ours";
  }
  EXPECT_TRUE(loop_.until([&] {
    instance.round();
    return works();
  }));
}

TEST_F(MonitorTest, GivesUpItsConnectionWhenAWorkerWasLedElsewhere) {
  Watched instance(loop_, ledger_, redis_.port());
  ASSERT_TRUE(instance.start());
  Monitor& monitor = *instance.monitor;
  const redis::ServerFacts ours = instance.client->status().nodes.at(0).facts;
  ASSERT_TRUE(monitor.watches(ours));
  redis::ServerFacts elsewhere = ours;
  elsewhere.run_id = "the one that took over";

  EXPECT_FALSE(monitor.admit(elsewhere));

  EXPECT_FALSE(monitor.watches(ours)) << "where the address leads by now must be looked up";
  EXPECT_TRUE(monitor.admit(ours)) << "it is still the one that the record knows";
  instance.client->stop();
  EXPECT_TRUE(monitor.watches(ours)) << "a new connection is as good as any";
}

}  // namespace
}  // namespace redoubt::shared
