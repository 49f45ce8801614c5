// The simulator itself: that a seed is one history, that the services keep their promises in many of
// them, and that deliberate mistakes are found.
#include "tests/sim/bugs.hpp"
#include "tests/sim/campaign.hpp"
#include "tests/sim/shrink.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

namespace redoubt::sim {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RD_SIM_SLOW 1
#endif
#endif

#if defined(RD_SIM_SLOW)
constexpr std::uint64_t kRuns = 6;
#elif defined(NDEBUG)
constexpr std::uint64_t kRuns = 150;
#else
constexpr std::uint64_t kRuns = 25;
#endif

std::string text_of(const Violations& violations) {
  std::string out;
  for (const Violation& violation : violations) {
    out += violation.checker + ": " + violation.what + "\n";
  }
  return out;
}

class Simulator : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto opened = Truth::open();
    ASSERT_TRUE(opened) << opened.error().message << opened.error().cause;
    truth_ = std::move(*opened);
  }
  static void TearDownTestSuite() { truth_.reset(); }

  static inline std::unique_ptr<Truth> truth_;
};

TEST_F(Simulator, ASeedIsOneHistory) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const Plan plan = draw_plan(seed);
    const Verdict once = simulate(plan, *truth_);
    const Verdict again = simulate(plan, *truth_);
    EXPECT_EQ(once.digest, again.digest) << "seed " << seed;
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
    EXPECT_GT(once.operations, 500u) << "else nothing was seen";
  }
}

TEST_F(Simulator, LimitsAreExactWhenNothingGoesWrong) {
  PlanOptions options;
  options.faults = false;
  Totals totals;
  const auto failure = campaign(1'000, options, {.runs = 3}, *truth_, totals);
  EXPECT_FALSE(failure) << text_of(failure->violations);
  const auto normal = static_cast<std::size_t>(LimitRow::normal);
  EXPECT_GT(totals.limits.in_force[normal], 3u);
  EXPECT_GT(totals.limits.fullest[normal], 0.9) << "else nobody came near the limit";
}

TEST_F(Simulator, PromisesAreKeptUnderFaults) {
  Totals totals;
  const auto failure = campaign(1, {}, {.runs = kRuns}, *truth_, totals);
  EXPECT_FALSE(failure) << "seed " << failure->plan.seed << "\n"
                        << text_of(failure->violations) << describe_shrunk(*failure, *truth_);
  EXPECT_GT(totals.faulty_runs, kRuns / 2);
  RecordProperty("totals", describe(totals));
}

TEST_F(Simulator, AFailureIsMadeSmallAndStaysOne) {
  PlanOptions options;
  options.bug = Bug::deaf_to_others;
  Totals totals;
  const auto failure = campaign(1, options, {.runs = 50}, *truth_, totals);
  ASSERT_TRUE(failure);
  const auto fails = [](const Plan& plan) {
    return !simulate(plan, *truth_).violations.empty();
  };
  const Edit edit = shrink(failure->plan, fails);
  EXPECT_TRUE(fails(edited(failure->plan, edit)));
  EXPECT_TRUE(edit.faults.empty()) << "this mistake needs no fault";
  EXPECT_LT(edit.length, failure->plan.length);
}

class Mistake : public Simulator, public testing::WithParamInterface<BugName> {};

// Within a minute, says the requirement: on the machines of CI that is less than so many runs.
TEST_P(Mistake, IsFound) {
  PlanOptions options;
  options.bug = GetParam().bug;
  Totals totals;
  const Enough enough{.runs = 400, .time = std::chrono::minutes(1)};
  const auto failure = campaign(1, options, enough, *truth_, totals);
  EXPECT_TRUE(failure) << "not in " << totals.runs << " runs";
  if (failure) {
    RecordProperty("found", failure->violations.front().checker + ": " +
                                failure->violations.front().what);
    RecordProperty("runs", std::to_string(totals.runs));
  }
}
INSTANTIATE_TEST_SUITE_P(OfTheSeams, Mistake, testing::ValuesIn(kBugs),
                         [](const auto& bug) { return std::string(bug.param.name); });

}  // namespace
}  // namespace redoubt::sim
