#include "faces/rest/refusals.hpp"

#include <gtest/gtest.h>

namespace redoubt::faces {
namespace {

TEST(Refusals, AreOfTheRecordWhenItSaysSo) {
  EXPECT_TRUE(is_of_record(unavailable("record_unavailable", "away"), false));
  EXPECT_TRUE(is_of_record(unavailable("record_outcome_unknown", "away"), false));
  EXPECT_FALSE(is_of_record(unavailable("redis_unavailable", "away"), true));
}

TEST(Refusals, AreOfTheRecordWhenTimeWasOverWhileItIsOutOfReach) {
  const Error late(Errc::deadline_exceeded, "", "the deadline passed");

  EXPECT_TRUE(is_of_record(late, true));
  EXPECT_FALSE(is_of_record(late, false));
  EXPECT_FALSE(is_of_record({Errc::deadline_exceeded, "redis_unknown_outcome", "late"}, true));
}

}  // namespace
}  // namespace redoubt::faces
