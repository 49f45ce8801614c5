#include "operations/ratelimit_headers.hpp"

#include "tests/support/limit_policies.hpp"

#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;
using test::policy_of;

constexpr WallTime kNow{1'800'000'000'250};

const LimitPolicy kGcra = policy_of("default", LimitAlgorithm::gcra, 60, 60s, 10);
const LimitPolicy kWindow = policy_of("hourly", LimitAlgorithm::fixed_window, 1000, 1h);

LimitState allowed(const LimitPolicy& policy, std::int64_t remaining, Duration reset) {
  return {.policy = &policy, .allowed = true, .remaining = remaining, .reset_after = reset};
}
LimitState refused(const LimitPolicy& policy, Duration reset, Duration retry) {
  return {.policy = &policy,
          .allowed = false,
          .remaining = 0,
          .reset_after = reset,
          .retry_after = retry};
}

std::string headers_of(std::vector<LimitState> states) {
  LimitDecision decision;
  for (const LimitState& state : states) decision.allowed = decision.allowed && state.allowed;
  decision.states = std::move(states);
  OperationOutput output;
  add_ratelimit_headers(output, decision, kNow);
  return output.headers;
}

TEST(RateLimitHeaders, AnAllowedAnswerSaysWhatIsLeft) {
  EXPECT_EQ(headers_of({allowed(kGcra, 9, 1s)}),
            "RateLimit-Policy: \"default\";q=10;w=10\r\n"
            "RateLimit: \"default\";r=9;t=1\r\n"
            "X-RateLimit-Limit: 10\r\n"
            "X-RateLimit-Remaining: 9\r\n"
            "X-RateLimit-Reset: 1800000002\r\n");
}

TEST(RateLimitHeaders, ARefusalSaysWhenToComeBackRoundedUp) {
  EXPECT_EQ(headers_of({refused(kGcra, 9'001ms, 1ms)}),
            "RateLimit-Policy: \"default\";q=10;w=10\r\n"
            "RateLimit: \"default\";r=0;t=1\r\n"
            "X-RateLimit-Limit: 10\r\n"
            "X-RateLimit-Remaining: 0\r\n"
            "X-RateLimit-Reset: 1800000010\r\n"
            "Retry-After: 1\r\n");
}

TEST(RateLimitHeaders, ACostThatIsNeverAdmittedInvitesNoRetry) {
  const std::string headers = headers_of({refused(kGcra, 0s, Duration::max())});

  EXPECT_EQ(headers.find("Retry-After"), std::string::npos);
  EXPECT_NE(headers.find("RateLimit: \"default\";r=0\r\n"), std::string::npos);
}

TEST(RateLimitHeaders, OfSeveralLimitsTheOneThatBindsIsToldToPlainClients) {
  const std::string both = headers_of({allowed(kGcra, 9, 1s), allowed(kWindow, 3, 30min)});
  EXPECT_NE(both.find("RateLimit-Policy: \"default\";q=10;w=10, \"hourly\";q=1000;w=3600\r\n"),
            std::string::npos)
      << both;
  EXPECT_NE(both.find("RateLimit: \"default\";r=9;t=1, \"hourly\";r=3;t=1800\r\n"),
            std::string::npos);
  EXPECT_NE(both.find("X-RateLimit-Limit: 1000\r\nX-RateLimit-Remaining: 3\r\n"),
            std::string::npos);

  const std::string one_refuses =
      headers_of({refused(kWindow, 30min, 30min), allowed(kGcra, 0, 9s)});
  EXPECT_NE(one_refuses.find("Retry-After: 1800\r\n"), std::string::npos);

  const std::string two_refuse =
      headers_of({refused(kWindow, 30min, 30min), refused(kGcra, 9s, 2s)});
  EXPECT_NE(two_refuse.find("Retry-After: 1800\r\n"), std::string::npos);
  EXPECT_NE(two_refuse.find("X-RateLimit-Limit: 1000\r\n"), std::string::npos);
}

TEST(RateLimitHeaders, APolicyNamedForSeveralSubjectsIsOneItem) {
  const std::string headers =
      headers_of({allowed(kGcra, 9, 1s), allowed(kGcra, 4, 6s), allowed(kGcra, 4, 6s)});

  EXPECT_NE(headers.find("RateLimit-Policy: \"default\";q=10;w=10\r\n"), std::string::npos);
  EXPECT_NE(headers.find("RateLimit: \"default\";r=4;t=6\r\n"), std::string::npos);
}

TEST(RateLimitHeaders, WindowsAreWholeSecondsAndNeverZero) {
  const auto policy_item = [](const LimitPolicy& policy) {
    const std::string headers = headers_of({allowed(policy, 1, 1s)});
    return headers.substr(0, headers.find("\r\n"));
  };
  const LimitPolicy month = policy_of("m", LimitAlgorithm::calendar_window, 5, 1s);

  EXPECT_EQ(policy_item(month), "RateLimit-Policy: \"m\";q=5;w=2678400");
  EXPECT_EQ(policy_item(policy_of("ms", LimitAlgorithm::sliding_log, 5, 1ms)),
            "RateLimit-Policy: \"ms\";q=5;w=1");
  EXPECT_EQ(policy_item(policy_of("seven", LimitAlgorithm::gcra, 7, 60s, 10)),
            "RateLimit-Policy: \"seven\";q=10;w=86");
  EXPECT_EQ(
      policy_item(policy_of("big", LimitAlgorithm::gcra, 1'000'000'000, 366 * 24h, 1'000'000'000)),
      "RateLimit-Policy: \"big\";q=1000000000;w=31622400");
}

TEST(RateLimitHeaders, ASharedQuotaSaysThatThisInstanceHasButAPart) {
  LimitPolicy strict = kWindow;
  strict.limit_class = LimitClass::strict;
  LimitDecision decision;
  decision.degraded = true;
  decision.states = {allowed(kGcra, 4, 1s), allowed(strict, 4, 1s)};
  OperationOutput output;
  add_ratelimit_headers(output, decision, kNow);
  EXPECT_TRUE(output.headers.starts_with(
      "RateLimit-Policy: \"default\";q=10;w=10;mode=local, \"hourly\";q=1000;w=3600\r\n"))
      << output.headers;
}

TEST(RateLimitHeaders, NothingIsSaidAboutNoLimit) {
  EXPECT_EQ(headers_of({}), "");
}

TEST(StructuredFields, StringsAreEscaped) {
  std::string out;
  append_sf_string(out, "a\"b\\c\r\nd\xc3\xa9~");

  EXPECT_EQ(out, R"("a\"b\\c??d??~")");
}

}  // namespace
}  // namespace redoubt::operations
