#include "services/diagnostics/service.hpp"

#include <utility>

namespace redoubt::diagnostics {
namespace {

double milliseconds(std::chrono::microseconds d) {
  return static_cast<double>(d.count()) / 1000;
}

RedisConnectivity connectivity_of(const RedisSetup& setup, const shared::RedisFacts& facts) {
  RedisConnectivity out;
  out.connected = facts.reached;
  out.error = facts.trouble;
  out.topology = setup.topology;
  out.tls = setup.tls;
  out.tls_verified = setup.tls && setup.tls_verified;
  const auto* const ping = facts.operation("PING");
  if (ping != nullptr && ping->count > 0) out.ping_ms = milliseconds(ping->median);
  if (facts.clock_ahead) out.clock_ahead_ms = facts.clock_ahead->count();
  return out;
}

RedisPerformance performance_of(const shared::RedisFacts& facts) {
  RedisPerformance out;
  for (const shared::OperationTimes& one : facts.operations) {
    out.operations.push_back({.operation = one.name,
                              .works = one.error.empty(),
                              .error = one.error,
                              .count = one.count,
                              .median_ms = milliseconds(one.median),
                              .p99_ms = milliseconds(one.p99),
                              .max_ms = milliseconds(one.longest)});
  }
  out.operations_per_second = facts.use.operations_per_second;
  out.hits = facts.use.hits;
  out.misses = facts.use.misses;
  const std::int64_t all = out.hits.value_or(0) + out.misses.value_or(0);
  if (all > 0) out.hit_ratio = static_cast<double>(out.hits.value_or(0)) / static_cast<double>(all);
  return out;
}

RedisServerInfo server_info_of(const shared::RedisFacts& facts) {
  return {.product = facts.server.product,
          .version = facts.server.version,
          .mode = facts.server.mode,
          .role = facts.server.role,
          .uptime_seconds = facts.server.uptime_seconds,
          .replicas = facts.replication.replicas,
          .cluster_ok = facts.cluster.good};
}

void add_clients(const shared::RedisClientFacts& clients, RedisPool& out) {
  out.connections_ours = clients.ours;
  out.clients = clients.connected;
  out.clients_max = clients.connected_max;
  out.clients_blocked = clients.blocked;
  out.connections_rejected = clients.rejected;
}

RedisOperational operational_of(const shared::RedisFacts& facts) {
  RedisOperational out;
  out.memory_used_bytes = facts.memory.used_bytes;
  out.memory_max_bytes = facts.memory.max_bytes;
  if (facts.memory.used_bytes && facts.memory.max_bytes.value_or(0) > 0) {
    out.memory_used_ratio = static_cast<double>(*facts.memory.used_bytes) /
                            static_cast<double>(*facts.memory.max_bytes);
  }
  out.memory_fragmentation_ratio = facts.memory.fragmentation;
  out.eviction_policy = facts.memory.policy;
  out.evicted_keys = facts.use.evicted_keys;
  out.expired_keys = facts.use.expired_keys;
  out.keys = facts.use.keys;
  out.snapshots = facts.persistence.snapshots;
  out.append_only = facts.persistence.append_only;
  out.last_save_ok = facts.persistence.last_save_good;
  out.replicas_to_write_min = facts.replication.replicas_to_write_min;
  return out;
}

class DiagnosticsService final : public Diagnostics {
 public:
  explicit DiagnosticsService(DiagnosticsParts parts)
      : parts_(std::move(parts)), born_(parts_.clock.wall()) {}

  Task<RedisDiagnosis> redis(const Context&) override {
    const std::optional<RedisSetup> setup = parts_.setup ? parts_.setup() : std::nullopt;
    if (!setup) co_return none();
    if (running_) {
      co_return fail(unavailable(
          "diagnosis_running", "A diagnosis of Redis is running already; its result is the same."));
    }
    const Running running(running_);
    const shared::RedisFacts facts = co_await parts_.inspect();
    co_return diagnosis(*setup, facts);
  }

 private:
  // However the diagnosis ends.
  class Running {
   public:
    explicit Running(bool& flag) : flag_(flag) { flag_ = true; }
    ~Running() { flag_ = false; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    bool& flag_;
  };

  RedisDiagnosis none() const {
    RedisDiagnosis out;
    out.status = "not_configured";
    out.state = out.status;
    out.verdict = "ok";
    out.message =
        "no Redis is configured: sessions and strict limits are in the record, caches and limits "
        "in memory";
    out.since = born_;
    out.checked_at = parts_.clock.wall();
    return out;
  }

  RedisDiagnosis diagnosis(const RedisSetup& setup, const shared::RedisFacts& facts) const {
    RedisDiagnosis out;
    if (parts_.pool) out.connection_pool = parts_.pool();
    describe_redis(setup, facts, out);
    if (parts_.state != nullptr) {
      const shared::SharedStatus status = parts_.state->status();
      out.state = status.off ? "not_configured" : state_word(status.state);
      out.since = status.since;
      if (!status.reason.empty()) out.message = "Redis is not used normally: " + status.reason;
    }
    out.checked_at = parts_.clock.wall();
    return out;
  }

  const DiagnosticsParts parts_;
  const WallTime born_;
  bool running_ = false;
};

}  // namespace

void describe_redis(const RedisSetup& setup, const shared::RedisFacts& facts, RedisDiagnosis& out) {
  out.status = facts.reached ? "connected" : "disconnected";
  out.state = facts.reached ? "normal" : "down";
  out.findings = examine_redis(setup, facts);
  out.verdict = verdict_of(out.findings);
  out.connectivity = connectivity_of(setup, facts);
  out.performance = performance_of(facts);
  out.server_info = server_info_of(facts);
  add_clients(facts.clients, out.connection_pool);
  out.operational = operational_of(facts);
}

std::unique_ptr<Diagnostics> make_diagnostics(DiagnosticsParts parts) {
  return std::make_unique<DiagnosticsService>(std::move(parts));
}

}  // namespace redoubt::diagnostics
