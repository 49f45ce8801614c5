// Where Redis is and how it is spoken to.
#pragma once

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>
#include <redoubt/secret.hpp>

#include "wire/resp.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace redoubt::redis {

// A TCP address, or a Unix socket when `socket_path` is set.
struct Endpoint {
  std::string host;
  std::uint16_t port = 6379;
  std::string socket_path;

  std::string text() const;  // "host:port", "[v6]:port" or the path. For logs.
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct Credentials {
  std::string user;  // Empty with a password: the user "default".
  Secret password;   // Empty: no AUTH.
};

struct Tls {
  bool enabled = false;
  std::string ca_file;           // Empty: the system's authorities.
  std::string server_name;       // For SNI and verification. Empty: the endpoint's host.
  std::string certificate_file;  // Both or neither: a certificate of our own.
  std::string key_file;
  bool verify = true;  // Off only when somebody asked for it: anyone may answer then.
};

// One server, or one name that always leads to the master.
struct Standalone {
  Endpoint endpoint;
};

// A master that Sentinels know by name.
struct Sentinel {
  std::vector<Endpoint> sentinels;  // At least one.
  std::string master_name;
  Credentials credentials;  // The Sentinels' own.
  Tls tls;                  // Of the connections to the Sentinels.
};

struct Cluster {
  std::vector<Endpoint> seeds;  // At least one; the rest is discovered.
};

// Redis commands over HTTPS, as Upstash offers them.
struct Rest {
  std::string url;
  Secret token;
};

struct Timeouts {
  Duration connect{250};   // Name look-up and TCP, each address.
  Duration tls{1000};      // The TLS handshake.
  Duration operation{50};  // From the call to the reply, waiting for a connection included.
  Duration silence{1000};  // A connection that owes replies and says nothing for this long is dead.
  Duration idle_ping{1000};  // How often an idle connection is asked whether it lives.
};

struct Backoff {
  Duration first{50};
  Duration max{5000};
  Duration refused{5000};  // After credentials or rights were refused: no storm of log-ins.
};

struct Options {
  std::variant<Standalone, Sentinel, Cluster, Rest> topology;
  Credentials credentials;
  Tls tls;
  Timeouts timeouts;
  Backoff backoff;
  int database = 0;  // Not with Cluster.
  std::string client_name = "redoubt";
  bool allow_resp3 = true;     // Off: RESP2 without asking.
  bool require_master = true;  // A server that says it is a replica is not used.
  std::string identity_key;    // Read at every handshake (ServerFacts::identity); empty: none.
  std::size_t queue_bytes_max = 64 * 1024 * 1024;  // Of commands not yet written, per connection.
  wire::resp::Limits reply;
};

// redis://[user[:password]@]host[:port][/database], rediss:// with TLS, and unix:///path; with
// ?protocol=2|3, ?db=n and ?timeout=250ms (Timeouts::operation). User and password are
// percent-decoded.
// Errors: invalid_argument "redis_options"; the URL is never in the message.
Result<Options> parse_redis_url(std::string_view url);

// Errors: invalid_argument "redis_options" naming what is missing or contradicts.
Result<void> check_options(const Options& options);

}  // namespace redoubt::redis
