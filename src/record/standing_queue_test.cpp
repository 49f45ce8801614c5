#include "record/standing_queue.hpp"

#include <gtest/gtest.h>

namespace redoubt::record {
namespace {

constexpr BootTime at(int ms) {
  return BootTime{1'000'000'000} + Duration{ms};
}

// Taken from every half a second, and never emptied but in the beginning.
StandingQueue standing_until(int ms) {
  StandingQueue queue;
  queue.taken(true, at(0));
  for (int t = 500; t <= ms; t += 500) queue.taken(false, at(t));
  return queue;
}

TEST(StandingQueueTest, RefusesWhatWaitedLongOnceItStands) {
  const StandingQueue queue = standing_until(2'500);

  EXPECT_TRUE(queue.refuses(at(1'499), at(2'500)));
  EXPECT_FALSE(queue.refuses(at(1'500), at(2'500)));
}

TEST(StandingQueueTest, RefusesNothingWhileItMayBeABurst) {
  const StandingQueue queue = standing_until(2'000);

  EXPECT_FALSE(queue.refuses(at(0), at(2'000)));
}

TEST(StandingQueueTest, RefusesNothingOnceItWasEmpty) {
  StandingQueue queue = standing_until(5'000);
  queue.taken(true, at(5'500));

  EXPECT_FALSE(queue.refuses(at(4'000), at(5'500)));
}

TEST(StandingQueueTest, WhatGatheredWhileNothingWasTakenIsCarriedOut) {
  StandingQueue queue = standing_until(500);
  queue.taken(false, at(8'000));
  EXPECT_FALSE(queue.refuses(at(600), at(8'000)));

  queue.taken(false, at(9'000));
  queue.taken(false, at(10'000));
  EXPECT_FALSE(queue.refuses(at(600), at(10'000)));

  queue.taken(false, at(11'000));
  EXPECT_TRUE(queue.refuses(at(600), at(11'000)));
}

}  // namespace
}  // namespace redoubt::record
