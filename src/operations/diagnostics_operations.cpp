#include "operations/diagnostics_operations.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::operations {

template <>
struct EnumNames<Severity> {
  static constexpr std::array<std::string_view, 3> names{"info", "warning", "critical"};
};

template <>
struct Description<Finding> {
  static constexpr std::string_view name = "Finding";
  static constexpr auto fields =
      describe(field<&Finding::code>("code", "What it is called; docs/doctor.md lists them.",
                                     example("redis_replica")),
               field<&Finding::severity>("severity", "critical: does not work, or lets others in."),
               field<&Finding::what>("what", "What was found, with its figures."),
               field<&Finding::why>("why", "Why it matters."),
               field<&Finding::mend>("mend", "The command or setting that mends it."),
               field<&Finding::section>("section", "Which part of the diagnosis it belongs to."));
};

template <>
struct Description<RedisConnectivity> {
  static constexpr std::string_view name = "RedisConnectivity";
  static constexpr auto fields = describe(
      field<&RedisConnectivity::connected>("connected", "Whether a new connection works."),
      field<&RedisConnectivity::error>("error", "Why it does not; else empty."),
      field<&RedisConnectivity::topology>("topology", "standalone, sentinel, cluster or rest."),
      field<&RedisConnectivity::tls>("tls", "Whether the connection is encrypted."),
      field<&RedisConnectivity::tls_verified>("tls_verified",
                                              "Whether the certificate is verified, too."),
      field<&RedisConnectivity::ping_ms>("ping_ms", "The median of several PING."),
      field<&RedisConnectivity::clock_ahead_ms>("clock_ahead_ms",
                                                "Of Redis' clock before ours; negative: behind."));
};

template <>
struct Description<RedisOperationTime> {
  static constexpr std::string_view name = "RedisOperationTime";
  static constexpr auto fields =
      describe(field<&RedisOperationTime::operation>("operation", "PING, SET, GET, EVAL or DEL."),
               field<&RedisOperationTime::works>("works", "Whether all of them worked."),
               field<&RedisOperationTime::error>("error", "The first error; else empty."),
               field<&RedisOperationTime::count>("count", "How many were timed."),
               field<&RedisOperationTime::median_ms>("median_ms", "Half of them took no longer."),
               field<&RedisOperationTime::p99_ms>("p99_ms", "99 of 100 took no longer."),
               field<&RedisOperationTime::max_ms>("max_ms", "The slowest."));
};

template <>
struct Description<RedisPerformance> {
  static constexpr std::string_view name = "RedisPerformance";
  static constexpr auto fields = describe(
      field<&RedisPerformance::operations>("operations",
                                           "Real ones, on a key of their own, one by one."),
      field<&RedisPerformance::operations_per_second>("operations_per_second", "Of everybody."),
      field<&RedisPerformance::hit_ratio>("hit_ratio",
                                          "0 to 1, of everybody's reads since the server started."),
      field<&RedisPerformance::hits>("hits", "Since the server started."),
      field<&RedisPerformance::misses>("misses", "Since the server started."));
};

template <>
struct Description<RedisServerInfo> {
  static constexpr std::string_view name = "RedisServerInfo";
  static constexpr auto fields = describe(
      field<&RedisServerInfo::product>("product", "redis or valkey."),
      field<&RedisServerInfo::version>("version", "Its version."),
      field<&RedisServerInfo::mode>("mode", "standalone, cluster or sentinel."),
      field<&RedisServerInfo::role>("role", "master or slave."),
      field<&RedisServerInfo::uptime_seconds>("uptime_seconds", "Since it started."),
      field<&RedisServerInfo::replicas>("replicas", "Connected to it."),
      field<&RedisServerInfo::cluster_ok>("cluster_ok", "What the cluster says of itself."));
};

