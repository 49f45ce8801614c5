#include "base/assert.hpp"

#include <gtest/gtest.h>

namespace redoubt {
namespace {

TEST(AssertDeathTest, SaysWhatFailedAndWhereAndWhy) {
  const int slots = -1;

  EXPECT_DEATH(RD_ASSERT(slots >= 0, "slots cannot be negative"),
               "slots >= 0 at .*assert_test.cpp:[0-9]+: slots cannot be negative");
}

TEST(Assert, EvaluatesItsMessageOnlyWhenItFails) {
  int evaluated = 0;
  const auto message = [&evaluated] {
    ++evaluated;
    return "never seen";
  };

  RD_ASSERT(evaluated == 0, message());

  EXPECT_EQ(evaluated, 0);
}

}  // namespace
}  // namespace redoubt
