#include "services/limits/policies.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

namespace redoubt::limits {
namespace {

constexpr std::int64_t kCountMax = 1'000'000'000;
constexpr Duration kPeriodMin{1};
constexpr Duration kPeriodMax{std::chrono::hours{24} * 366};

Unexpected refuse(const LimitPolicy& policy, std::string_view field, std::string_view detail) {
  return fail(invalid_argument(fmt::format("limits.{}.{}", policy.name, field), std::string(detail),
                               "range"));
}

bool is_name(std::string_view name) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= 64 &&
         name.find_first_not_of(kAlphabet) == std::string_view::npos;
}

Result<void> validate_burst(const LimitPolicy& policy) {
  if (policy.burst < 1 || policy.burst > kCountMax) {
    return refuse(policy, "burst", fmt::format("must be 1 to {}, got {}", kCountMax, policy.burst));
  }
  // In double: the refusal need not be exact to the millisecond, and cannot overflow.
  const double refill_ms = static_cast<double>(policy.burst) *
                           static_cast<double>(policy.period.count()) /
                           static_cast<double>(policy.limit);
  if (refill_ms > static_cast<double>(kRefillMax.count())) {
    return refuse(
        policy, "burst",
        fmt::format("of {} takes more than ten years to refill at {} per {}; lower it, or "
                    "raise the limit",
                    policy.burst, policy.limit, format_duration(policy.period)));
  }
  return {};
}

Result<void> validate(const LimitPolicy& policy) {
  if (!is_name(policy.name)) {
    return fail(
        invalid_argument("limits",
                         fmt::format("has a policy named '{}'; names are 1 to 64 of a-z 0-9 _ . -",
                                     policy.name.substr(0, 64)),
                         "format"));
  }
  if (policy.limit < 1 || policy.limit > kCountMax) {
    return refuse(policy, "limit", fmt::format("must be 1 to {}, got {}", kCountMax, policy.limit));
  }
  if (policy.algorithm == LimitAlgorithm::sliding_log && policy.limit > kSlidingLogLimitMax) {
    return refuse(policy, "limit",
                  fmt::format("of a sliding_log must be at most {}, since each admission is "
                              "remembered; use sliding_window for {}",
                              kSlidingLogLimitMax, policy.limit));
  }
  if (policy.algorithm == LimitAlgorithm::calendar_window) return {};
  if (policy.period < kPeriodMin || policy.period > kPeriodMax) {
    return refuse(policy, "period",
                  fmt::format("must be 1ms to 366d, got {}ms", policy.period.count()));
  }
  return policy.algorithm == LimitAlgorithm::gcra ? validate_burst(policy) : Result<void>{};
}

Counter& decisions(Metrics& metrics, const LimitPolicy& policy, std::string_view result) {
  return metrics.counter("redoubt_ratelimit_decisions_total",
                         "What each limit of a check said, by policy.",
                         {{"policy", policy.name}, {"result", result}});
}

}  // namespace

Result<void> validate_policies(std::span<const LimitPolicy> policies) {
  std::set<std::string_view> names;
  for (const LimitPolicy& policy : policies) {
    RD_CHECK(validate(policy));
    if (!names.insert(policy.name).second) {
      return refuse(policy, "name", "is the name of two policies; rename one");
    }
  }
  return {};
}

Policies::Policies(std::vector<LimitPolicy> policies, Metrics& metrics)
    : policies_(std::move(policies)) {
  entries_.reserve(policies_.size());
  for (const LimitPolicy& policy : policies_) {
    const local::LimitRule rule = local::make_limit_rule(policy);
    entries_.push_back({.policy = &policy,
                        .rule = rule,
                        .identity = fmt::format("{:016x}", rule.identity.hi),
                        .allowed = &decisions(metrics, policy, "allowed"),
                        .denied = &decisions(metrics, policy, "denied"),
                        .failed = &decisions(metrics, policy, "error")});
  }
  std::ranges::sort(entries_, {},
                    [](const Entry& e) -> std::string_view { return e.policy->name; });
}

const Policies::Entry* Policies::find(std::string_view name) const {
  const auto it = std::ranges::lower_bound(
      entries_, name, {}, [](const Entry& e) -> std::string_view { return e.policy->name; });
  return it != entries_.end() && it->policy->name == name ? &*it : nullptr;
}

std::string_view Policies::nearest_name(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const LimitPolicy& policy : policies_) names.push_back(policy.name);
  return nearest(name, names);
}

}  // namespace redoubt::limits