template <>
struct Description<RedisPool> {
  static constexpr std::string_view name = "RedisPool";
  static constexpr auto fields = describe(
      field<&RedisPool::model>("model", "What stands in place of a pool."),
      field<&RedisPool::connections_per_worker>("connections_per_worker", "To each server."),
      field<&RedisPool::commands_in_flight>("commands_in_flight",
                                            "Of the worker that answers, as the next three."),
      field<&RedisPool::commands_sent>("commands_sent", "Since it started."),
      field<&RedisPool::unknown_outcomes>("unknown_outcomes", "Sent and not answered in time."),
      field<&RedisPool::connects>("connects", "How often it connected."),
      field<&RedisPool::connections_ours>("connections_ours",
                                          "Of all instances, as Redis counts them."),
      field<&RedisPool::clients>("clients", "Connections of everybody."),
      field<&RedisPool::clients_max>("clients_max", "The limit of Redis."),
      field<&RedisPool::clients_blocked>("clients_blocked", "In blocking commands."),
      field<&RedisPool::connections_rejected>("connections_rejected", "Since the server started."));
};

template <>
struct Description<RedisOperational> {
  static constexpr std::string_view name = "RedisOperational";
  static constexpr auto fields = describe(
      field<&RedisOperational::memory_used_bytes>("memory_used_bytes", "Of data and overhead."),
      field<&RedisOperational::memory_max_bytes>("memory_max_bytes", "maxmemory; 0: unbounded."),
      field<&RedisOperational::memory_used_ratio>("memory_used_ratio", "Of maxmemory, 0 to 1."),
      field<&RedisOperational::memory_fragmentation_ratio>("memory_fragmentation_ratio",
                                                           "Occupied against used."),
      field<&RedisOperational::eviction_policy>("eviction_policy", "maxmemory-policy."),
      field<&RedisOperational::evicted_keys>("evicted_keys", "Since the server started."),
      field<&RedisOperational::expired_keys>("expired_keys", "Since the server started."),
      field<&RedisOperational::keys>("keys", "Of the database in use."),
      field<&RedisOperational::snapshots>("snapshots", "Whether Redis makes them."),
      field<&RedisOperational::append_only>("append_only", "Whether it keeps that file."),
      field<&RedisOperational::last_save_ok>("last_save_ok", "How the last snapshot ended."),
      field<&RedisOperational::replicas_to_write_min>("replicas_to_write_min",
                                                      "min-replicas-to-write."));
};

template <>
struct Description<RedisDiagnosis> {
  static constexpr std::string_view name = "RedisDiagnosis";
  static constexpr auto fields = describe(
      field<&RedisDiagnosis::status>("status", "connected, disconnected or not_configured."),
      field<&RedisDiagnosis::state>("state", "As /status has it."),
      field<&RedisDiagnosis::verdict>("verdict", "ok, warning or critical: the worst finding."),
      field<&RedisDiagnosis::message>("message", "Why it is not used normally; may be empty."),
      field<&RedisDiagnosis::since>("since", "When it entered this state."),
      field<&RedisDiagnosis::checked_at>("checked_at", "When Redis was asked."),
      field<&RedisDiagnosis::findings>("findings", "The worst first."),
      field<&RedisDiagnosis::connectivity>("connectivity", "Reaching it."),
      field<&RedisDiagnosis::performance>("performance", "How fast it is."),
      field<&RedisDiagnosis::server_info>("server_info", "What it is."),
      field<&RedisDiagnosis::connection_pool>("connection_pool", "Connections."),
      field<&RedisDiagnosis::operational>("operational", "Memory, keys and disk."));
};

