// Diagnostics: what is wrong with the Redis in use, or soon will be, and the command that mends it.
//
// Unlike Health this asks: every call makes a connection of its own to Redis, tries what the server
// does with it, and reads what it says of itself. What a managed service does not tell stays empty
// and is no finding. docs/doctor.md lists every code.
//
// Threads: the worker's own. Cost: about a hundred round trips; for people and scripts, not for
// probes. Passwords are not read; clients are counted and nothing else.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

enum class Severity : std::uint8_t {
  info,      // Worth knowing; nothing is wrong.
  warning,   // Works, and is slower, weaker or less safe than it should be.
  critical,  // Does not work, or lets others in.
};
constexpr std::string_view severity_name(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::critical:
      break;
  }
  return "critical";
}

struct Finding {
  std::string code;  // "redis_replica": stable, for scripts.
  Severity severity = Severity::info;
  std::string what;  // What was found, with its figures.
  std::string why;   // Why it matters to this program.
  std::string mend;  // The command or setting.
  // What it is about: "connectivity", "performance", "server-info", "connection-pool",
  // "operational"; beyond Redis "record" and "host".
  std::string section;
};

struct RedisConnectivity {
  bool connected = false;
  std::string error;     // Why not; empty when connected.
  std::string topology;  // "standalone", "sentinel", "cluster", "rest"
  bool tls = false;
  bool tls_verified = false;
  std::optional<double> ping_ms;               // The median.
  std::optional<std::int64_t> clock_ahead_ms;  // Of Redis' clock before ours; negative: behind.
};

struct RedisOperationTime {
  std::string operation;  // "PING", "SET", "GET", "EVAL", "DEL"
  bool works = false;
  std::string error;
  std::int64_t count = 0;
  double median_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

struct RedisPerformance {
  std::vector<RedisOperationTime> operations;
  std::optional<std::int64_t> operations_per_second;
  std::optional<double> hit_ratio;  // 0 to 1, of everybody's reads since the server started.
  std::optional<std::int64_t> hits;
  std::optional<std::int64_t> misses;
};

struct RedisServerInfo {
  std::optional<std::string> product;  // "redis", "valkey"
  std::optional<std::string> version;
  std::optional<std::string> mode;
  std::optional<std::string> role;
  std::optional<std::int64_t> uptime_seconds;
  std::optional<std::int64_t> replicas;
  std::optional<bool> cluster_ok;
};

struct RedisPool {
  std::string model;  // What stands in place of a pool, in words.
  std::int64_t connections_per_worker = 1;
  std::int64_t commands_in_flight = 0;  // Of the worker that answers, as are those below.
  std::int64_t commands_sent = 0;
  std::int64_t unknown_outcomes = 0;
  std::int64_t connects = 0;
  std::optional<std::int64_t> connections_ours;  // Of all instances, as Redis counts them.
  std::optional<std::int64_t> clients;           // Of everybody.
  std::optional<std::int64_t> clients_max;
  std::optional<std::int64_t> clients_blocked;
  std::optional<std::int64_t> connections_rejected;
};

struct RedisOperational {
  std::optional<std::int64_t> memory_used_bytes;
  std::optional<std::int64_t> memory_max_bytes;  // 0: unbounded.
  std::optional<double> memory_used_ratio;       // Of the bound.
  std::optional<double> memory_fragmentation_ratio;
  std::optional<std::string> eviction_policy;
  std::optional<std::int64_t> evicted_keys;
  std::optional<std::int64_t> expired_keys;
  std::optional<std::int64_t> keys;
  std::optional<bool> snapshots;
  std::optional<bool> append_only;
  std::optional<bool> last_save_ok;
  std::optional<std::int64_t> replicas_to_write_min;
};

struct RedisDiagnosis {
  std::string status;   // "connected", "disconnected", "not_configured"
  std::string state;    // As /status has it: "normal", "degraded", "recovering", "down", ...
  std::string verdict;  // "ok", "warning", "critical": the worst finding, information apart.
  std::string message;
  WallTime since;  // When it entered this state.
  WallTime checked_at;
  std::vector<Finding> findings;  // The worst first.
  RedisConnectivity connectivity;
  RedisPerformance performance;
  RedisServerInfo server_info;
  RedisPool connection_pool;
  RedisOperational operational;
};

class Diagnostics {
 public:
  virtual ~Diagnostics() = default;
  // Never fails on account of Redis: that it cannot be reached is a finding.
  // Errors: unavailable "diagnosis_running": another one of this worker is not over.
  virtual Task<RedisDiagnosis> redis(const Context& context) = 0;
};

}  // namespace redoubt
