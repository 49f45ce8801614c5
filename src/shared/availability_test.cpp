#include "shared/availability.hpp"

#include <gtest/gtest.h>

namespace redoubt::shared {
namespace {

using namespace std::chrono_literals;

class AvailabilityTest : public ::testing::Test {
 protected:
  void pass(Duration d) { now_ = now_ + d; }
  void canary(bool gates_open = true) { machine_.canary_answered(now_, gates_open, answered_); }
  void fail_operation() { machine_.operation_failed(now_, answered_); }
  void answer(std::uint64_t n = 1) { answered_ += n; }
  Availability state() const { return machine_.state(); }

  void make_normal() {
    canary();
    ASSERT_EQ(state(), Availability::normal);
  }
  void make_away() {
    for (int i = 0; i < AvailabilityMachine::kFailuresInARow; ++i) fail_operation();
    ASSERT_EQ(state(), Availability::away);
  }
  // How long it stays away when a canary comes every 10 ms.
  Duration stay() {
    Duration waited{0};
    while (state() == Availability::away) {
      pass(10ms);
      waited += 10ms;
      canary();
    }
    return waited;
  }

  AvailabilityMachine machine_;
  BootTime now_{1'000'000'000'000};
  std::uint64_t answered_ = 0;
};

TEST_F(AvailabilityTest, BeginsAwayAndIsNormalWithTheFirstCanary) {
  EXPECT_EQ(state(), Availability::away);
  canary(false);
  EXPECT_EQ(state(), Availability::recovering);
  canary();
  EXPECT_EQ(state(), Availability::normal);
}

TEST_F(AvailabilityTest, IsSuspectWithTheFirstFailureAndNormalAfterThreeCanaries) {
  make_normal();

  fail_operation();

  EXPECT_EQ(state(), Availability::suspect);
  canary();
  canary();
  EXPECT_EQ(state(), Availability::suspect);
  canary();
  EXPECT_EQ(state(), Availability::normal);
}

TEST_F(AvailabilityTest, IsAwayAfterFiveFailuresInARow) {
  make_normal();
  for (int i = 0; i < 4; ++i) fail_operation();
  EXPECT_EQ(state(), Availability::suspect);

  fail_operation();

  EXPECT_EQ(state(), Availability::away);
}

TEST_F(AvailabilityTest, AnAnswerInBetweenBreaksTheRow) {
  make_normal();
  for (int i = 0; i < 12; ++i) {
    fail_operation();
    answer(3);
    pass(50ms);
  }
  EXPECT_EQ(state(), Availability::suspect);
}

TEST_F(AvailabilityTest, IsAwayWhenHalfOfTheOperationsOfASecondFail) {
  make_normal();
  for (int i = 0; i < 9; ++i) {
    fail_operation();
    answer(1);
    pass(10ms);
  }
  EXPECT_EQ(state(), Availability::suspect);
  fail_operation();
  answer(1);
  fail_operation();
  EXPECT_EQ(state(), Availability::away);
}

TEST_F(AvailabilityTest, IsAwayAfterASecondWithoutAnAnswer) {
  make_normal();
  fail_operation();
  pass(1s);
  fail_operation();
  EXPECT_EQ(state(), Availability::away);
}

TEST_F(AvailabilityTest, RecoversWithThreeCanariesOverASecondAndOpenGates) {
  make_normal();
  make_away();
  canary();
  EXPECT_EQ(state(), Availability::away) << "before its stay is over";
  pass(1s);
  canary();
  EXPECT_EQ(state(), Availability::recovering);
  canary();
  canary();
  EXPECT_EQ(state(), Availability::recovering) << "three, but within no time";
  pass(1s);
  canary(false);
  EXPECT_EQ(state(), Availability::recovering) << "a gate is closed";
  canary();
  EXPECT_EQ(state(), Availability::normal);
}

TEST_F(AvailabilityTest, AFailureWhileRecoveringStartsOver) {
  make_normal();
  make_away();
  pass(1s);
  canary();
  machine_.canary_failed(now_, answered_);
  EXPECT_EQ(state(), Availability::away);
}

TEST_F(AvailabilityTest, StaysAwayLongerWhenItFlapsAndAsBeforeOnceItHasSettled) {
  make_normal();
  make_away();
  EXPECT_EQ(stay(), 1s);
  for (const Duration expected : {2s, 4s, 8s, 16s, 30s, 30s}) {
    machine_.canary_failed(now_, answered_);
    EXPECT_EQ(stay(), expected);
  }
  for (int i = 0; i < 3; ++i) {
    pass(1s);
    canary();
  }
  ASSERT_EQ(state(), Availability::normal);
  pass(AvailabilityMachine::kSettled);
  make_away();
  EXPECT_EQ(stay(), 1s);
}

TEST_F(AvailabilityTest, LeavesAtOnceWhenItMustNotBeUsed) {
  make_normal();
  canary(false);
  EXPECT_EQ(state(), Availability::away);
  stay();
  machine_.refuse(now_);
  EXPECT_EQ(state(), Availability::away);
}

}  // namespace
}  // namespace redoubt::shared
