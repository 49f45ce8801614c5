#include "redis/options.hpp"

#include "redis/url.hpp"

#include <fmt/format.h>

namespace redoubt::redis {
namespace {

Unexpected wrong(std::string message) {
  return fail(Error(Errc::invalid_argument, "redis_options", std::move(message)));
}

Result<void> check_endpoint(const Endpoint& endpoint, std::string_view what) {
  if (endpoint.host.empty() && endpoint.socket_path.empty()) {
    return wrong(fmt::format("{} names neither a host nor a socket", what));
  }
  if (endpoint.socket_path.empty() && endpoint.port == 0) {
    return wrong(fmt::format("{} has port 0", what));
  }
  if (endpoint.socket_path.size() > 107) return wrong(fmt::format("{} has too long a path", what));
  return {};
}

Result<void> check_endpoints(const std::vector<Endpoint>& endpoints, std::string_view what) {
  if (endpoints.empty()) return wrong(fmt::format("{}: none is given", what));
  for (const Endpoint& endpoint : endpoints) {
    RD_CHECK(check_endpoint(endpoint, what));
  }
  return {};
}

Result<void> check_tls(const Tls& tls) {
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return wrong("a TLS certificate for Redis needs its key, and a key its certificate");
  }
  return {};
}

struct TopologyCheck {
  const Options& options;

  Result<void> operator()(const Standalone& standalone) const {
    return check_endpoint(standalone.endpoint, "the address of Redis");
  }
  Result<void> operator()(const Sentinel& sentinel) const {
    if (sentinel.master_name.empty()) return wrong("the Sentinels' name of the master is missing");
    RD_CHECK(check_tls(sentinel.tls));
    return check_endpoints(sentinel.sentinels, "the addresses of the Sentinels");
  }
  Result<void> operator()(const Cluster& cluster) const {
    if (options.database != 0) return wrong("a Redis cluster has no database but 0");
    return check_endpoints(cluster.seeds, "the nodes of the Redis cluster");
  }
  Result<void> operator()(const Rest& rest) const {
    if (rest.url.empty()) return wrong("the REST address of Redis is missing");
    if (rest.token.empty()) return wrong("the REST token of Redis is missing");
    return {};
  }
};

}  // namespace

std::string Endpoint::text() const {
  if (!socket_path.empty()) return socket_path;
  const bool is_v6 = host.contains(':');
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<Options> parse_redis_url(std::string_view text) {
  RD_TRY(url, read_redis_url(text));
  return std::move(url.options);
}

Result<void> check_options(const Options& options) {
  RD_CHECK(check_tls(options.tls));
  if (options.database < 0) return wrong("the number of the Redis database is negative");
  if (!options.credentials.user.empty() && options.credentials.password.empty()) {
    return wrong("a Redis user needs a password");
  }
  if (options.client_name.contains(' ') || options.client_name.contains('\n')) {
    return wrong("the name of the Redis client has white space");
  }
  const Timeouts& t = options.timeouts;
  for (const Duration d : {t.connect, t.tls, t.operation, t.silence, t.idle_ping,
                           options.backoff.first, options.backoff.max, options.backoff.refused}) {
    if (d.count() < 1) return wrong("a time limit for Redis is not positive");
  }
  return std::visit(TopologyCheck{options}, options.topology);
}

}  // namespace redoubt::redis
