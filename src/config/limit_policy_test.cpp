#include "config/limit_policy.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

TEST(LimitPolicyGrammar, ReadsEveryWord) {
  const auto policy = parse_policy("chat", "60/1m burst 20 gcra strict");
  ASSERT_TRUE(policy) << policy.error();

  EXPECT_EQ(policy->name, "chat");
  EXPECT_EQ(policy->limit, 60);
  EXPECT_EQ(policy->period, Duration(1min));
  EXPECT_EQ(policy->burst, 20);
  EXPECT_EQ(policy->algorithm, LimitAlgorithm::gcra);
  EXPECT_EQ(policy->limit_class, LimitClass::strict);
}

TEST(LimitPolicyGrammar, PrintsWhatItReads) {
  struct Row {
    std::string_view text;
    std::string_view printed;
  };
  constexpr Row kRows[] = {
      {"60/1m", "60/1m burst 10 gcra soft"},
      {"5/1m", "5/1m burst 5 gcra soft"},
      {"60/60", "60/1m burst 10 gcra soft"},
      {"  strict   ", ""},
      {"60/1m  strict  burst 3 ", "60/1m burst 3 gcra strict"},
      {"100/10s sliding_window", "100/10s sliding_window soft"},
      {"10000/1h sliding_log", "10000/1h sliding_log soft"},
      {"7/250ms fixed_window", "7/250ms fixed_window soft"},
      {"1000/day calendar_window strict", "1000/day calendar_window strict"},
      {"1000/month soft calendar_window", "1000/month calendar_window soft"},
  };
  for (const auto& row : kRows) {
    const auto policy = parse_policy("p", row.text);
    if (row.printed.empty()) {
      EXPECT_FALSE(policy) << row.text;
      continue;
    }
    ASSERT_TRUE(policy) << row.text << ": " << policy.error();
    EXPECT_EQ(format_policy(*policy), row.printed);
    const auto again = parse_policy("p", format_policy(*policy));
    ASSERT_TRUE(again) << again.error();
    EXPECT_EQ(format_policy(*again), row.printed);
  }
}

TEST(LimitPolicyGrammar, RefusesEverythingElse) {
  for (const auto* text : {"",
                           "60",
                           "60/",
                           "/1m",
                           "0/1m",
                           "-1/1m",
                           "1000000001/1m",
                           "60/0",
                           "60/367d",
                           "60/minutes",
                           "60/minute",
                           "60/1m calendar_window",
                           "60 / 1m",
                           "60/1m burst",
                           "60/1m burst 0",
                           "60/1m burst ten",
                           "60/1m burst 1 burst 1",
                           "60/1m gcra sliding_window",
                           "60/1m strict soft",
                           "60/1m strict strict",
                           "60/1m fixed_window burst 5",
                           "10001/1m sliding_log",
                           "60/1m GCRA",
                           "60/1m\tstrict",
                           "60/1m fast"}) {
    EXPECT_FALSE(parse_policy("p", text)) << text;
  }
}

TEST(LimitPolicyGrammar, SaysWhatToWriteInstead) {
  EXPECT_EQ(parse_policy("p", "1000/day").error(),
            "minute, hour, day and month go with calendar_window; write 60/1m, or add "
            "calendar_window");
  EXPECT_EQ(parse_policy("p", "60/1m fixed_window burst 5").error(),
            "burst goes with gcra; fixed_window has none");
}

TEST(LimitPolicyGrammar, KeepsNamesToTheirAlphabet) {
  for (const std::string name : {"a", "chat.send", "v1-beta_2", "default"}) {
    EXPECT_TRUE(parse_policy(name, "1/1s")) << name;
  }
  for (const std::string name : {"", "Chat", "a b", "a:b", "a*"}) {
    EXPECT_FALSE(parse_policy(name, "1/1s")) << name;
  }
  EXPECT_TRUE(is_policy_name(std::string(64, 'a')));
  EXPECT_FALSE(is_policy_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace redoubt::config
