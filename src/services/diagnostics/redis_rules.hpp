// What is wrong with a Redis, from its facts, how it was set up here, and what it is used for.
// Pure functions.
#pragma once

#include "services/diagnostics/reach.hpp"
#include "services/diagnostics/rule.hpp"
#include "shared/redis_facts.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace redoubt::diagnostics {

struct RedisSetup {
  std::string topology = "standalone";  // "sentinel", "cluster", "rest"
  Reach reach = Reach::loopback;        // Of the farthest of its addresses.
  bool tls = false;                     // rediss://, or https:// of a REST address.
  bool tls_verified = true;
  bool password = false;  // Or a token.
  std::string user;       // Of the account; empty: "default".
  std::size_t sentinels = 0;
  Duration operation_timeout{50};
  Duration idle_ping{1'000};
  std::string unused_pool_setting;  // A name that was given and means nothing here; empty: none.
  std::string record;               // The identity of ours; empty: not known.
  bool limits = true;               // Soft limits are counted in it.
  bool copies = true;               // Copies of the cache are kept in it.
};

struct RedisCase {
  const RedisSetup& setup;
  const shared::RedisFacts& facts;
};

using RedisRule = Rule<RedisCase>;
using RedisSeen = std::optional<Seen>;

std::span<const RedisRule> redis_access_rules();     // Reaching it, rights, who else can.
std::span<const RedisRule> redis_server_rules();     // Version, role, replicas, cluster, disk.
std::span<const RedisRule> redis_memory_rules();     // Memory and what is evicted.
std::span<const RedisRule> redis_behaviour_rules();  // Times, clients, clock, our own settings.

// The worst first.
std::vector<Finding> examine_redis(const RedisSetup& setup, const shared::RedisFacts& facts);

}  // namespace redoubt::diagnostics
