#include "redis/url.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace redoubt::redis {
namespace {

constexpr Duration kTimeoutMax{60'000};

Unexpected wrong(std::string message) {
  return fail(Error(Errc::invalid_argument, "redis_options", std::move(message)));
}

Result<int> database_of(std::string_view text) {
  const auto number = parse_int(text);
  if (!number || *number < 0 || *number > 1'000'000) {
    return wrong("the Redis URL has a database that is no number");
  }
  return static_cast<int>(*number);
}

Result<Duration> timeout_of(std::string_view text) {
  const auto timeout = parse_duration(text);
  if (!timeout || *timeout < Duration(1) || *timeout > kTimeoutMax) {
    return wrong("the Redis URL has a timeout that is not 1ms to 1m; write 250ms or 5s");
  }
  return *timeout;
}

Result<void> read_query(const boost::urls::url_view& url, RedisUrl& out) {
  for (const auto& parameter : url.params()) {
    if (parameter.key == "protocol" && (parameter.value == "2" || parameter.value == "3")) {
      out.options.allow_resp3 = parameter.value == "3";
    } else if (parameter.key == "db") {
      RD_TRY(database, database_of(parameter.value));
      if (out.database.value_or(database) != database) {
        return wrong("the Redis URL names two databases; leave out /database or ?db");
      }
      out.database = database;
    } else if (parameter.key == "timeout") {
      RD_TRY(timeout, timeout_of(parameter.value));
      out.timeout = timeout;
    } else {
      return wrong(fmt::format(
          "the Redis URL has a parameter {} that is not known; known are protocol, timeout and db",
          parameter.key));
    }
  }
  return {};
}

Result<void> read_address(const boost::urls::url_view& url, RedisUrl& out, Endpoint& endpoint) {
  const std::string path = url.path();
  if (url.scheme() == "unix" || url.scheme() == "redis+unix") {
    if (path.size() < 2) return wrong("the Redis URL names no socket");
    endpoint.socket_path = path;
    return {};
  }
  endpoint.host = url.host_type() == boost::urls::host_type::ipv6 ? std::string(url.host_address())
                                                                  : std::string(url.host());
  if (endpoint.host.empty()) return wrong("the Redis URL names no host");
  if (url.has_port()) {
    const auto port = parse_int(std::string_view(url.port()));
    if (!port || *port < 1 || *port > 65535) {
      return wrong("the Redis URL has a port that is no port");
    }
    endpoint.port = static_cast<std::uint16_t>(*port);
  }
  if (path.size() < 2) return {};
  RD_TRY(database, database_of(path.substr(1)));
  out.database = database;
  return {};
}

}  // namespace

Result<RedisUrl> read_redis_url(std::string_view text) {
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return wrong("the Redis URL is not a URL");
  const boost::urls::url_view url = *parsed;
  const std::string_view scheme = url.scheme();
  if (scheme != "redis" && scheme != "rediss" && scheme != "unix" && scheme != "redis+unix") {
    return wrong("the Redis URL is none of redis://, rediss:// and unix://");
  }
  if (url.has_fragment()) return wrong("the Redis URL has a fragment");
  RedisUrl out;
  Standalone standalone;
  Options& options = out.options;
  options.tls.enabled = scheme == "rediss";
  options.credentials.user = url.user();
  options.credentials.password = Secret(url.password());
  RD_CHECK(read_address(url, out, standalone.endpoint));
  RD_CHECK(read_query(url, out));
  options.topology = std::move(standalone);
  options.database = out.database.value_or(options.database);
  options.timeouts.operation = out.timeout.value_or(options.timeouts.operation);
  return out;
}

}  // namespace redoubt::redis
