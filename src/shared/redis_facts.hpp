// What a Redis says of itself, and how it does with real operations: gathered by inspect()
// (inspection.hpp), judged by the diagnostics.
//
// Whatever a server does not tell is empty: managed services refuse INFO, CONFIG or ACL in part,
// and that is no fault. No field holds a password, or the address of a client.
//
// Threads: plain data.
#pragma once

#include <redoubt/clock.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::shared {

// One kind of real operation, done several times in a row on a key of its own.
struct OperationTimes {
  std::string name;   // "PING", "SET", "GET", "EVAL", "DEL"
  std::string error;  // Redis' own words, or ours; empty: all of them worked.
  int count = 0;      // That worked.
  std::chrono::microseconds median{0};
  std::chrono::microseconds p99{0};
  std::chrono::microseconds longest{0};
};

struct RedisServerFacts {
  std::optional<std::string> product;  // "redis", "valkey"
  std::optional<std::string> version;
  std::optional<std::string> mode;  // "standalone", "cluster", "sentinel"
  std::optional<std::string> role;  // "master", "slave"
  std::optional<std::int64_t> uptime_seconds;
  std::optional<bool> loading;
};

struct RedisMemoryFacts {
  std::optional<std::int64_t> used_bytes;
  std::optional<std::int64_t> max_bytes;  // 0: unbounded.
  std::optional<std::int64_t> machine_bytes;
  std::optional<double> fragmentation;
  std::optional<std::string> policy;
};

struct RedisClientFacts {
  std::optional<std::int64_t> connected;
  std::optional<std::int64_t> connected_max;
  std::optional<std::int64_t> blocked;
  std::optional<std::int64_t> ours;  // Of any instance of this program, by the name they give.
  std::optional<std::int64_t> rejected;
  std::optional<std::int64_t> idle_timeout_seconds;  // 0: never closed for being idle.
};

struct RedisUseFacts {
  std::optional<std::int64_t> hits;
  std::optional<std::int64_t> misses;
  std::optional<std::int64_t> evicted_keys;
  std::optional<std::int64_t> expired_keys;
  std::optional<std::int64_t> operations_per_second;
  std::optional<std::int64_t> keys;          // Of our database.
  std::optional<std::int64_t> keys_looked;   // Names that were looked at, a sample;
  std::optional<std::int64_t> keys_foreign;  // and of them, no names of ours.
};

struct RedisPersistenceFacts {
  std::optional<bool> snapshots;  // "save" is set.
  std::optional<bool> append_only;
  std::optional<bool> last_save_good;
  std::optional<bool> last_append_good;
  std::optional<bool> stops_writes_on_save_error;
};

struct RedisReplicationFacts {
  std::optional<std::int64_t> replicas;
  std::optional<std::int64_t> replicas_offline;
  std::optional<std::int64_t> worst_lag_seconds;
  std::optional<bool> master_link_up;  // Of a replica.
  std::optional<std::int64_t> replicas_to_write_min;
};

struct RedisClusterFacts {
  std::optional<bool> enabled;
  std::optional<bool> good;
  std::optional<std::int64_t> slots_assigned;
  std::optional<std::int64_t> slots_failing;
};

struct RedisExposureFacts {
  std::optional<bool> protected_mode;
  std::optional<bool> only_loopback;  // "bind" names nothing else.
  std::optional<std::string> account;
  std::optional<bool> account_all_rights;   // +@all ~*
  std::optional<bool> default_no_password;  // The user "default" is on and needs none.
};

struct RedisFacts {
  bool reached = false;  // A connection was made and used. Else all below is empty, but for:
  std::string trouble;   // why not.
  RedisServerFacts server;
  RedisMemoryFacts memory;
  RedisClientFacts clients;
  RedisUseFacts use;
  RedisPersistenceFacts persistence;
  RedisReplicationFacts replication;
  RedisClusterFacts cluster;
  RedisExposureFacts exposure;
  std::vector<OperationTimes> operations;
  std::vector<std::string> denied_commands;  // That we need, and may not use.
  bool denied_keys = false;                  // Keys under rd: are not ours to use.
  bool denied_channels = false;              // Nor channels.
  std::optional<bool> tracks;                // It tells of changes to what was read.
  std::optional<Duration> clock_ahead;       // Of the server's clock before ours.
  std::optional<std::string> mark;           // rd:inc: whose it is (incarnation.hpp).

  const OperationTimes* operation(std::string_view name) const;  // Null: not tried.
};

}  // namespace redoubt::shared
