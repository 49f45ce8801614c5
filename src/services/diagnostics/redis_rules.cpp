#include "services/diagnostics/redis_rules.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace redoubt::diagnostics {
namespace {

constexpr std::array<std::string_view, 6> kPerformance{
    "redis_ping_slow", "redis_operations_late", "redis_operations_slow", "redis_hit_ratio",
    "redis_busy",      "redis_timeout_long"};
constexpr std::array<std::string_view, 6> kPool{
    "redis_many_clients",    "redis_clients_near_limit",  "redis_connections_rejected",
    "redis_clients_blocked", "redis_pool_setting_unused", "redis_idle_timeout"};
constexpr std::array<std::string_view, 5> kDisk{"redis_not_persistent", "redis_save_failed",
                                                "redis_append_failed", "redis_writes_stopped",
                                                "redis_stops_on_save_error"};

bool is_among(std::span<const std::string_view> codes, std::string_view code) {
  return std::ranges::find(codes, code) != codes.end();
}

void examine(std::span<const RedisRule> rules, std::string_view section, const RedisCase& one,
             std::vector<Finding>& out) {
  std::vector<Finding> found;
  apply(rules, one, found);
  for (Finding& finding : found) {
    finding.section = is_among(kPerformance, finding.code) ? "performance"
                      : is_among(kPool, finding.code)      ? "connection-pool"
                      : is_among(kDisk, finding.code)      ? "operational"
                                                           : section;
    out.push_back(std::move(finding));
  }
}

}  // namespace

std::vector<Finding> examine_redis(const RedisSetup& setup, const shared::RedisFacts& facts) {
  const RedisCase one{setup, facts};
  std::vector<Finding> findings;
  examine(redis_access_rules(), "connectivity", one, findings);
  examine(redis_server_rules(), "server-info", one, findings);
  examine(redis_memory_rules(), "operational", one, findings);
  examine(redis_behaviour_rules(), "connectivity", one, findings);  // What is left: the clock.
  sort_findings(findings);
  return findings;
}

}  // namespace redoubt::diagnostics
