#include "operations/cache_status_operations.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace redoubt::operations {
namespace {

struct CacheStatusRequest {
  static constexpr std::string_view schema_name = "CacheStatusRequest";
  static constexpr std::array<FieldInfo, 0> fields{};
};

struct RedisStatus {
  std::string status;
  std::optional<std::string> version;
  std::optional<std::int64_t> memory_used;
  std::optional<std::int64_t> connected_clients;
  static constexpr std::string_view schema_name = "CacheRedisStatus";
  static constexpr auto fields = describe(
      field<&RedisStatus::status>("status", "connected, disconnected or not_configured."),
      field<&RedisStatus::version>("version", "As it says; here and below only for administrators "
                                              "of the installation, and what it tells."),
      field<&RedisStatus::memory_used>("memory_used", "Bytes."),
      field<&RedisStatus::connected_clients>("connected_clients", "Of everybody."));
};

struct CacheServiceStatus {
  bool redis_available = false;
  std::string active_backend;
  std::int64_t memory_cache_size = 0;
  static constexpr std::string_view schema_name = "CacheServiceStatus";
  static constexpr auto fields = describe(
      field<&CacheServiceStatus::redis_available>("redis_available", "Whether Redis is used."),
      field<&CacheServiceStatus::active_backend>("active_backend", "Where entries are kept.",
                                                 example("redis+memory")),
      field<&CacheServiceStatus::memory_cache_size>("memory_cache_size",
                                                    "Entries of the tenant in memory."));
};

struct RateLimitStatus {
  bool redis_available = false;
  std::string active_backend;
  static constexpr std::string_view schema_name = "CacheRateLimitStatus";
  static constexpr auto fields = describe(
      field<&RateLimitStatus::redis_available>("redis_available", "Whether Redis is used."),
      field<&RateLimitStatus::active_backend>("active_backend", "Where soft limits are kept.",
                                              example("redis")));
};

struct CacheStatusReply {
  RedisStatus redis_status;
  CacheServiceStatus cache_service_status;
  RateLimitStatus rate_limit_status;
  static constexpr std::string_view schema_name = "CacheStatus";
  static constexpr auto fields = describe(
      field<&CacheStatusReply::redis_status>("redis_status", "The shared tier."),
      field<&CacheStatusReply::cache_service_status>("cache_service_status", "The cache."),
      field<&CacheStatusReply::rate_limit_status>("rate_limit_status", "The rate limits."));
};

std::string backend_of(const HealthReport& report, std::string_view feature) {
  const auto at = std::ranges::find(report.features, feature, &FeatureBackend::feature);
  return at == report.features.end() ? std::string() : at->backend;
}

std::string_view status_of(const HealthReport& report) {
  const auto redis = std::ranges::find(report.dependencies, "redis", &Dependency::name);
  if (redis == report.dependencies.end() || redis->state == DependencyState::not_configured) {
    return "not_configured";
  }
  return redis->state == DependencyState::down ? "disconnected" : "connected";
}

CacheStatusReply reply_of(const HealthReport& report, const CacheStats& stats) {
  CacheStatusReply reply;
  reply.redis_status.status = status_of(report);
  CacheServiceStatus& cache = reply.cache_service_status;
  cache.active_backend = backend_of(report, "cache");
  cache.redis_available = cache.active_backend.starts_with("redis");
  cache.memory_cache_size = static_cast<std::int64_t>(stats.entries);
  RateLimitStatus& limits = reply.rate_limit_status;
  limits.active_backend = backend_of(report, "limits");
  limits.redis_available = limits.active_backend.starts_with("redis");
  return reply;
}

// What Redis says of itself is about everybody who uses it, other tenants among them.
bool may_know(const Context& context) {
  return context.caller.tenant == kHomeTenant && context.caller.role == Role::admin;
}

}  // namespace

void register_cache_status(Registry& registry, Cache& cache, const Health& health,
                           Diagnostics& diagnostics) {
  registry.add(OperationSpec<CacheStatusRequest, CacheStatusReply>{
      .info = {.id = "cache.status",
               .method = Method::get,
               .path = "/api/v1/cache/status",
               .summary = "Say which backends serve the cache and the limits",
               .area = Area::cache,
               .access = Access::read,
               .priority = Priority::listing},
      .run = [&](const Context& context, CacheStatusRequest) -> Task<CacheStatusReply> {
        CacheStatusReply reply = reply_of(health.report(), cache.stats(context));
        RedisStatus& redis = reply.redis_status;
        if (redis.status != "connected" || !may_know(context)) co_return reply;
        Result<RedisDiagnosis> found = co_await diagnostics.redis(context);
        if (!found) co_return reply;  // Another one asks; the rest is true without it.
        redis.version = std::move(found->server_info.version);
        redis.memory_used = found->operational.memory_used_bytes;
        redis.connected_clients = found->connection_pool.clients;
        co_return reply;
      }});
}

}  // namespace redoubt::operations
