#include "config/setting.hpp"

#include <array>

namespace redoubt::config {
namespace {

// What setups for a server with a shared tier or breakers carry. Known, so that such a setup starts
// here; unused, and said to be so.
constexpr std::array kReserved = std::to_array<ReservedName>({
    {"REDIS_URL", "Where Redis is, as a URL.", true},
    {"REDIS_HOST", "Where Redis is, in parts.", true},
    {"REDIS_PORT", "Where Redis is, in parts; also the published port of Redis in Compose files."},
    {"REDIS_USERNAME", "The Redis account."},
    {"REDIS_PASSWORD", "The Redis account's password."},
    {"REDIS_PASSWORD_FILE", "The same, in a file."},
    {"REDIS_URL_FILE", "The URL of Redis, in a file.", true},
    {"REDIS_DATABASE", "The number of the Redis database."},
    {"REDIS_PROTOCOL", "native or rest."},
    {"UPSTASH_REDIS_URL", "Upstash, by the Redis protocol.", true},
    {"UPSTASH_REDIS_REST_URL", "Upstash, over HTTPS.", true},
    {"UPSTASH_REDIS_REST_TOKEN", "The token for Upstash over HTTPS."},
    {"UPSTASH_REDIS_REST_TOKEN_FILE", "The same, in a file."},
    {"REDIS_MAX_POOL_SIZE", "Connections to Redis."},
    {"REDIS_MAX_CONNECTIONS", "Connections to Redis."},
    {"REDIS_CONNECTION_TIMEOUT", "How long connecting to Redis may take."},
    {"REDIS_SOCKET_CONNECT_TIMEOUT", "How long connecting to Redis may take."},
    {"REDIS_SOCKET_TIMEOUT", "How long a Redis command may take."},
    {"REDIS_RETRY_ON_TIMEOUT", "Whether a Redis command is tried again."},
    {"REDIS_SSL", "Whether Redis is spoken to over TLS."},
    {"REDIS_SSL_CERT_REQS", "Whether the certificate of Redis is verified."},
    {"REDIS_SSL_CA_CERTS", "The authorities that sign the certificate of Redis."},
    {"REDIS_CLUSTER_ENABLED", "Whether Redis is a cluster."},
    {"REDIS_CLUSTER_NODES", "The nodes of the Redis cluster.", true},
    {"REDIS_SENTINEL_HOSTS", "The Sentinels of Redis.", true},
    {"REDIS_SENTINEL_MASTER", "The name the Sentinels know Redis by."},
    {"REDIS_MAX_MEMORY", "The memory of a Redis started beside the server."},
    {"REDIS_MAX_MEMORY_POLICY", "The eviction policy of a Redis started beside the server."},
    {"REDIS_LOG_LEVEL", "The log level of a Redis started beside the server."},
    {"REDIS_METADATA_TTL", "How long agents' metadata is cached."},
    {"REDIS_LOCK_TIMEOUT", "How long a lock is held unless renewed."},
    {"CIRCUIT_BREAKER_ENABLED", "Whether backends are guarded by breakers."},
    {"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "Failures that open a breaker."},
    {"CIRCUIT_BREAKER_SUCCESS_THRESHOLD", "Successes that close a breaker."},
    {"CIRCUIT_BREAKER_TIMEOUT", "How long a breaker stays open."},
});

constexpr std::array<std::string_view, 3> kClient{"REDOUBT_URL", "REDOUBT_API_KEY",
                                                  "REDOUBT_API_KEY_FILE"};

}  // namespace

std::vector<Setting> redis_settings() {
  auto use = setting(
      {"redis.enable",
       {"REDIS_ENABLE", "REDIS_ENABLED"},
       "This version keeps everything in the record and memory: true, or auto with an address of "
       "Redis given, stops the start; false ignores whatever is said of Redis."},
      "true, false, auto", at(&Config::redis, &RedisSettings::use),
      [](std::string_view text) -> Parsed<RedisUse> {
        if (iequals(text, "auto")) return RedisUse::automatic;
        const auto on = boolean(text);
        if (!on) return wrong(fmt::format("{} is none of true, false, auto", quote(text)));
        return *on ? RedisUse::on : RedisUse::off;
      },
      [](RedisUse value) -> std::string {
        return value == RedisUse::automatic ? "auto" : value == RedisUse::on ? "true" : "false";
      });
  return {std::move(use)};
}

std::span<const ReservedName> reserved_names() {
  return kReserved;
}
std::span<const std::string_view> client_names() {
  return kClient;
}

}  // namespace redoubt::config
