#include "operations/problem.hpp"

#include "base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;

std::string text_of(const Problem& problem) {
  std::string out;
  write_problem(out, problem);
  return out;
}

TEST(Problem, TellsWhatTheCallerMayKnow) {
  Error error(Errc::unavailable, "record_away", "the record is away", "disk /dev/sda is full");
  error.retry_after = 1500ms;
  EXPECT_EQ(text_of(problem_of(error, "r1", "/api/v1/x")),
            R"({"type":"about:blank","title":"Service unavailable","status":503,)"
            R"("detail":"the record is away","code":"record_away","instance":"/api/v1/x",)"
            R"("request_id":"r1","retry_after":1.5})");
}

TEST(Problem, PointsAtFields) {
  const Error error = invalid_argument("body.ttl", "must be between 1s and 1h", "range");
  EXPECT_EQ(text_of(problem_of(error, "r1")),
            R"({"type":"about:blank","title":"Invalid request","status":400,)"
            R"("detail":"body.ttl must be between 1s and 1h","code":"invalid_argument",)"
            R"("request_id":"r1","errors":[{"pointer":"/ttl","location":"body.ttl",)"
            R"("detail":"must be between 1s and 1h","message":"must be between 1s and 1h",)"
            R"("code":"range"}]})");
}

TEST(Problem, NamesTheLimitsThatRefuse) {
  const LimitPolicy minute{.name = "minute", .limit = 60, .period = 60s};
  const LimitPolicy day{.name = "day",
                        .algorithm = LimitAlgorithm::calendar_window,
                        .limit = 1000,
                        .unit = CalendarUnit::day};
  const LimitPolicy burst{.name = "burst"};
  const LimitDecision decision{
      .allowed = false,
      .states = {{.policy = &minute, .allowed = false, .retry_after = 2300ms},
                 {.policy = &burst, .allowed = true, .retry_after = 0ms},
                 {.policy = &day, .allowed = false, .retry_after = 1h}}};
  const Problem problem = problem_of(decision, "r1");
  EXPECT_EQ(problem.type, "https://iana.org/assignments/http-problem-types#quota-exceeded");
  EXPECT_EQ(problem.status, 429);
  EXPECT_EQ(problem.code, "rate_limited");
  EXPECT_EQ(problem.retry_after, 1h);
  EXPECT_EQ(problem.detail,
            "limit minute: 60 per 1m exceeded; limit day: 1000 per calendar day exceeded");
  EXPECT_THAT(text_of(problem), testing::HasSubstr(R"("violated-policies":["minute","day"])"));
}

TEST(Problem, DoesNotInviteARetryThatNeverSucceeds) {
  const LimitPolicy policy{.name = "p"};
  const LimitDecision decision{
      .allowed = false,
      .states = {{.policy = &policy, .allowed = false, .retry_after = Duration::max()}}};
  EXPECT_FALSE(problem_of(decision, "r1").retry_after);
}

TEST(Problem, RetryAfterIsNeverTooEarly) {
  EXPECT_EQ(retry_after_seconds(1ms), 1);
  EXPECT_EQ(retry_after_seconds(1000ms), 1);
  EXPECT_EQ(retry_after_seconds(1001ms), 2);
  EXPECT_EQ(retry_after_seconds(0ms), std::nullopt);
  EXPECT_EQ(retry_after_seconds(std::nullopt), std::nullopt);
  EXPECT_EQ(retry_after_seconds(Duration::max()), std::nullopt);
}

TEST(Problem, HasASchemaOfItsOwn) {
  const auto schema = parse_json(problem_schema());
  ASSERT_TRUE(schema);
  const auto& root = schema->get_object();
  EXPECT_EQ(root.at("$schema").as_string(), "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(to_json(root.at("required")),
            R"(["type","title","status","detail","code","request_id"])");
  EXPECT_EQ(to_json(root.at("properties").at("errors").at("items")),
            R"({"$ref":"#/$defs/ProblemField"})");
  EXPECT_TRUE(root.at("$defs").as_object().contains("ProblemField"));
}

}  // namespace
}  // namespace redoubt::operations
