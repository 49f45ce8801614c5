#include "record/membership.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace redoubt::record {
namespace {

using namespace std::chrono_literals;

constexpr BootTime kStart{1'000'000'000};

TEST(Membership, CallsAnInstanceRunningWhileItsHeartbeatMoves) {
  Membership members;
  BootTime now = kStart;
  for (std::int64_t beat = 1; beat <= 10; ++beat, now = now + 1s) {
    const std::vector<InstanceRow> rows{{"a", beat, 0}, {"b", 7, 0}};
    members.observe(rows, now);
  }

  EXPECT_EQ(members.running(now), 1) << "b has stood still for longer than 5 s";
}

TEST(Membership, JudgesByItsOwnClockAlone) {
  Membership members;
  const std::vector<InstanceRow> rows{{"a", 1, 0}};
  members.observe(rows, kStart);

  EXPECT_EQ(members.running(kStart + 4999ms), 1);
  EXPECT_EQ(members.running(kStart + 5s), 0);
  const std::vector<InstanceRow> moved{{"a", 2, 0}};
  members.observe(moved, kStart + 6s);
  EXPECT_EQ(members.running(kStart + 6s), 1) << "it was only slow";
}

TEST(Membership, ForgetsAnInstanceThatLeft) {
  Membership members;
  const std::vector<InstanceRow> both{{"a", 1, 0}, {"b", 1, 0}};
  members.observe(both, kStart);
  const std::vector<InstanceRow> one{{"b", 1, 0}};
  members.observe(one, kStart);

  EXPECT_EQ(members.running(kStart), 1);
}

TEST(Membership, WaitsForTheRunningOnesAlone) {
  Membership members;
  const std::vector<InstanceRow> rows{{"a", 1, 10}, {"b", 1, 9}};
  members.observe(rows, kStart);

  EXPECT_TRUE(members.all_heard(9, kStart));
  EXPECT_FALSE(members.all_heard(10, kStart));
  EXPECT_TRUE(members.all_heard(10, kStart + 5s)) << "b has stopped trusting its copies";
}

}  // namespace
}  // namespace redoubt::record
