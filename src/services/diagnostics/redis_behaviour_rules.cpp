#include "services/diagnostics/redis_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>

namespace redoubt::diagnostics {
namespace {

using enum Severity;
using std::chrono::microseconds;

constexpr microseconds kPingMax{1'000'000};
constexpr std::int64_t kClientsMany = 100;
constexpr double kClientsNearLimit = 0.8;
constexpr std::int64_t kRequestsToJudge = 100;
constexpr double kHitRatioMin = 0.8;
constexpr Duration kSkewNoted{1'000};
constexpr Duration kSkewWrong{5'000};
constexpr Duration kTimeoutLong{1'000};

double milliseconds(microseconds d) {
  return static_cast<double>(d.count()) / 1000;
}

RedisSeen ping_slow(const RedisCase& c) {
  const auto* const ping = c.facts.operation("PING");
  if (ping == nullptr || ping->count == 0 || ping->median <= kPingMax) return std::nullopt;
  return Seen{fmt::format("PING takes {:.0f} ms", milliseconds(ping->median))};
}

// The slowest of those that requests wait for.
const shared::OperationTimes* slowest(const RedisCase& c) {
  const shared::OperationTimes* found = nullptr;
  for (const shared::OperationTimes& one : c.facts.operations) {
    if (one.count > 0 && (found == nullptr || one.p99 > found->p99)) found = &one;
  }
  return found;
}

RedisSeen operations_late(const RedisCase& c) {
  const auto* const one = slowest(c);
  if (one == nullptr || one->median <= c.setup.operation_timeout) return std::nullopt;
  return Seen{fmt::format("{} takes {:.1f} ms, and {} ms are allowed (median of {})", one->name,
                          milliseconds(one->median), c.setup.operation_timeout.count(),
                          one->count)};
}

RedisSeen operations_slow(const RedisCase& c) {
  const auto* const one = slowest(c);
  if (one == nullptr || operations_late(c)) return std::nullopt;
  if (one->p99 * 2 <= c.setup.operation_timeout) return std::nullopt;
  return Seen{fmt::format("{} takes up to {:.1f} ms, and {} ms are allowed (p99 of {})", one->name,
                          milliseconds(one->p99), c.setup.operation_timeout.count(), one->count)};
}

// ---- Clients ----

RedisSeen many_clients(const RedisCase& c) {
  const auto clients = c.facts.clients.connected.value_or(0);
  if (clients <= kClientsMany) return std::nullopt;
  const auto& ours = c.facts.clients.ours;
  return Seen{ours ? fmt::format("{} clients are connected, {} of them ours", clients, *ours)
                   : fmt::format("{} clients are connected", clients)};
}

RedisSeen near_limit(const RedisCase& c) {
  const auto clients = c.facts.clients.connected.value_or(0);
  const auto limit = c.facts.clients.connected_max.value_or(0);
  if (limit <= 0 || static_cast<double>(clients) < kClientsNearLimit * static_cast<double>(limit)) {
    return std::nullopt;
  }
  return Seen{fmt::format("{} of at most {} clients are connected", clients, limit),
              fmt::format("redis-cli CONFIG SET maxclients {}", limit * 2)};
}

RedisSeen rejected(const RedisCase& c) {
  const auto count = c.facts.clients.rejected.value_or(0);
  if (count == 0) return std::nullopt;
  return Seen{fmt::format("{} connections were rejected since the server started", count)};
}

RedisSeen blocked(const RedisCase& c) {
  const auto count = c.facts.clients.blocked.value_or(0);
  if (count == 0) return std::nullopt;
  return Seen{
      fmt::format("{} client{} in a blocking command", count, count == 1 ? " waits" : "s wait")};
}

RedisSeen hit_ratio(const RedisCase& c) {
  const double hits = static_cast<double>(c.facts.use.hits.value_or(0));
  const double all = hits + static_cast<double>(c.facts.use.misses.value_or(0));
  if (all <= kRequestsToJudge || hits / all >= kHitRatioMin) return std::nullopt;
  return Seen{fmt::format("{:.0f} % of {:.0f} reads found their key", hits / all * 100, all)};
}

// ---- Clock ----

RedisSeen clock_wrong(const RedisCase& c) {
  const auto& ahead = c.facts.clock_ahead;
  if (!ahead || std::chrono::abs(*ahead) <= kSkewWrong) return std::nullopt;
  return Seen{fmt::format("the clock of Redis is {:.1f} s {} ours",
                          static_cast<double>(std::abs(ahead->count())) / 1000,
                          ahead->count() > 0 ? "before" : "behind")};
}

RedisSeen clock_skew(const RedisCase& c) {
  const auto& ahead = c.facts.clock_ahead;
  if (!ahead || clock_wrong(c) || std::chrono::abs(*ahead) <= kSkewNoted) return std::nullopt;
  return Seen{fmt::format("the clock of Redis is {:.1f} s {} ours",
                          static_cast<double>(std::abs(ahead->count())) / 1000,
                          ahead->count() > 0 ? "before" : "behind")};
}

// ---- Settings of our own, and Redis' against them ----

RedisSeen timeout_long(const RedisCase& c) {
  if (c.setup.operation_timeout <= kTimeoutLong) return std::nullopt;
  return Seen{fmt::format("a Redis command may take {} ms", c.setup.operation_timeout.count())};
}

RedisSeen pool_unused(const RedisCase& c) {
  if (c.setup.unused_pool_setting.empty()) return std::nullopt;
  return Seen{c.setup.unused_pool_setting + " is given and changes nothing"};
}

RedisSeen idle_timeout(const RedisCase& c) {
  const std::chrono::seconds idle(c.facts.clients.idle_timeout_seconds.value_or(0));
  if (idle.count() <= 0 || idle > c.setup.idle_ping * 2) return std::nullopt;
  return Seen{
      fmt::format("Redis closes connections that are idle for {} s, and ours are used every "
                  "{} ms at least",
                  idle.count(), c.setup.idle_ping.count())};
}

constexpr std::array kRules{
    RedisRule{{"redis_ping_slow", warning, "PING takes more than 1000 ms.",
               "Every use of Redis is past its deadline: it is as good as away.",
               "redis-cli --latency from this machine; redis-cli SLOWLOG GET"},
              ping_slow},
    RedisRule{{"redis_operations_late", critical, "Operations take longer than they may.",
               "Requests wait for the whole of REDIS_SOCKET_TIMEOUT and then go on without Redis.",
               "a Redis that is nearer, or REDIS_SOCKET_TIMEOUT=<twice what it takes>"},
              operations_late},
    RedisRule{{"redis_operations_slow", warning,
               "The slowest operations take more than half of what they may.",
               "A little more load, and requests go on without Redis.",
               "redis-cli --latency-history from this machine; redis-cli SLOWLOG GET; redis-cli "
               "--intrinsic-latency 10 on the server"},
              operations_slow},
    RedisRule{
        {"redis_many_clients", warning, "More than 100 clients are connected.",
         "A worker has a connection or two to each server: more are other programs' or leaks.",
         "redis-cli CLIENT LIST: look for names and addresses that repeat"},
        many_clients},
    RedisRule{{"redis_clients_near_limit", warning, "More than 80 % of maxclients are connected.",
               "Soon connections are rejected, ours among them.",
               "redis-cli CONFIG SET maxclients <more>"},
              near_limit},
    RedisRule{{"redis_connections_rejected", warning, "Connections were rejected.",
               "maxclients was reached; a worker that cannot connect works without Redis.",
               "redis-cli CONFIG SET maxclients <more>; CONFIG RESETSTAT starts the count anew"},
              rejected},
    RedisRule{
        {"redis_clients_blocked", info, "Clients wait in blocking commands.",
         "None of ours does: another program uses this Redis.", "redis-cli CLIENT LIST, flag b"},
        blocked},
    RedisRule{{"redis_hit_ratio", warning, "Less than 80 % of more than 100 reads found their key.",
               "Copies live too short, are evicted, or are asked for once only.",
               "redis-cli INFO stats (evicted_keys, expired_keys); longer TTLs: CACHE_DEFAULT_TTL; "
               "CONFIG RESETSTAT starts the count anew"},
              hit_ratio},
    RedisRule{{"redis_clock_wrong", critical,
               "The clocks of Redis and of this machine differ by "
               "more than 5 s.",
               "Limits are decided by the clock of Redis, and times in answers are wrong by the "
               "difference.",
               "chronyc makestep (or timedatectl set-ntp true) on both machines"},
              clock_wrong},
    RedisRule{{"redis_clock_skew", warning,
               "The clocks of Redis and of this machine differ by more "
               "than 1 s.",
               "Limits are decided by the clock of Redis: Retry-After is wrong by the difference.",
               "timedatectl set-ntp true on both machines"},
              clock_skew},
    RedisRule{{"redis_timeout_long", warning, "A Redis command may take more than 1 s.",
               "When Redis hangs, every request that uses it waits that long before it goes on "
               "without.",
               "REDIS_SOCKET_TIMEOUT=50ms"},
              timeout_long},
    RedisRule{
        {"redis_pool_setting_unused", info, "A pool size is given.",
         "There is no pool: a worker has one connection to each server, for everything.",
         "unset REDIS_MAX_CONNECTIONS and REDIS_MAX_POOL_SIZE; REDOUBT_WORKER_THREADS decides "
         "how many connections there are"},
        pool_unused},
    RedisRule{{"redis_idle_timeout", warning,
               "Redis closes idle connections about as often as we "
               "use them.",
               "Connections are made again and again, and commands on the way are lost.",
               "redis-cli CONFIG SET timeout 0, CONFIG REWRITE"},
              idle_timeout},
};

}  // namespace

std::span<const RedisRule> redis_behaviour_rules() {
  return kRules;
}

}  // namespace redoubt::diagnostics
