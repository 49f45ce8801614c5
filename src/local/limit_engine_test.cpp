#include "local/limit_engine.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "tests/support/limit_policies.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace redoubt::local {
namespace {

using namespace std::chrono_literals;

LimitRule rule_of(std::string name, LimitAlgorithm algorithm, std::int64_t limit, Duration period,
                  std::int64_t burst = 1) {
  return make_limit_rule(test::policy_of(std::move(name), algorithm, limit, period, burst));
}

class LimitEngineTest : public testing::Test {
 protected:
  LimitVerdict take(const LimitRule& rule, std::string_view subject, std::int64_t cost = 1) {
    const LimitCharge charge{&rule, engine_->key("acme", rule, subject), cost};
    LimitVerdict verdict;
    engine_->take({&charge, 1}, {&verdict, 1});
    return verdict;
  }
  std::int64_t remaining(const LimitRule& rule, std::string_view subject) {
    const LimitCharge charge{&rule, engine_->key("acme", rule, subject), 1};
    LimitVerdict verdict;
    engine_->peek({&charge, 1}, {&verdict, 1});
    return verdict.remaining;
  }
  void restart(LimitEngineOptions options) {
    metrics_ = std::make_unique<Metrics>();
    engine_ = std::make_unique<LimitEngine>(clock_, random_, options, *metrics_);
  }
  std::uint64_t evictions() {
    return metrics_
        ->counter("redoubt_ratelimit_evictions_total",
                  "Limits forgotten before they were full, to bound memory.")
        .value();
  }

  ManualClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<Metrics> metrics_ = std::make_unique<Metrics>();
  std::unique_ptr<LimitEngine> engine_ =
      std::make_unique<LimitEngine>(clock_, random_, LimitEngineOptions{}, *metrics_);
  const LimitRule gcra_ = rule_of("gcra", LimitAlgorithm::gcra, 60, 60s, 10);
  const LimitRule log_ = rule_of("log", LimitAlgorithm::sliding_log, 100, 1s);
};

TEST_F(LimitEngineTest, EightThreadsOnOneKeyNeverAdmitMoreThanThereIs) {
  const std::vector<LimitRule> rules{rule_of("a", LimitAlgorithm::gcra, 5000, 60s, 5000),
                                     rule_of("b", LimitAlgorithm::sliding_window, 5000, 60s),
                                     rule_of("c", LimitAlgorithm::sliding_log, 5000, 60s),
                                     rule_of("d", LimitAlgorithm::fixed_window, 5000, 60s)};
  std::atomic<std::int64_t> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        for (const LimitRule& rule : rules) admitted += take(rule, "one").allowed ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(admitted, 4 * 5000);
  for (const LimitRule& rule : rules) EXPECT_EQ(remaining(rule, "one"), 0);
}

TEST_F(LimitEngineTest, ChecksOfSeveralLimitsInAnyOrderAreNeitherLostNorStuck) {
  // Each thread charges both keys at once, in either order; in the end both have been charged
  // alike.
  const LimitRule rule = rule_of("both", LimitAlgorithm::fixed_window, 1'000'000, 60s);
  const Hash128 a = engine_->key("acme", rule, "a");
  const Hash128 b = engine_->key("acme", rule, "b");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const Hash128 first = t % 2 == 0 ? a : b;
      const Hash128 second = t % 2 == 0 ? b : a;
      for (int i = 0; i < 2000; ++i) {
        const std::array<LimitCharge, 2> charges{{{&rule, first, 1}, {&rule, second, 1}}};
        std::array<LimitVerdict, 2> verdicts;
        engine_->take(charges, verdicts);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(remaining(rule, "a"), 1'000'000 - 8000);
  EXPECT_EQ(remaining(rule, "b"), 1'000'000 - 8000);
}

TEST_F(LimitEngineTest, ARefusalByOneLimitChargesNone) {
  const LimitRule narrow = rule_of("narrow", LimitAlgorithm::fixed_window, 1, 60s);
  ASSERT_TRUE(take(narrow, "x").allowed);
  const std::array<LimitCharge, 2> charges{{{&gcra_, engine_->key("acme", gcra_, "x"), 3},
                                            {&narrow, engine_->key("acme", narrow, "x"), 1}}};
  std::array<LimitVerdict, 2> verdicts;

  EXPECT_FALSE(engine_->take(charges, verdicts));

  EXPECT_TRUE(verdicts[0].allowed);
  EXPECT_EQ(verdicts[0].remaining, 10);
  EXPECT_EQ(verdicts[0].retry_after, 0ms);
  EXPECT_FALSE(verdicts[1].allowed);
  EXPECT_EQ(remaining(gcra_, "x"), 10);
}

TEST_F(LimitEngineTest, RetryAfterIsTheFirstMillisecondOfAdmission) {
  for (int i = 0; i < 10; ++i) take(gcra_, "x");
  clock_.advance(123'456ns);
  const LimitVerdict refused = take(gcra_, "x", 2);
  ASSERT_FALSE(refused.allowed);

  clock_.advance(refused.retry_after - 1ms);
  EXPECT_FALSE(take(gcra_, "x", 2).allowed);
  clock_.advance(1ms);
  EXPECT_TRUE(take(gcra_, "x", 2).allowed);
}

TEST_F(LimitEngineTest, KeysOfDifferentNamesDiffer) {
  const LimitRule other = rule_of("gcra2", LimitAlgorithm::gcra, 60, 60s, 10);
  const LimitRule changed = rule_of("gcra", LimitAlgorithm::gcra, 61, 60s, 10);

  EXPECT_NE(engine_->key("a:b", gcra_, "c"), engine_->key("a", gcra_, "b:c"));
  EXPECT_NE(engine_->key("a", gcra_, "bc"), engine_->key("ab", gcra_, "c"));
  EXPECT_NE(engine_->key("", gcra_, "a"), engine_->key("a", gcra_, ""));
  EXPECT_NE(engine_->key("a", gcra_, "b"), engine_->key("a", other, "b"));
  EXPECT_NE(engine_->key("a", gcra_, "b"), engine_->key("a", changed, "b"));
  EXPECT_EQ(engine_->key("a", gcra_, std::string(512, 'x')),
            engine_->key("a", gcra_, std::string(512, 'x')));
  EXPECT_NE(engine_->key("a", gcra_, std::string(512, 'x')),
            engine_->key("a", gcra_, std::string(511, 'x') + "y"));
}

TEST_F(LimitEngineTest, ALimitThatIsFullAgainIsForgotten) {
  for (int i = 0; i < 1000; ++i) take(gcra_, std::to_string(i));
  for (int i = 0; i < 100; ++i) take(log_, std::to_string(i));
  ASSERT_EQ(engine_->entries(), 1100u);
  ASSERT_GT(engine_->log_bytes(), 0u);

  clock_.advance(999ms);
  EXPECT_EQ(engine_->run_once(), 0u);
  clock_.advance(1ms);

  EXPECT_EQ(engine_->run_once(), 1100u);
  EXPECT_EQ(engine_->entries(), 0u);
  EXPECT_EQ(engine_->log_bytes(), 0u);
}

TEST_F(LimitEngineTest, UseAloneKeepsGarbageAFractionOfTheTable) {
  // Every subject is used once and full a second later; 100 new ones arrive every millisecond.
  for (int i = 0; i < 400'000; ++i) {
    if (i % 100 == 0) clock_.advance(1ms);
    take(gcra_, std::to_string(i));
  }

  EXPECT_LT(engine_->entries(), 200'000u);  // 100,000 are in use.
  EXPECT_EQ(evictions(), 0u);
}

TEST_F(LimitEngineTest, RefusedAndPeekedSubjectsTakeNoMemory) {
  EXPECT_FALSE(take(gcra_, "x", 11).allowed);
  EXPECT_EQ(take(gcra_, "x", 11).retry_after, Duration::max());
  EXPECT_EQ(remaining(gcra_, "y"), 10);

  EXPECT_EQ(engine_->entries(), 0u);
}

TEST_F(LimitEngineTest, NeverHoldsMoreThanItsEntriesAndKeepsTheMostUsed) {
  restart({.entries_max = 4096});
  for (int i = 0; i < 10; ++i) take(gcra_, "victim");

  for (int i = 0; i < 50'000; ++i) take(gcra_, "flood" + std::to_string(i));

  EXPECT_LE(engine_->entries(), 4096u);
  EXPECT_GT(evictions(), 40'000u);
  EXPECT_EQ(remaining(gcra_, "victim"), 0);
}

TEST_F(LimitEngineTest, LogsAreBoundedInBytesAndStillCountEveryAdmission) {
  restart({.log_bytes_max = 64 << 10});
  const LimitRule large = rule_of("large", LimitAlgorithm::sliding_log, 10'000, 60s);
  std::int64_t admitted = 0;
  for (int i = 0; i < 40'000; ++i) {
    clock_.advance(100us);
    admitted += take(large, std::to_string(i % 4)).allowed ? 1 : 0;
  }

  EXPECT_LE(engine_->log_bytes(), 128u << 10);
  EXPECT_EQ(admitted, 40'000);
  EXPECT_EQ(remaining(large, "0"), 0);
}

// A share of the limit is charged in multiples, and may owe more than the whole rule lets stand.
TEST_F(LimitEngineTest, AskingWhatIsOwedChangesNothing) {
  const LimitRule whole = rule_of("small", LimitAlgorithm::gcra, 2, 1s, 1);
  LimitRule share = whole;
  share.burst = 5;
  ASSERT_TRUE(take(share, "x", 5).allowed);
  const LimitCharge charge{&whole, engine_->key("acme", whole, "x"), 1};
  EXPECT_EQ(engine_->owed(charge).us, 2'500'000);
  clock_.advance(1'600ms);
  EXPECT_EQ(engine_->owed(charge).us, 900'000);
  EXPECT_FALSE(take(share, "x", 5).allowed);
}

TEST_F(LimitEngineTest, ResetMakesALimitFull) {
  for (int i = 0; i < 10; ++i) take(gcra_, "x");
  take(gcra_, "y");

  engine_->reset(engine_->key("acme", gcra_, "x"));

  EXPECT_EQ(remaining(gcra_, "x"), 10);
  EXPECT_EQ(remaining(gcra_, "y"), 9);
}

TEST_F(LimitEngineTest, ARefundThatMakesALimitFullFreesItsMemory) {
  take(gcra_, "x", 4);
  const LimitCharge charge{&gcra_, engine_->key("acme", gcra_, "x"), 3};
  LimitVerdict verdict;

  engine_->refund({&charge, 1}, {&verdict, 1});
  EXPECT_EQ(verdict.remaining, 9);
  EXPECT_EQ(engine_->entries(), 1u);
  engine_->refund({&charge, 1}, {&verdict, 1});

  EXPECT_EQ(verdict.remaining, 10);
  EXPECT_EQ(engine_->entries(), 0u);
}

TEST_F(LimitEngineTest, RatesDoNotCareAboutTheWallClock) {
  for (int i = 0; i < 10; ++i) take(gcra_, "x");

  clock_.jump_wall(-24h);
  EXPECT_FALSE(take(gcra_, "x").allowed);
  clock_.jump_wall(48h);
  EXPECT_FALSE(take(gcra_, "x").allowed);
  clock_.advance(1s);
  EXPECT_TRUE(take(gcra_, "x").allowed);
}

TEST_F(LimitEngineTest, WindowsFollowTheWallClockAndDoNotReopenWhenItGoesBack) {
  const LimitRule window = rule_of("window", LimitAlgorithm::fixed_window, 1, 60s);
  ASSERT_TRUE(take(window, "x").allowed);

  clock_.jump_wall(-3h);
  const LimitVerdict refused = take(window, "x");
  EXPECT_FALSE(refused.allowed);
  EXPECT_LE(refused.retry_after, 120s);
  clock_.advance(refused.retry_after - 1ms);
  EXPECT_FALSE(take(window, "x").allowed);
  clock_.advance(1ms);
  EXPECT_TRUE(take(window, "x").allowed);
}

TEST_F(LimitEngineTest, ShowsHowManyLimitsItHolds) {
  take(gcra_, "x");
  take(gcra_, "y");

  EXPECT_NE(metrics_->prometheus_text().find("redoubt_ratelimit_keys 2"), std::string::npos)
      << metrics_->prometheus_text();
}

// As when instances go and come while each enforces its share: its size changes.
TEST_F(LimitEngineTest, WhatIsOwedIsNotForgottenUnderASmallerBurst) {
  LimitRule larger = gcra_;
  larger.burst = 15;
  ASSERT_TRUE(take(larger, "a", 15).allowed);
  EXPECT_EQ(remaining(gcra_, "a"), 0);
  EXPECT_FALSE(take(gcra_, "a").allowed);
  clock_.advance(3s);
  EXPECT_FALSE(take(larger, "a", 4).allowed);
  EXPECT_TRUE(take(larger, "a", 3).allowed);
}

}  // namespace
}  // namespace redoubt::local
