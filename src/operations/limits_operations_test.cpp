#include "operations/limits_operations.hpp"

#include "base/clock.hpp"
#include "base/json.hpp"
#include "tests/support/audit_double.hpp"
#include "tests/support/call_operation.hpp"
#include "tests/support/context.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;

// Answers what the test says and remembers what it was asked.
class ScriptedLimits final : public Limits {
 public:
  ScriptedLimits() {
    policies_.resize(2);
    policies_[0].name = "default";
    policies_[1].name = "monthly";
    policies_[1].algorithm = LimitAlgorithm::calendar_window;
    policies_[1].limit_class = LimitClass::strict;
    policies_[1].unit = CalendarUnit::month;
  }

  std::optional<Result<LimitDecision>> check_now(const Context&,
                                                 std::span<const LimitCheck> checks) override {
    if (suspends) return std::nullopt;
    return answer("check_now", checks);
  }
  Task<LimitDecision> check(const Context&, std::span<const LimitCheck> checks) override {
    co_return answer("check", checks);
  }
  Task<LimitDecision> peek(const Context&, std::span<const LimitCheck> checks) override {
    co_return answer("peek", checks);
  }
  Task<LimitDecision> refund(const Context&, std::span<const LimitCheck> checks) override {
    co_return answer("refund", checks);
  }
  Task<void> reset(const Context&, std::string policy, std::string subject) override {
    asked = "reset " + policy + "/" + subject;
    co_return Result<void>{};
  }
  const LimitPolicy* find_policy(std::string_view) const override { return nullptr; }
  std::span<const LimitPolicy> policies() const override { return policies_; }
  Result<void> replace_policies(std::vector<LimitPolicy>) override { return {}; }

  bool suspends = false;
  std::string asked;
  LimitState state{.allowed = true, .remaining = 9, .reset_after = 1500ms};
  std::optional<Error> error;

 private:
  Result<LimitDecision> answer(std::string_view verb, std::span<const LimitCheck> checks) {
    asked = verb;
    LimitDecision decision;
    for (const LimitCheck& check : checks) {
      asked += " " + std::string(check.policy) + "/" + std::string(check.subject) + "*" +
               std::to_string(check.cost);
      state.policy = &policies_[0];
      decision.states.push_back(state);
    }
    decision.allowed = state.allowed;
    if (error) return fail(*error);
    return decision;
  }
  std::vector<LimitPolicy> policies_;
};

class LimitsOperationsTest : public testing::Test {
 protected:
  LimitsOperationsTest() { register_limits(registry_, limits_, clock_, audit_); }

  OperationOutput call(std::string_view id, std::string_view body) {
    const Context context = test::context_of(caller_);
    const OperationInput input{.body = body, .content_type = "application/json"};
    OperationOutput output;
    test::call_operation(registry_, context, id, input, output);
    return output;
  }

  ManualClock clock_{WallTime{1'800'000'000'000}};
  Caller caller_ = test::admin_of("acme");
  ScriptedLimits limits_;
  test::AuditDouble audit_;
  Registry registry_;
};

constexpr std::string_view kOne = R"({"limits":[{"policy":"default","subject":"user:1"}]})";

TEST_F(LimitsOperationsTest, ACheckOfOneLimitAnswersAtOnceInBothShapes) {
  const OperationOutput output = call("limits.check", kOne);

  EXPECT_EQ(limits_.asked, "check_now default/user:1*1");
  EXPECT_EQ(output.status, 200);
  EXPECT_EQ(parse_json(output.body).value(), parse_json(R"({
    "allowed": true,
    "limits": [{"policy":"default","subject":"user:1","allowed":true,"limit":10,"remaining":9,
                "reset_after":1.5,"retry_after":0}],
    "success": true, "limit": 10, "remaining": 9, "reset": 1800000001500, "pending": 0})")
                                                 .value())
      << output.body;
  EXPECT_NE(output.headers.find("RateLimit: \"default\";r=9;t=2\r\n"), std::string::npos);
}

