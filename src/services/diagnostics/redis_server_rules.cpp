#include "base/text.hpp"
#include "services/diagnostics/redis_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

namespace redoubt::diagnostics {
namespace {

using enum Severity;

constexpr std::int64_t kLagMax = 10;  // Seconds.
constexpr std::int64_t kSlots = 16'384;
constexpr std::size_t kSentinelsMin = 3;

using Version = std::tuple<std::int64_t, std::int64_t, std::int64_t>;

std::optional<Version> version_of(const RedisCase& c) {
  if (!c.facts.server.version) return std::nullopt;
  const auto parts = split(*c.facts.server.version, '.');
  const auto part = [&](std::size_t i) {
    return parts.size() > i ? parse_int(parts[i]).value_or(0) : 0;
  };
  if (part(0) == 0) return std::nullopt;
  return Version{part(0), part(1), part(2)};
}

RedisSeen too_old(const RedisCase& c) {
  const auto version = version_of(c);
  if (!version || *version >= Version{6, 2, 0}) return std::nullopt;
  return Seen{fmt::format("the server is version {}, older than 6.2", *c.facts.server.version)};
}

// CVE-2025-49844: the first release of each branch that has the repair.
RedisSeen lua_hole(const RedisCase& c) {
  const auto version = version_of(c);
  if (!version) return std::nullopt;
  constexpr std::array kRedis{Version{6, 2, 20}, Version{7, 2, 11}, Version{7, 4, 6},
                              Version{8, 0, 4}, Version{8, 2, 2}};
  constexpr std::array kValkey{Version{7, 2, 11}, Version{8, 0, 6}, Version{8, 1, 4}};
  const bool valkey = c.facts.server.product == "valkey";
  const std::span<const Version> repaired =
      valkey ? std::span<const Version>(kValkey) : std::span<const Version>(kRedis);
  if (*version >= repaired.back()) return std::nullopt;
  const auto [major, minor, patch] = *version;
  const bool good = std::ranges::any_of(repaired, [&](const Version& first) {
    return std::get<0>(first) == major && std::get<1>(first) == minor && *version >= first;
  });
  if (good) return std::nullopt;
  return Seen{
      fmt::format("version {} has a hole in its Lua engine (CVE-2025-49844), unless your "
                  "distribution has mended it",
                  *c.facts.server.version)};
}

RedisSeen replica(const RedisCase& c) {
  const auto& role = c.facts.server.role;
  if (!role || *role != "slave") return std::nullopt;
  return Seen{"the server is a replica"};
}

RedisSeen sentinel_itself(const RedisCase& c) {
  const bool seen = c.facts.server.mode == "sentinel" || c.facts.server.role == "sentinel";
  if (!seen) return std::nullopt;
  return Seen{"the address is that of a Sentinel, not of a Redis"};
}

// ---- Replication ----

RedisSeen no_replica(const RedisCase& c) {
  if (c.setup.topology != "sentinel" || c.facts.replication.replicas != 0) return std::nullopt;
  return Seen{"the master that the Sentinels name has no replica"};
}

RedisSeen replica_offline(const RedisCase& c) {
  const auto& replication = c.facts.replication;
  if (replication.master_link_up == false) return Seen{"its link to the master is down"};
  if (replication.replicas_offline.value_or(0) == 0) return std::nullopt;
  return Seen{fmt::format("{} of {} replicas are not in step", *replication.replicas_offline,
                          replication.replicas.value_or(0))};
}

RedisSeen replica_lag(const RedisCase& c) {
  const auto lag = c.facts.replication.worst_lag_seconds.value_or(0);
  if (lag <= kLagMax) return std::nullopt;
  return Seen{fmt::format("a replica is {} s behind", lag)};
}

RedisSeen min_replicas(const RedisCase& c) {
  if (c.setup.topology != "sentinel") return std::nullopt;
  if (c.facts.replication.replicas_to_write_min != 0) return std::nullopt;
  return Seen{"min-replicas-to-write is 0"};
}

RedisSeen few_sentinels(const RedisCase& c) {
  if (c.setup.topology != "sentinel" || c.setup.sentinels >= kSentinelsMin) return std::nullopt;
  return Seen{fmt::format("only {} Sentinel{} given", c.setup.sentinels,
                          c.setup.sentinels == 1 ? " is" : "s are")};
}

// ---- Cluster ----

RedisSeen cluster_down(const RedisCase& c) {
  if (c.facts.cluster.good.value_or(true)) return std::nullopt;
  return Seen{"the cluster says that its state is not ok"};
}

RedisSeen slots_missing(const RedisCase& c) {
  const auto assigned = c.facts.cluster.slots_assigned.value_or(kSlots);
  if (assigned >= kSlots) return std::nullopt;
  return Seen{fmt::format("{} of {} slots belong to no node", kSlots - assigned, kSlots)};
}

RedisSeen slots_failing(const RedisCase& c) {
  const auto failing = c.facts.cluster.slots_failing.value_or(0);
  if (failing == 0) return std::nullopt;
  return Seen{fmt::format("{} slots are on nodes that do not answer the others", failing)};
}

RedisSeen cluster_unsaid(const RedisCase& c) {
  const bool single = c.setup.topology == "standalone" || c.setup.topology == "sentinel";
  if (!single || !c.facts.cluster.enabled.value_or(false)) return std::nullopt;
  return Seen{"the server is a node of a cluster, and is used as a single server"};
}

// ---- Disk ----

RedisSeen not_persistent(const RedisCase& c) {
  const auto& disk = c.facts.persistence;
  if (disk.snapshots != false || disk.append_only != false) return std::nullopt;
  return Seen{"Redis writes nothing to disk"};
}

RedisSeen save_failed(const RedisCase& c) {
  if (c.facts.persistence.last_save_good.value_or(true)) return std::nullopt;
  return Seen{"the last snapshot could not be written"};
}

RedisSeen append_failed(const RedisCase& c) {
  if (c.facts.persistence.last_append_good.value_or(true)) return std::nullopt;
  return Seen{"the last write to the append-only file failed"};
}

RedisSeen writes_stopped(const RedisCase& c) {
  for (const shared::OperationTimes& one : c.facts.operations) {
    if (one.error.contains("MISCONF")) return Seen{"Redis refuses writes: " + one.error};
  }
  return std::nullopt;
}

RedisSeen stops_on_save_error(const RedisCase& c) {
  const auto& disk = c.facts.persistence;
  const bool seen =
      disk.snapshots.value_or(false) && disk.stops_writes_on_save_error.value_or(false);
  if (!seen) return std::nullopt;
  return Seen{"Redis will refuse writes whenever a snapshot fails"};
}

RedisSeen busy(const RedisCase& c) {
  for (const shared::OperationTimes& one : c.facts.operations) {
    if (one.error.starts_with("BUSY ")) return Seen{"a script has run for too long: " + one.error};
  }
  return std::nullopt;
}

constexpr std::array kRules{
    RedisRule{{"redis_too_old", warning, "The server is older than 6.2.",
               "Nothing is tested with it, and it gets no security repairs.",
               "upgrade to Redis 7 or later, or to Valkey"},
              too_old},
    RedisRule{{"redis_lua_hole", info, "The version has a known hole that scripts can use.",
               "Whoever may run scripts can run code in the server's process. Distributions mend "
               "it without a new number.",
               "upgrade to 6.2.20, 7.2.11, 7.4.6, 8.0.4, 8.2.2 (Valkey 7.2.11, 8.0.6, 8.1.4) or "
               "later; keep others from EVAL by ACL"},
              lua_hole},
    RedisRule{{"redis_replica", critical, "The server is a replica.",
               "It takes no writes, so it is not used.",
               "point REDIS_URL to the master, or name the Sentinels: REDIS_SENTINEL_HOSTS, "
               "REDIS_SENTINEL_MASTER"},
              replica},
    RedisRule{
        {"redis_is_sentinel", critical, "The address is a Sentinel's.", "A Sentinel keeps no keys.",
         "give it as REDIS_SENTINEL_HOSTS, with REDIS_SENTINEL_MASTER, in place of REDIS_URL"},
        sentinel_itself},
    RedisRule{{"redis_no_replica", warning, "Sentinels watch a master without a replica.",
               "When it fails there is nothing to fail over to.",
               "on another server: redis-cli REPLICAOF <master's host> <port>"},
              no_replica},
    RedisRule{{"redis_replica_offline", warning, "A replica is not in step with its master.",
               "A failover to it would lose what was written since; that costs misses and some "
               "counts of limits.",
               "redis-cli INFO replication on both, and their logs"},
              replica_offline},
    RedisRule{{"redis_replica_lag", warning, "A replica is more than 10 s behind.",
               "A failover to it would lose what was written since; that costs misses and some "
               "counts of limits.",
               "redis-cli INFO replication; look at the network and the replica's load"},
              replica_lag},
    RedisRule{{"redis_min_replicas", info, "A master that has lost its replicas goes on writing.",
               "After a partition two masters count limits until the old one is demoted.",
               "redis-cli CONFIG SET min-replicas-to-write 1, CONFIG SET min-replicas-max-lag 1, "
               "CONFIG REWRITE"},
              min_replicas},
    RedisRule{{"redis_few_sentinels", warning, "Fewer than three Sentinels are given.",
               "The master is followed by their majority; without one that answers, a failover is "
               "not seen.",
               "list three or more in REDIS_SENTINEL_HOSTS"},
              few_sentinels},
    RedisRule{
        {"redis_cluster_down", critical, "The cluster is not in order.", "It refuses commands.",
         "redis-cli --cluster check <node>, redis-cli --cluster fix <node>"},
        cluster_down},
    RedisRule{{"redis_slots_missing", critical, "Some slots belong to no node of the cluster.",
               "Tenants whose keys are in those slots work as if Redis were away.",
               "redis-cli --cluster fix <node>"},
              slots_missing},
    RedisRule{{"redis_slots_failing", warning, "Some slots are on nodes that seem to have failed.",
               "Tenants whose keys are in those slots may work as if Redis were away.",
               "redis-cli CLUSTER NODES: start the nodes marked fail, or fail over to replicas"},
              slots_failing},
    RedisRule{{"redis_cluster_unsaid", critical, "A node of a cluster is used as a single server.",
               "It refuses every key of another node.",
               "REDIS_CLUSTER_ENABLED=true, or all nodes in REDIS_CLUSTER_NODES"},
              cluster_unsaid},
    RedisRule{{"redis_not_persistent", info, "Redis keeps nothing over a restart.",
               "Nothing of ours is lost by that: the record has what matters. Copies are filled "
               "again.",
               "nothing, unless other programs keep data there: redis-cli CONFIG SET appendonly "
               "yes"},
              not_persistent},
    RedisRule{{"redis_save_failed", warning, "The last snapshot failed.",
               "The disk may be full; with stop-writes-on-bgsave-error Redis then refuses writes.",
               "free disk space, then redis-cli BGSAVE; the log of Redis has the cause"},
              save_failed},
    RedisRule{
        {"redis_append_failed", critical, "The append-only file cannot be written.",
         "Redis refuses writes until it can.", "free disk space; the log of Redis has the cause"},
        append_failed},
    RedisRule{{"redis_writes_stopped", critical, "Redis refuses writes because of its disk.",
               "Limits are counted per instance and no copy is stored.",
               "free disk space and redis-cli BGSAVE, or redis-cli CONFIG SET "
               "stop-writes-on-bgsave-error no"},
              writes_stopped},
    RedisRule{{"redis_stops_on_save_error", info, "A failed snapshot will stop writes.",
               "Nothing of ours needs the snapshots, and the full disk of Redis would stop us.",
               "redis-cli CONFIG SET stop-writes-on-bgsave-error no, if Redis is ours alone"},
              stops_on_save_error},
    RedisRule{{"redis_busy", critical, "A long script blocks Redis.",
               "Nothing is answered until it ends. None of our scripts runs long.",
               "redis-cli SCRIPT KILL, and find whose it is"},
              busy},
};

}  // namespace

std::span<const RedisRule> redis_server_rules() {
  return kRules;
}

}  // namespace redoubt::diagnostics
