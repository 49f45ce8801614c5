#include "shared/state.hpp"

#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace redoubt::shared {
namespace {

using namespace std::chrono_literals;

class SharedStateTest : public testing::Test {
 protected:
  void SetUp() override { learn(); }

  void learn() { state_.learned(1, clock_.boot()); }
  void canary(bool good = true) {
    good ? state_.canary_answered(true, {})
         : state_.canary_failed(unavailable("redis_unavailable", "gone"));
  }
  void make_normal() {
    canary();
    ASSERT_TRUE(state_.usable());
    state_.take_transitions();
  }
  void lose() {
    for (int i = 0; i < 6; ++i) canary(false);
    ASSERT_FALSE(state_.reachable());
  }
  void come_back() {
    for (int i = 0; i < 8; ++i) {
      clock_.advance(500ms);
      learn();
      canary();
    }
    ASSERT_EQ(state_.status().state, Availability::normal);
  }
  // Of a hundred thousand names.
  double open_part() {
    std::size_t open = 0;
    for (std::size_t hash = 0; hash < 100'000; ++hash) open += state_.reads_open(hash) ? 1 : 0;
    return static_cast<double>(open) / 100'000;
  }

  ManualClock clock_;
  Metrics metrics_;
  SharedState state_{clock_, metrics_};
};

TEST_F(SharedStateTest, CountsGoOnWhileTheRecordCannotBeAskedAndCopiesDoNot) {
  make_normal();
  clock_.advance(kViewLife);

  EXPECT_FALSE(state_.usable());
  EXPECT_TRUE(state_.reachable());
}

TEST_F(SharedStateTest, ComesBackIntoUseOnlyWhileTheRecordIsAsked) {
  make_normal();
  lose();
  for (int i = 0; i < 8; ++i) {
    clock_.advance(500ms);
    canary();
  }
  EXPECT_EQ(state_.status().state, Availability::recovering);
  EXPECT_NE(state_.status().reason.find("record"), std::string::npos);

  learn();
  canary();
  EXPECT_EQ(state_.status().state, Availability::normal);
}

TEST_F(SharedStateTest, OneThatTakesNoWritesIsDegradedAndReadAndCountsNothing) {
  make_normal();
  for (int i = 0; i < 10; ++i) {
    clock_.advance(250ms);
    learn();
    state_.canary_answered(true, {}, "Redis takes no writes now");
  }
  EXPECT_TRUE(state_.usable());
  EXPECT_FALSE(state_.takes_writes());
  EXPECT_FALSE(state_.counts());
  EXPECT_EQ(state_.status().reason, "Redis takes no writes now");
  canary();
  EXPECT_TRUE(state_.counts());

  const auto told = state_.take_transitions();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].to, "degraded");
  EXPECT_EQ(told[0].reason, "Redis takes no writes now");
  EXPECT_EQ(told[1].to, "normal");
  EXPECT_EQ(open_part(), 1.0) << "copies were read all along";
}

TEST_F(SharedStateTest, ACommandThatIsDeniedSaysNothingOfTheServer) {
  make_normal();
  for (int i = 0; i < 100; ++i) state_.failed(unavailable("redis_denied", "no right"));
  EXPECT_EQ(state_.status().state, Availability::normal);
}

TEST_F(SharedStateTest, EveryChangeIsToldOnceWithItsCauseAndHowLongTheFormerStateLasted) {
  canary();
  clock_.advance(3s);
  canary(false);
  clock_.advance(20ms);
  for (int i = 0; i < 5; ++i) canary(false);

  const auto told = state_.take_transitions();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0].from, "down");
  EXPECT_EQ(told[0].to, "normal");
  EXPECT_EQ(told[1].to, "degraded");
  EXPECT_EQ(told[1].reason, "gone");
  EXPECT_EQ(told[1].lasted, 3s);
  EXPECT_EQ(told[2].to, "down");
  EXPECT_EQ(told[2].lasted, 20ms);
  EXPECT_TRUE(state_.take_transitions().empty());
}

TEST_F(SharedStateTest, CopiesAreReadAgainLittleByLittleAfterAnOutage) {
  make_normal();
  EXPECT_EQ(open_part(), 1.0) << "at the start nobody is used to anything";
  lose();
  come_back();
  // The last step of coming back was within the last four of 0.5 s.
  ASSERT_LT(open_part(), 0.5);
  double before = 0;
  for (int i = 0; i < 3; ++i) {
    const double part = open_part();
    EXPECT_GT(part, before);
    before = part;
    clock_.advance(1s);
  }
  clock_.advance(kRamp);
  EXPECT_EQ(open_part(), 1.0);
}

TEST_F(SharedStateTest, TheRampBeginsAtAHundredth) {
  make_normal();
  lose();
  while (state_.status().state != Availability::normal) {
    clock_.advance(100ms);
    learn();
    canary();
  }
  EXPECT_DOUBLE_EQ(open_part(), 0.01);
}

TEST_F(SharedStateTest, OneThatIsTurnedOffIsNotUsedAndNotMissed) {
  make_normal();

  state_.turn_off("by the configuration");

  EXPECT_TRUE(state_.off());
  EXPECT_FALSE(state_.reachable());
  canary();
  EXPECT_FALSE(state_.reachable()) << "whatever it answers";
  EXPECT_TRUE(state_.status().off);
  const auto told = state_.take_transitions();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].from, "normal");
  EXPECT_EQ(told[0].to, "not_configured");
}

TEST_F(SharedStateTest, WithoutARedisItIsOffAndShowsNothingUntilOneComes) {
  Metrics metrics;
  SharedState none(clock_, metrics, {}, false);
  EXPECT_TRUE(none.off());
  EXPECT_FALSE(none.ever_on());
  EXPECT_FALSE(none.usable());
  none.turn_off("by the configuration");
  EXPECT_TRUE(none.take_transitions().empty()) << "it was off before";
  EXPECT_FALSE(metrics.prometheus_text().contains("redoubt_shared_up"));
  EXPECT_FALSE(metrics.prometheus_text().contains("redoubt_dependency_state"));

  none.turn_on();

  EXPECT_FALSE(none.off());
  EXPECT_TRUE(none.ever_on());
  EXPECT_TRUE(metrics.prometheus_text().contains("redoubt_shared_up 0"));
  none.turn_off("by the configuration");
  EXPECT_TRUE(none.ever_on());
  const auto told = none.take_transitions();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].from, "not_configured");
  EXPECT_EQ(told[1].to, "not_configured");
}

TEST_F(SharedStateTest, TheFirstOneThatComesProvesItselfToo) {
  Metrics metrics;
  SharedState none(clock_, metrics, {}, false);
  none.turn_on();
  none.learned(1, clock_.boot());

  none.canary_answered(true, {});

  EXPECT_EQ(none.status().state, Availability::recovering);
}

TEST_F(SharedStateTest, OneThatIsTurnedOnAgainProvesItselfAndIsReadLittleByLittle) {
  make_normal();
  state_.turn_off("by the configuration");
  clock_.advance(60s);

  state_.turn_on();
  EXPECT_FALSE(state_.reachable());
  for (Duration passed{0}; passed < AvailabilityMachine::kRecovering; passed += 250ms) {
    learn();
    canary();
    EXPECT_EQ(state_.status().state, Availability::recovering) << "one write proves little";
    clock_.advance(250ms);
  }
  learn();
  canary();
  EXPECT_TRUE(state_.usable());
  EXPECT_LT(open_part(), 0.1);
}

}  // namespace
}  // namespace redoubt::shared
