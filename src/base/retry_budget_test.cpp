#include "base/retry_budget.hpp"

#include <gtest/gtest.h>

namespace redoubt {
namespace {

TEST(RetryBudget, AllowsATenthOfWhatIsAskedForAndTenFromRest) {
  RetryBudget budget;
  int from_rest = 0;
  while (budget.take()) ++from_rest;
  EXPECT_EQ(from_rest, 10);

  int retried = 0;
  for (int i = 0; i < 1'000; ++i) {
    budget.attempted();
    if (budget.take()) ++retried;  // Everything fails, and everybody would like to try again.
  }
  EXPECT_EQ(retried, 100);
}

TEST(RetryBudget, SavesUpNoMoreThanTen) {
  RetryBudget budget;
  for (int i = 0; i < 100'000; ++i) budget.attempted();
  int retried = 0;
  while (budget.take()) ++retried;
  EXPECT_EQ(retried, 10);
}

}  // namespace
}  // namespace redoubt