TEST_F(LimitsOperationsTest, ARefusalHasTheSameBodyAndStatus429) {
  limits_.state = {.allowed = false, .remaining = 0, .reset_after = 10s, .retry_after = 700ms};

  const OperationOutput output = call("limits.check", kOne);

  EXPECT_FALSE(output.error);
  EXPECT_EQ(output.status, 429);
  EXPECT_EQ(parse_json(output.body).value(), parse_json(R"({
    "allowed": false,
    "limits": [{"policy":"default","subject":"user:1","allowed":false,"limit":10,"remaining":0,
                "reset_after":10,"retry_after":0.7}],
    "success": false, "limit": 10, "remaining": 0, "reset": 1800000010000, "pending": 0,
    "reason": "limit_exceeded"})")
                                                 .value())
      << output.body;
  EXPECT_NE(output.headers.find("Retry-After: 1\r\n"), std::string::npos);
}

TEST_F(LimitsOperationsTest, ACostThatNeverFitsHasNoRetry) {
  limits_.state = {.allowed = false, .remaining = 3, .retry_after = Duration::max()};

  const OperationOutput output = call("limits.check", kOne);

  EXPECT_EQ(output.body.find("retry_after"), std::string::npos);
  EXPECT_NE(output.body.find(R"("reason":"cost_exceeds_limit")"), std::string::npos);
  EXPECT_EQ(output.headers.find("Retry-After"), std::string::npos);
}

TEST_F(LimitsOperationsTest, SeveralLimitsHaveOnlyTheListAndTheRecordIsWaitedFor) {
  limits_.suspends = true;

  const OperationOutput output =
      call("limits.check",
           R"({"limits":[{"policy":"a","subject":"x","cost":3},{"policy":"b","subject":"y"}]})");

  EXPECT_EQ(limits_.asked, "check a/x*3 b/y*1");
  EXPECT_EQ(output.body.find("success"), std::string::npos);
  EXPECT_EQ(output.body.find("pending"), std::string::npos);
}

TEST_F(LimitsOperationsTest, PeekRefundAndResetReachTheirOwn) {
  limits_.state.allowed = false;
  EXPECT_EQ(call("limits.peek", kOne).status, 200);
  EXPECT_EQ(limits_.asked, "peek default/user:1*1");

  EXPECT_EQ(call("limits.refund", kOne).status, 200);
  EXPECT_EQ(limits_.asked, "refund default/user:1*1");

  EXPECT_EQ(call("limits.reset", R"({"policy":"default","subject":"user:1"})").status, 204);
  EXPECT_EQ(limits_.asked, "reset default/user:1");
  EXPECT_EQ(audit_.noted, std::vector<std::string>{"limit.reset default/user:1"});
}

TEST_F(LimitsOperationsTest, RequestsOutOfBoundsDoNotReachTheLimits) {
  for (const std::string_view body :
       {R"({})", R"({"limits":[]})", R"({"limits":[{"policy":"default"}]})",
        R"({"limits":[{"policy":"default","subject":""}]})",
        R"({"limits":[{"policy":"default","subject":"x","cost":0}]})",
        R"({"limits":[{"policy":"default","subject":"x","cost":1.5}]})"}) {
    const OperationOutput output = call("limits.check", body);
    ASSERT_TRUE(output.error) << body;
    EXPECT_EQ(output.error->code, Errc::invalid_argument) << body;
  }
  EXPECT_EQ(limits_.asked, "");
}

TEST_F(LimitsOperationsTest, AnErrorOfTheLimitsIsTheAnswer) {
  limits_.error = unavailable("record_unavailable", "disk full");

  const OperationOutput output = call("limits.check", kOne);

  ASSERT_TRUE(output.error);
  EXPECT_EQ(output.error->slug, "record_unavailable");
  EXPECT_EQ(output.headers, "");
}

TEST_F(LimitsOperationsTest, PoliciesAreListedWithWhatTheyUse) {
  const OperationOutput output = call("limits.policies", "");

  EXPECT_EQ(parse_json(output.body).value(), parse_json(R"({"policies": [
    {"name":"default","algorithm":"gcra","class":"soft","limit":60,"period":60,"burst":10},
    {"name":"monthly","algorithm":"calendar_window","class":"strict","limit":60,"unit":"month"}
  ]})")
                                                 .value())
      << output.body;
}

}  // namespace
}  // namespace redoubt::operations