namespace {

struct NoDiagnosisRequest {
  static constexpr std::string_view schema_name = "NoDiagnosisRequest";
  static constexpr std::array<FieldInfo, 0> fields{};
};

// One part, and the findings about it.
template <class Part>
struct PartReply {
  std::string status;
  std::string verdict;
  WallTime checked_at;
  Part part;
  std::vector<Finding> findings;
};

template <class Part>
constexpr auto part_fields(std::string_view name) {
  return describe(
      field<&PartReply<Part>::status>("status", "connected, disconnected or not_configured."),
      field<&PartReply<Part>::verdict>("verdict", "ok, warning or critical, of this part."),
      field<&PartReply<Part>::checked_at>("checked_at", "When Redis was asked."),
      field<&PartReply<Part>::part>(name, "What was found."),
      field<&PartReply<Part>::findings>("findings", "Of this part, the worst first."));
}

std::string verdict_of(const std::vector<Finding>& findings) {
  Severity worst = Severity::info;
  for (const Finding& finding : findings) worst = std::max(worst, finding.severity);
  return worst == Severity::info ? "ok" : std::string(severity_name(worst));
}

template <class Part>
PartReply<Part> part_of(RedisDiagnosis whole, Part RedisDiagnosis::*part,
                        std::string_view section) {
  PartReply<Part> reply;
  reply.status = std::move(whole.status);
  reply.checked_at = whole.checked_at;
  reply.part = std::move(whole.*part);
  for (Finding& finding : whole.findings) {
    if (finding.section == section) reply.findings.push_back(std::move(finding));
  }
  reply.verdict = verdict_of(reply.findings);
  return reply;
}

// Not a member of the tables above: it is the operation that differs, not the reply.
OperationInfo info(std::string_view id, std::string_view path, std::string_view summary) {
  return {.id = id,
          .method = Method::get,
          .path = path,
          .summary = summary,
          .doc = "Asks Redis anew, on a connection of its own: about a hundred round trips.",
          .area = Area::health,
          .access = Access::admin,
          .home_tenant_only = true,
          .priority = Priority::listing};
}

template <class Part>
void add_part(Registry& registry, Diagnostics& diagnostics, OperationInfo about,
              Part RedisDiagnosis::*part, std::string_view section) {
  OperationSpec<NoDiagnosisRequest, PartReply<Part>> spec;
  spec.info = about;
  spec.run = [&diagnostics, part, section](const Context& context,
                                           NoDiagnosisRequest) -> Task<PartReply<Part>> {
    RD_CO_TRY(whole, co_await diagnostics.redis(context));
    co_return part_of(std::move(whole), part, section);
  };
  registry.add(std::move(spec));
}

}  // namespace

template <>
struct Description<PartReply<RedisConnectivity>> {
  static constexpr std::string_view name = "RedisConnectivityReport";
  static constexpr auto fields = part_fields<RedisConnectivity>("connectivity");
};
template <>
struct Description<PartReply<RedisPerformance>> {
  static constexpr std::string_view name = "RedisPerformanceReport";
  static constexpr auto fields = part_fields<RedisPerformance>("performance");
};
template <>
struct Description<PartReply<RedisServerInfo>> {
  static constexpr std::string_view name = "RedisServerInfoReport";
  static constexpr auto fields = part_fields<RedisServerInfo>("server_info");
};
template <>
struct Description<PartReply<RedisPool>> {
  static constexpr std::string_view name = "RedisPoolReport";
  static constexpr auto fields = part_fields<RedisPool>("connection_pool");
};
template <>
struct Description<PartReply<RedisOperational>> {
  static constexpr std::string_view name = "RedisOperationalReport";
  static constexpr auto fields = part_fields<RedisOperational>("operational");
};

void register_diagnostics(Registry& registry, Diagnostics& diagnostics) {
  OperationSpec<NoDiagnosisRequest, RedisDiagnosis> whole;
  whole.info = info("diagnostics.redis", "/api/v2/debug/health/redis",
                    "Find what is wrong with Redis, and what mends it");
  whole.run = [&diagnostics](const Context& context, NoDiagnosisRequest) {
    return diagnostics.redis(context);
  };
  registry.add(std::move(whole));

  add_part(registry, diagnostics,
           info("diagnostics.redis_connectivity", "/api/v2/debug/health/redis/connectivity",
                "See whether Redis can be reached, and who else can"),
           &RedisDiagnosis::connectivity, "connectivity");
  add_part(registry, diagnostics,
           info("diagnostics.redis_performance", "/api/v2/debug/health/redis/performance",
                "Time real operations of Redis"),
           &RedisDiagnosis::performance, "performance");
  add_part(registry, diagnostics,
           info("diagnostics.redis_server_info", "/api/v2/debug/health/redis/server-info",
                "See what the Redis server says of itself"),
           &RedisDiagnosis::server_info, "server-info");
  add_part(registry, diagnostics,
           info("diagnostics.redis_connection_pool", "/api/v2/debug/health/redis/connection-pool",
                "See the connections to Redis"),
           &RedisDiagnosis::connection_pool, "connection-pool");
  add_part(registry, diagnostics,
           info("diagnostics.redis_operational", "/api/v2/debug/health/redis/operational",
                "See the memory, keys and disk of Redis"),
           &RedisDiagnosis::operational, "operational");
}

}  // namespace redoubt::operations
