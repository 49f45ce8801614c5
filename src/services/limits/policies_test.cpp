#include "services/limits/policies.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace redoubt::limits {
namespace {

std::string refusal_of(const std::function<void(LimitPolicy&)>& change) {
  LimitPolicy policy;
  policy.name = "login";
  change(policy);
  const auto checked = validate_policies({&policy, 1});
  return checked ? "" : checked.error().message;
}

TEST(LimitPolicies, ADefaultPolicyWithANameIsGood) {
  EXPECT_EQ(refusal_of([](LimitPolicy&) {}), "");
}

TEST(LimitPolicies, EachRefusalNamesThePolicyAndTheField) {
  struct Case {
    std::function<void(LimitPolicy&)> change;
    std::string_view begins;
  };
  const std::vector<Case> cases{
      {[](LimitPolicy& p) { p.limit = 0; }, "limits.login.limit must be 1 to 1000000000, got 0"},
      {[](LimitPolicy& p) { p.limit = 1'000'000'001; }, "limits.login.limit must be"},
      {[](LimitPolicy& p) { p.period = Duration(0); }, "limits.login.period must be 1ms to 366d"},
      {[](LimitPolicy& p) { p.period = Duration(366LL * 86'400'000 + 1); }, "limits.login.period"},
      {[](LimitPolicy& p) { p.burst = 0; }, "limits.login.burst must be 1 to 1000000000, got 0"},
      {[](LimitPolicy& p) {
         p.limit = 1;
         p.period = Duration(366LL * 86'400'000);
       },
       "limits.login.burst of 10 takes more than ten years to refill at 1 per 366d"},
      {[](LimitPolicy& p) {
         p.algorithm = LimitAlgorithm::sliding_log;
         p.limit = 10'001;
       },
       "limits.login.limit of a sliding_log must be at most 10000"},
      {[](LimitPolicy& p) { p.name = ""; }, "limits has a policy named ''"},
      {[](LimitPolicy& p) { p.name = "Login"; }, "limits has a policy named 'Login'"},
      {[](LimitPolicy& p) { p.name = std::string(65, 'a'); }, "limits has a policy named 'aaa"},
  };
  for (const Case& c : cases) {
    const std::string message = refusal_of(c.change);
    EXPECT_TRUE(message.starts_with(c.begins)) << message << "\nshould begin " << c.begins;
  }
}

TEST(LimitPolicies, WhatAnAlgorithmDoesNotUseIsNotChecked) {
  EXPECT_EQ(refusal_of([](LimitPolicy& p) {
              p.algorithm = LimitAlgorithm::calendar_window;
              p.period = Duration(0);
              p.burst = 0;
            }),
            "");
  EXPECT_EQ(refusal_of([](LimitPolicy& p) {
              p.algorithm = LimitAlgorithm::fixed_window;
              p.burst = 0;
            }),
            "");
}

TEST(LimitPolicies, TwoOfOneNameAreRefused) {
  std::vector<LimitPolicy> policies(2);
  policies[0].name = policies[1].name = "login";

  const auto checked = validate_policies(policies);

  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, "limits.login.name is the name of two policies; rename one");
}

TEST(LimitPolicies, AreFoundByNameAndListedAsConfigured) {
  std::vector<LimitPolicy> configured(3);
  configured[0].name = "zeta";
  configured[1].name = "alpha";
  configured[2].name = "login";
  Metrics metrics;
  const Policies policies(configured, metrics);

  EXPECT_EQ(policies.all()[0].name, "zeta");
  EXPECT_EQ(policies.find("alpha")->policy, &policies.all()[1]);
  EXPECT_EQ(policies.find("alph"), nullptr);
  EXPECT_EQ(policies.find(""), nullptr);
  EXPECT_EQ(policies.nearest_name("logni"), "login");
}

}  // namespace
}  // namespace redoubt::limits
