#include "config/setting.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace redoubt::config {
namespace {

// Names that setups for other programs carry. Known, so that such a setup starts here; unused, and
// said to be so.
constexpr std::array kReserved = std::to_array<ReservedName>({
    {"REDIS_MAX_POOL_SIZE",
     "Connections to Redis. A worker has one to each server, for everything."},
    {"REDIS_MAX_CONNECTIONS", "The same."},
    {"REDIS_RETRY_ON_TIMEOUT",
     "Whether a Redis command is tried again. Those that may be, are; others never."},
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

constexpr std::size_t kNodesMax = 64;

const auto kSecretShown = [](const Secret& value) {
  return std::string(value.empty() ? "not set" : "set");
};
const auto kTextShown = [](const std::string& value) { return value.empty() ? "not set" : value; };

// Accounts and passwords may be in any language, and have spaces in them.
bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// Never quotes what it refuses.
template <class Field>
Setting secret_setting(SettingName name, std::string accepts, Field field) {
  auto row = setting(
      std::move(name), std::move(accepts), field,
      [](std::string_view text) -> Parsed<Secret> {
        if (has_control(text)) return wrong("has control characters in it");
        return Secret{std::string(text)};
      },
      kSecretShown);
  row.secret = true;
  return row;
}

template <class Field>
Setting url_setting(SettingName name, std::string accepts, Field field) {
  auto row = setting(
      std::move(name), std::move(accepts), field,
      [](std::string_view text) -> Parsed<Secret> {
        const auto url = redis::parse_redis_url(text);
        if (!url) return wrong(url.error().message);
        return Secret{std::string(text)};
      },
      kSecretShown);
  row.secret = true;
  return row;
}

template <class Field>
Setting text_setting(SettingName name, std::string accepts, Field field) {
  return setting(
      std::move(name), std::move(accepts), field,
      [](std::string_view text) -> Parsed<std::string> {
        if (has_control(text)) {
          return wrong(fmt::format("{} has control characters in it", quote(text)));
        }
        return std::string(text);
      },
      kTextShown);
}

Parsed<std::string> web_address(std::string_view text) {
  const bool web = text.starts_with("https://") || text.starts_with("http://");
  // What stands before an @ would be a secret, and this is not shown as one.
  if (!web || text.find_first_of("@ ") != text.npos || has_control(text)) {
    return wrong("must be https://host, without user or password");
  }
  return std::string(text);
}

template <class Field>
Setting switch_setting(SettingName name, Field field) {
  return setting(
      std::move(name), "true, false, auto", field,
      [](std::string_view text) -> Parsed<Switch> {
        if (iequals(text, "auto")) return Switch::automatic;
        const auto on = boolean(text);
        if (!on) return wrong(fmt::format("{} is none of true, false, auto", quote(text)));
        return *on ? Switch::on : Switch::off;
      },
      [](Switch value) -> std::string {
        return value == Switch::automatic ? "auto" : value == Switch::on ? "true" : "false";
      });
}

bool is_node(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (text.find_first_of(" \t@/") != std::string_view::npos) return false;
  if (colon == std::string_view::npos || text.ends_with(']')) return !text.empty();
  const auto port = parse_int(text.substr(colon + 1));
  return colon > 0 && port && *port >= 1 && *port <= 65'535;
}

Parsed<std::vector<std::string>> nodes(std::string_view text) {
  const auto items = list_items(text);
  if (!items) return wrong(items.error());
  if (items->size() > kNodesMax) return wrong(fmt::format("at most {} are needed", kNodesMax));
  for (const std::string_view item : *items) {
    if (!is_node(item)) return wrong(fmt::format("{} is not host:port", quote(item)));
  }
  return std::vector<std::string>(items->begin(), items->end());
}

template <class Field>
Setting nodes_setting(SettingName name, Field field) {
  auto row = setting(std::move(name), "host:port, ...", field, nodes,
                     [](const std::vector<std::string>& value) { return joined(value); });
  row.list = true;
  return row;
}

template <class Field>
auto redis(Field field) {
  return at(&Config::redis, field);
}

Setting use_setting() {
  return setting(
      {"redis.enable",
       {"REDIS_ENABLE", "REDIS_ENABLED"},
       "Whether Redis is used as shared memory beside the record. auto: when something below says "
       "where it is. false ignores all of it."},
      "true, false, auto", redis(&RedisSettings::use),
      [](std::string_view text) -> Parsed<RedisUse> {
        if (iequals(text, "auto")) return RedisUse::automatic;
        const auto on = boolean(text);
        if (!on) return wrong(fmt::format("{} is none of true, false, auto", quote(text)));
        return *on ? RedisUse::on : RedisUse::off;
      },
      [](RedisUse value) -> std::string {
        return value == RedisUse::automatic ? "auto" : value == RedisUse::on ? "true" : "false";
      });
}

void add_addresses(std::vector<Setting>& rows) {
  rows.push_back(enum_setting<RedisProtocol>(
      {"redis.protocol",
       {"REDIS_PROTOCOL"},
       "native: Redis' own protocol. rest: Upstash's, over HTTPS. auto: native when there is a "
       "native address."},
      {{"auto", RedisProtocol::automatic},
       {"native", RedisProtocol::native},
       {"rest", RedisProtocol::rest}},
      redis(&RedisSettings::protocol)));
  rows.push_back(
      url_setting({"redis.url",
                   {"REDIS_URL"},
                   "Where Redis is. rediss:// is TLS. What it says counts: parts beside it may say "
                   "the same or what it leaves open."},
                  "redis[s]://[user[:password]@]host[:port][/database][?timeout=50ms], "
                  "unix:///path",
                  redis(&RedisSettings::url)));
  rows.push_back(
      url_setting({"redis.upstash_url", {"UPSTASH_REDIS_URL"}, "The same, as Upstash names it."},
                  "rediss://default:token@host:6379", redis(&RedisSettings::upstash_url)));
  rows.push_back(setting({"redis.rest_url",
                          {"UPSTASH_REDIS_REST_URL"},
                          "Redis over HTTPS. Used when there is no native address, or "
                          "REDIS_PROTOCOL is rest."},
                         "https://host", redis(&RedisSettings::rest_url), web_address, kTextShown));
  rows.push_back(secret_setting(
      {"redis.rest_token", {"UPSTASH_REDIS_REST_TOKEN"}, "Goes with the REST address."}, "a token",
      redis(&RedisSettings::rest_token)));
  rows.push_back(text_setting({"redis.host", {"REDIS_HOST"}, "Where Redis is, in parts."},
                              "a name or an address", redis(&RedisSettings::host)));
  rows.push_back(integer_setting(
      {"redis.port",
       {"REDIS_PORT"},
       "Goes with REDIS_HOST; beside a URL it must be the URL's, alone it means nothing."},
      1, 65'535, redis(&RedisSettings::port)));
}

void add_topologies(std::vector<Setting>& rows) {
  rows.push_back(switch_setting({"redis.cluster",
                                 {"REDIS_CLUSTER_ENABLED"},
                                 "true: the Redis of REDIS_URL or REDIS_HOST is a node of a "
                                 "cluster. auto: when nodes are given."},
                                redis(&RedisSettings::cluster)));
  rows.push_back(nodes_setting({"redis.cluster_nodes",
                                {"REDIS_CLUSTER_NODES"},
                                "Nodes of a Redis cluster; the others are found from them."},
                               redis(&RedisSettings::cluster_nodes)));
  rows.push_back(nodes_setting(
      {"redis.sentinel_hosts", {"REDIS_SENTINEL_HOSTS"}, "The Sentinels that know the master."},
      redis(&RedisSettings::sentinel_hosts)));
  rows.push_back(text_setting(
      {"redis.sentinel_master", {"REDIS_SENTINEL_MASTER"}, "The name they know it by."}, "a name",
      redis(&RedisSettings::sentinel_master)));
  rows.push_back(text_setting(
      {"redis.sentinel_username", {"REDIS_SENTINEL_USERNAME"}, "The Sentinels' own account."},
      "a name", redis(&RedisSettings::sentinel_username)));
  rows.push_back(
      secret_setting({"redis.sentinel_password", {"REDIS_SENTINEL_PASSWORD"}, "Its password."},
                     "a password", redis(&RedisSettings::sentinel_password)));
}

void add_access(std::vector<Setting>& rows) {
  rows.push_back(text_setting({"redis.username", {"REDIS_USERNAME"}, "The Redis account."},
                              "a name", redis(&RedisSettings::username)));
  rows.push_back(secret_setting(
      {"redis.password", {"REDIS_PASSWORD"}, "Its password, when the address has none."},
      "a password", redis(&RedisSettings::password)));
  rows.push_back(integer_setting({"redis.database",
                                  {"REDIS_DATABASE"},
                                  "The number of the Redis database, when the address has none."},
                                 0, 1'000'000, redis(&RedisSettings::database)));
  rows.push_back(switch_setting({"redis.tls",
                                 {"REDIS_SSL"},
                                 "Whether Redis is spoken to over TLS, when no URL says it: beside "
                                 "one, it must say the same. auto: as the address says."},
                                redis(&RedisSettings::tls)));
  rows.push_back(enum_setting<bool>({"redis.tls_verify",
                                     {"REDIS_SSL_CERT_REQS"},
                                     "required: the certificate and the host's name in it are "
                                     "verified. none: anybody may answer."},
                                    {{"required", true}, {"optional", true}, {"none", false}},
                                    redis(&RedisSettings::tls_verify)));
  rows.push_back(path_setting({"redis.tls_ca",
                               {"REDIS_SSL_CA_CERTS"},
                               "PEM file of the authorities to trust instead of the system's."},
                              redis(&RedisSettings::tls_ca)));
}

void add_times(std::vector<Setting>& rows) {
  rows.push_back(duration_setting({"redis.connect_timeout",
                                   {"REDIS_CONNECTION_TIMEOUT", "REDIS_SOCKET_CONNECT_TIMEOUT"},
                                   "How long connecting to Redis may take."},
                                  Duration(10), Duration(60'000),
                                  redis(&RedisSettings::connect_timeout)));
  rows.push_back(duration_setting(
      {"redis.operation_timeout",
       {"REDIS_SOCKET_TIMEOUT"},
       "How long a Redis command may take. A request waits that long when Redis hangs, so seconds, "
       "as other programs have it, are long here. ?timeout= of a URL is the same."},
      Duration(1), Duration(60'000), redis(&RedisSettings::operation_timeout)));
}

}  // namespace

std::vector<Setting> redis_settings() {
  std::vector<Setting> rows;
  rows.push_back(use_setting());
  add_addresses(rows);
  add_topologies(rows);
  add_access(rows);
  add_times(rows);
  return rows;
}

std::span<const ReservedName> reserved_names() {
  return kReserved;
}
std::span<const std::string_view> client_names() {
  return kClient;
}

}  // namespace redoubt::config
