// The configured policies: checked once, found by name.
#pragma once

#include "base/metrics.hpp"
#include "local/limit_algorithms.hpp"

#include <redoubt/limits.hpp>
#include <redoubt/result.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::limits {

// Filling a burst from empty may take no longer; beyond it the limit is a different one than meant.
inline constexpr Duration kRefillMax{std::chrono::hours{24} * 3653};
inline constexpr std::int64_t kSlidingLogLimitMax = 10'000;

// Errors: invalid_argument that names the policy and the field, with what to write instead.
Result<void> validate_policies(std::span<const LimitPolicy> policies);

class Policies {
 public:
  // REQUIRES: validate_policies(policies).
  Policies(std::vector<LimitPolicy> policies, Metrics& metrics);

  struct Entry {
    const LimitPolicy* policy;
    local::LimitRule rule;
    std::string identity;  // Of the rule, as text.
    Counter* allowed;
    Counter* denied;
    Counter* failed;
  };

  const Entry* find(std::string_view name) const;
  std::span<const LimitPolicy> all() const { return policies_; }
  std::string_view nearest_name(std::string_view name) const;  // "" when none is near.

 private:
  std::vector<LimitPolicy> policies_;  // In the order of the configuration.
  std::vector<Entry> entries_;         // In the order of the names.
};

}  // namespace redoubt::limits
