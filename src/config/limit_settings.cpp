#include "config/setting.hpp"

#include <chrono>

namespace redoubt::config {

// Named limits (`[limits.<name>]`, REDOUBT_LIMIT_<NAME>) are not rows: load.cpp reads them with the
// grammar of limit_policy.hpp.
std::vector<Setting> limit_settings() {
  using namespace std::chrono_literals;
  const auto limit = [](auto field) { return at(&Config::limits, field); };
  return {
      boolean_setting(
          {"limits.enabled",
           {"RATE_LIMIT_ENABLED"},
           "Whether the server itself limits what names no limit, a forwarded request of a "
           "proxy, by the policy \"default\". Checks that a caller asks for are "
           "decided either way."},
          limit(&LimitSettings::enabled)),
      integer_setting({"limits.requests_per_minute",
                       {"RATE_LIMIT_REQUESTS_PER_MINUTE"},
                       "The rate of the policy \"default\"."},
                      1, 1'000'000'000, limit(&LimitSettings::requests_per_minute)),
      integer_setting({"limits.burst_size",
                       {"RATE_LIMIT_BURST_SIZE"},
                       "How many requests the policy \"default\" admits at once."},
                      1, 1'000'000'000, limit(&LimitSettings::burst_size)),
      duration_setting(
          {"limits.window",
           {"REDIS_RATE_LIMIT_WINDOW"},
           "Makes the policy \"default\" a sliding window of this length at the same "
           "rate: 60 a minute and 1h are 3600 in any hour. 0: no window; rate and burst "
           "(GCRA) decide."},
          0s, 24h * 366, limit(&LimitSettings::window)),
  };
}

}  // namespace redoubt::config
