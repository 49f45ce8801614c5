// The configuration: one immutable tree, made once at start by load_config() (config/load.hpp) and
// passed down in parts. Nothing reads the environment or a file of settings after that.
//
// The values here are the defaults. Every field is one row of a table, config/<noun>_settings.cpp,
// from which the loader, `redoubt config` and docs/configuration.md are made.
//
// Threads: plain data; share it const.
#pragma once

#include "base/log.hpp"
#include "redis/options.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/secret.hpp>
#include <redoubt/sessions.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::config {

enum class Mode : std::uint8_t {
  development,  // A missing encryption key is made and kept under the data directory.
  production,   // A missing encryption key stops the start.
};

enum class AccessLog : std::uint8_t { none, errors, all };

struct ListenAddress {
  std::string host;  // A literal IPv4 or IPv6 address, without brackets.
  std::uint16_t port = 0;

  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};
std::string format(const ListenAddress& address);  // "127.0.0.1:3284", "[::1]:3284"

struct HttpSettings {
  std::vector<ListenAddress> listen{{"127.0.0.1", 3284}};
  std::vector<ListenAddress> tls_listen;  // Not empty exactly when both files below are named.
  std::string tls_certificate;            // Paths of PEM files, read again on SIGHUP.
  std::string tls_key;

  std::size_t worker_threads = 0;  // 0: one per core.
  std::size_t connections_max = 20'000;
  std::size_t request_line_max = 8u << 10;
  std::size_t header_bytes_max = 32u << 10;
  std::size_t header_fields_max = 100;
  std::size_t body_max = 1u << 20;

  Duration keep_alive{75'000};        // An idle connection lives this long.
  Duration header_timeout{10'000};    // From the first byte of a request to the end of its head.
  Duration body_timeout{30'000};      // From the end of the head to the end of the body.
  Duration write_timeout{10'000};     // How long a client may refuse to read.
  Duration request_deadline{10'000};  // Work that has not started by then is dropped.
  Duration idempotency_ttl{std::chrono::hours(24)};  // How long answers under a key are kept.

  // What SIGTERM does: readiness fails at once; after `shutdown_delay` the listeners close; after
  // `drain_deadline` more, connections that are still busy are cut.
  Duration shutdown_delay{0};
  Duration drain_deadline{25'000};

  std::size_t operations_max = 4'096;           // That wait, in one worker.
  std::int64_t tenant_operations_percent = 75;  // Of those, of one tenant.

  std::vector<std::string> trusted_proxies;  // CIDR, canonical: "10.0.0.0/8", "::1/128".
  std::vector<std::string> cors_origins;     // "https://app.example.com"; {"*"} alone is everybody.
  AccessLog access_log = AccessLog::errors;
};

struct RecordSettings {
  std::string data_dir = "./data";          // Made with mode 0700 when missing.
  std::string path;                         // Of the SQLite file; <data_dir>/redoubt.db unless set.
  std::int64_t audit_retention_days = 365;  // 0: for ever.
  Secret database_url;                      // Of PostgreSQL; empty: SQLite.
  std::size_t database_pool_size = 12;
};

struct SessionSettings {
  SessionOptions options;
  Duration auth_grace{30'000};
  Duration cleanup_interval{300'000};
};

struct LimitSettings {
  bool enabled = true;  // false: the server's own requests are not limited.
  std::int64_t requests_per_minute = 60;
  std::int64_t burst_size = 10;
  Duration window{0};                 // Not 0: "default" is a sliding window of this length.
  std::vector<LimitPolicy> policies;  // Made of the above and the named ones; "default" is first.
};

struct CacheSettings {
  std::size_t bytes_max = 64u << 20;  // Of all workers together.
  std::size_t entries_max = 104'857;  // Of all workers together.
  Duration default_ttl{3'600'000};
  std::size_t value_bytes_max = 1u << 20;
  std::size_t tenant_bytes_max = 0;  // What one tenant may keep; 0: no quota.
  bool seal = true;                  // Copies of entries in Redis.
  bool without_redis = true;         // Answers from memory while Redis is away.
};

struct CryptoSettings {
  Secret key_ring;       // TOKEN_ENCRYPTION_KEY as given, checked by parse_key_ring; may be empty.
  std::string key_file;  // Where it came from, to read again on SIGHUP; "" when not from a file.
};

enum class RedisUse : std::uint8_t { automatic, off, on };
enum class RedisProtocol : std::uint8_t { automatic, native, rest };
enum class Switch : std::uint8_t { automatic, off, on };

// What was said of Redis, in all the ways that setups say it; and what follows from it.
struct RedisSettings {
  RedisUse use = RedisUse::automatic;
  RedisProtocol protocol = RedisProtocol::automatic;
  Secret url;          // REDIS_URL
  Secret upstash_url;  // UPSTASH_REDIS_URL
  std::string rest_url;
  Secret rest_token;
  std::string host;
  std::uint16_t port = 6379;
  std::string username;
  Secret password;
  int database = 0;
  Switch tls = Switch::automatic;
  bool tls_verify = true;
  std::string tls_ca;
  Switch cluster = Switch::automatic;
  std::vector<std::string> cluster_nodes;   // "host:port"
  std::vector<std::string> sentinel_hosts;  // "host:port"
  std::string sentinel_master;
  std::string sentinel_username;
  Secret sentinel_password;
  Duration connect_timeout{250};
  Duration operation_timeout{50};

  std::optional<redis::Options> options;  // Empty: no Redis is used.
};

enum class UpstashAccess : std::uint8_t { read_only, read_write, admin };
enum class UpstashPrefix : std::uint8_t { none, tenant };

struct UpstashToken {
  Secret token;
  UpstashAccess access = UpstashAccess::read_write;
};

// Redis over HTTP, as Upstash serves it.
struct UpstashSettings {
  std::vector<ListenAddress> listen;
  std::string path = "/redis";  // On the API's ports; empty: not there.
  std::vector<UpstashToken> tokens;
  UpstashPrefix prefix = UpstashPrefix::none;
  bool tenant_scripts = false;
  std::size_t request_max = 10u << 20;
  Duration command_timeout{5'000};
  std::size_t streams_max = 1'000;
};

struct LogSettings {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::automatic;
};

struct Config {
  Mode mode = Mode::development;
  HttpSettings http;
  RecordSettings record;
  SessionSettings sessions;
  LimitSettings limits;
  CacheSettings cache;
  CryptoSettings crypto;
  RedisSettings redis;
  UpstashSettings upstash;
  LogSettings log;
};

}  // namespace redoubt::config
