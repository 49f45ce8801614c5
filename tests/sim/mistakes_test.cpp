// Deliberate mistakes are found, each within a million operations, which are less than a minute: the
// simulator can see.
#include "tests/sim/bugs.hpp"
#include "tests/sim/campaign.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::sim {
namespace {

class Mistake : public testing::TestWithParam<BugName> {};

TEST_P(Mistake, IsFound) {
  const auto truth = Truth::open();
  ASSERT_TRUE(truth) << truth.error().message << truth.error().cause;
  PlanOptions options;
  options.bug = GetParam().bug;
  Enough enough;
  enough.operations = 1'000'000;
  Totals totals;
  const auto failure = campaign(1, options, enough, **truth, totals);
  ASSERT_TRUE(failure) << "not in " << totals.runs << " runs";
  RecordProperty("found", failure->violations.front().checker + ": " +
                              failure->violations.front().what);
  RecordProperty("runs", std::to_string(totals.runs));
}
INSTANTIATE_TEST_SUITE_P(OfTheSeams, Mistake, testing::ValuesIn(kBugs),
                         [](const auto& bug) { return std::string(bug.param.name); });

}  // namespace
}  // namespace redoubt::sim
