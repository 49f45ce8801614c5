// Hints between instances over a real Redis.
#include "shared/journal_hints.hpp"

#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <string>

namespace redoubt::shared {
namespace {

using test::RedisLoop;
using test::RedisServer;

// One instance, as far as hints go.
struct Hinting {
  Hinting(RedisLoop& loop, const redis::Options& options, std::string name,
          const std::string& identity = "rec_ours")
      : loop(loop), state(loop.clock, metrics), client(loop.client(options)) {
    is_ours(1);
    JournalHintsParts parts{.client = *client,
                            .state = state,
                            .clock = loop.clock,
                            .timers = *loop.timers,
                            .log = null_log(),
                            .metrics = metrics,
                            .hurry = [this] { ++hurried; }};
    hints = std::make_unique<JournalHints>(std::move(parts), identity, std::move(name));
    boost::asio::co_spawn(loop.io, hints->run(), [this](std::exception_ptr) { over = true; });
  }
  ~Hinting() {
    hints->stop();
    loop.until([this] { return over; });
    client->stop();
  }

  void is_ours(std::int64_t generation) {
    state.learned(generation, loop.clock.boot() + std::chrono::hours(1));
    state.canary_answered(true, {});
  }
  std::uint64_t count(std::string_view result) {
    return metrics
        .counter("redoubt_shared_hints_total",
                 "Hints to other instances that the journal has something new.",
                 {{"result", result}})
        .value();
  }
  // It looks at the journal once it listens.
  bool listens() {
    return loop.until([this] { return hurried > 0; });
  }

  RedisLoop& loop;
  Metrics metrics;
  SharedState state;
  std::unique_ptr<redis::Client> client;
  int hurried = 0;
  std::unique_ptr<JournalHints> hints;
  bool over = false;
};

class JournalHintsTest : public ::testing::Test {
 protected:
  RedisLoop loop_;
  RedisServer redis_;
  redis::Options options_ = test::standalone(redis_.port());
};

TEST_F(JournalHintsTest, HurryTheOthersAndNotWhoSentThem) {
  Hinting a(loop_, options_, "a");
  Hinting b(loop_, options_, "b");
  ASSERT_TRUE(a.listens() && b.listens());

  a.hints->announced();

  EXPECT_TRUE(loop_.until([&] { return b.hurried == 2; }));
  b.hints->announced();
  EXPECT_TRUE(loop_.until([&] { return a.hurried == 2; }));
  EXPECT_EQ(b.hurried, 2) << "its own hint came before the other heard of it";
  EXPECT_EQ(a.count("sent"), 1U);
  EXPECT_EQ(a.count("received"), 1U);
}

TEST_F(JournalHintsTest, AreFewHoweverMuchIsAnnounced) {
  Hinting a(loop_, options_, "a");
  ASSERT_TRUE(a.listens());
  const BootTime begun = loop_.clock.boot();

  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 1'000; ++k) a.hints->announced();
    loop_.pass(Duration(1));
  }

  ASSERT_TRUE(loop_.until([&] { return a.count("sent") > 1; }));
  const auto passed = std::chrono::duration_cast<Duration>(loop_.clock.boot() - begun);
  EXPECT_LE(a.count("sent"), static_cast<std::uint64_t>(passed / kHintPause) + 1);
}

TEST_F(JournalHintsTest, FollowTheGeneration) {
  Hinting a(loop_, options_, "a");
  Hinting b(loop_, options_, "b");
  ASSERT_TRUE(a.listens() && b.listens());

  a.is_ours(2);
  b.is_ours(2);
  ASSERT_TRUE(loop_.until([&] {
    return redis_.cli("pubsub numsub rd:1:journal:rec_ours rd:2:journal:rec_ours")
        .ends_with("rec_ours\n2\n");
  }));
  const int before = b.hurried;
  a.hints->announced();

  EXPECT_TRUE(loop_.until([&] { return b.hurried > before && b.count("received") == 1; }));
  EXPECT_EQ(redis_.cli("pubsub numsub rd:1:journal:rec_ours"), "rd:1:journal:rec_ours\n0\n");
}

TEST_F(JournalHintsTest, OfAnotherRecordAreNotHeard) {
  Hinting ours(loop_, options_, "a");
  Hinting theirs(loop_, options_, "b", "rec_theirs");
  Hinting last(loop_, options_, "c");
  ASSERT_TRUE(ours.listens() && theirs.listens() && last.listens());

  theirs.hints->announced();
  ASSERT_TRUE(loop_.until([&] { return theirs.count("sent") == 1; }));
  last.hints->announced();

  ASSERT_TRUE(loop_.until([&] { return ours.hurried == 2; }));
  EXPECT_EQ(ours.count("received"), 1U);
}

TEST_F(JournalHintsTest, ComeAgainWhenRedisDoes) {
  Hinting a(loop_, options_, "a");
  Hinting b(loop_, options_, "b");
  ASSERT_TRUE(a.listens() && b.listens());

  redis_.restart();

  // What was told meanwhile is read from the journal: so it looks again when it listens again.
  ASSERT_TRUE(loop_.until([&] { return b.hurried == 2 && a.hurried == 2; }));
  a.hints->announced();
  EXPECT_TRUE(loop_.until([&] { return b.count("received") == 1; }));
}

TEST_F(JournalHintsTest, AreNotFollowedWhileCopiesAreReadAgainLittleByLittle) {
  Hinting a(loop_, options_, "a");
  Hinting b(loop_, options_, "b");
  ASSERT_TRUE(a.listens() && b.listens());
  b.state.refuse("a test says so");
  ASSERT_TRUE(loop_.until([&] {
    b.state.canary_answered(true, {});
    return b.state.reachable();
  }));
  const int before = b.hurried;

  a.hints->announced();

  ASSERT_TRUE(loop_.until([&] { return b.count("received") == 1; }));
  const int after = b.hurried;
  if (b.state.all_reads_open()) GTEST_SKIP() << "the machine was too slow for it";
  EXPECT_EQ(after, before);
}

TEST_F(JournalHintsTest, AreDoneWithoutWhereTheAccountMayNotHearThem) {
  redis_.cli("acl setuser mute on '>pw' '~rd:*' resetchannels +@all");
  options_.credentials = {.user = "mute", .password = Secret("pw")};
  options_.backoff.first = options_.backoff.max = Duration(1);
  Hinting a(loop_, options_, "a");
  ASSERT_TRUE(loop_.until([&] { return redis_.cli("acl log").contains("channel"); }));
  loop_.pass(Duration(1'000));

  a.hints->announced();

  EXPECT_TRUE(loop_.until([&] { return a.count("unsent") == 1; }));
  EXPECT_EQ(a.hurried, 0);
  EXPECT_FALSE(redis_.cli("client list type pubsub").contains("id=")) << "it gave up for a while";
}

}  // namespace
}  // namespace redoubt::shared
