#include "config/resolve_redis.hpp"

#include "base/text.hpp"
#include "redis/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace redoubt::config {
namespace {

constexpr std::string_view kUrl = "redis.url";
constexpr std::string_view kUpstashUrl = "redis.upstash_url";
constexpr std::string_view kRestUrl = "redis.rest_url";
constexpr std::string_view kRestToken = "redis.rest_token";
constexpr std::string_view kHost = "redis.host";
constexpr std::string_view kPort = "redis.port";
constexpr std::string_view kUsername = "redis.username";
constexpr std::string_view kPassword = "redis.password";
constexpr std::string_view kDatabase = "redis.database";
constexpr std::string_view kTls = "redis.tls";
constexpr std::string_view kOperationTimeout = "redis.operation_timeout";
constexpr std::string_view kCluster = "redis.cluster";
constexpr std::string_view kClusterNodes = "redis.cluster_nodes";
constexpr std::string_view kSentinelHosts = "redis.sentinel_hosts";

class Resolver {
 public:
  Resolver(RedisSettings& settings, const RedisGiven& given, const Complain& complain)
      : settings_(settings), given_(given), complain_(complain) {}

  void resolve() {
    if (settings_.use == RedisUse::off) return;
    const std::string_view address = choose_address();
    if (failed_ || address.empty()) return;
    redis::Options options = options_of(address);
    if (failed_) return;
    add_common(options);
    if (failed_) return;
    if (const auto checked = redis::check_options(options); !checked) {
      return complain(address, checked.error().message);
    }
    settings_.options = std::move(options);
  }

 private:
  bool is_given(std::string_view key) const { return given_.is_given(key); }

  void complain(std::string_view key, std::string text) {
    failed_ = true;
    complain_(given_.name_of(key), std::move(text));
  }

  // `key` says other than `address`, which is what would count.
  void contradiction(std::string_view key, std::string_view address, std::string_view detail = {}) {
    const std::string winner = given_.name_of(address);
    complain(key, fmt::format("contradicts {}{}; {} would win: unset {}", winner, detail, winner,
                              given_.name_of(key)));
  }

  // The one setting that says where Redis is. Upstash gives both of its addresses together, so its
  // REST address beside a native one is a second door, not a contradiction: REDIS_PROTOCOL chooses.
  std::string_view choose_address() {
    const bool rest = is_given(kRestUrl);
    if (settings_.protocol == RedisProtocol::rest) {
      if (!rest) complain(kRestUrl, "must be given when REDIS_PROTOCOL is rest");
      return kRestUrl;
    }
    const std::string_view native = choose_native();
    if (!native.empty()) return native;
    if (rest && settings_.protocol == RedisProtocol::automatic) return kRestUrl;
    if (rest) {
      complain(kRestUrl,
               "is the REST address, but REDIS_PROTOCOL is native: give "
               "UPSTASH_REDIS_URL, or set REDIS_PROTOCOL=rest");
    } else if (settings_.use == RedisUse::on) {
      complain("redis.enable", "but nothing says where Redis is: set REDIS_URL");
    }
    return {};
  }

  // The first that is given; the others must mean the same. Empty: none is given.
  std::string_view choose_native() {
    std::string_view first;
    for (const std::string_view key : {kUrl, kUpstashUrl, kClusterNodes, kSentinelHosts, kHost}) {
      if (!is_given(key)) continue;
      if (first.empty()) {
        first = key;
      } else if (!may_be_the_same(first, key)) {
        contradiction(key, first);
      }
    }
    return first;
  }

  bool may_be_the_same(std::string_view address, std::string_view other) const {
    if (other == kUpstashUrl) return settings_.url.reveal() == settings_.upstash_url.reveal();
    if (other != kHost) return false;
    if (address == kClusterNodes) {
      const auto nodes = endpoints(settings_.cluster_nodes, 6379);
      return std::ranges::find(nodes, host_endpoint()) != nodes.end();
    }
    return address != kSentinelHosts;  // A URL's host is compared when it is read.
  }

  redis::Options options_of(std::string_view address) {
    if (address == kUrl) return of_url(kUrl, settings_.url);
    if (address == kUpstashUrl) return of_url(kUpstashUrl, settings_.upstash_url);
    redis::Options options;
    if (address == kRestUrl) {
      if (settings_.rest_token.empty()) complain(kRestToken, "must be given with the REST address");
      options.topology = redis::Rest{settings_.rest_url, settings_.rest_token};
    } else if (address == kHost) {
      set_endpoint(options, host_endpoint());
    } else if (address == kClusterNodes) {
      if (settings_.cluster == Switch::off) contradiction(kCluster, kClusterNodes);
      options.topology = redis::Cluster{endpoints(settings_.cluster_nodes, 6379)};
    } else {
      if (settings_.cluster == Switch::on) {
        contradiction(kCluster, kSentinelHosts, ": Sentinels watch no cluster");
      }
      options.topology = sentinel();
    }
    return options;
  }

  redis::Endpoint host_endpoint() const { return {settings_.host, settings_.port, {}}; }

  // A cluster is found from any of its nodes.
  void set_endpoint(redis::Options& options, redis::Endpoint endpoint) const {
    if (settings_.cluster == Switch::on) {
      options.topology = redis::Cluster{{std::move(endpoint)}};
    } else {
      options.topology = redis::Standalone{std::move(endpoint)};
    }
  }

  redis::Options of_url(std::string_view key, const Secret& text) {
    auto url = redis::read_redis_url(text.reveal());
    if (!url) {
      complain(key, url.error().message);
      return {};
    }
    compare_parts(key, *url);
    url_timeout_ = url->timeout;
    auto endpoint = std::get<redis::Standalone>(url->options.topology).endpoint;
    set_endpoint(url->options, std::move(endpoint));
    return std::move(url->options);
  }

  // The parts that are given beside a URL say what it says, or what it leaves open.
  void compare_parts(std::string_view key, const redis::RedisUrl& url) {
    const auto& endpoint = std::get<redis::Standalone>(url.options.topology).endpoint;
    const auto& credentials = url.options.credentials;
    if (is_given(kHost) && !iequals(settings_.host, endpoint.host)) contradiction(kHost, key);
    if (is_given(kPort) && settings_.port != endpoint.port) contradiction(kPort, key);
    if (!credentials.user.empty() && !settings_.username.empty() &&
        credentials.user != settings_.username) {
      contradiction(kUsername, key);
    }
    if (!credentials.password.empty() && !settings_.password.empty() &&
        credentials.password.reveal() != settings_.password.reveal()) {
      contradiction(kPassword, key);
    }
    if (is_given(kDatabase) && url.database.value_or(settings_.database) != settings_.database) {
      contradiction(kDatabase, key);
    }
    if (is_given(kOperationTimeout) &&
        url.timeout.value_or(settings_.operation_timeout) != settings_.operation_timeout) {
      contradiction(kOperationTimeout, key);
    }
    if (settings_.tls == Switch::on && !url.options.tls.enabled) {
      contradiction(kTls, key, ": TLS there is rediss://");
    }
    if (settings_.tls == Switch::off && url.options.tls.enabled) {
      contradiction(kTls, key, ", which is rediss://");
    }
  }

  redis::Sentinel sentinel() {
    redis::Sentinel sentinel;
    sentinel.sentinels = endpoints(settings_.sentinel_hosts, 26379);
    sentinel.master_name = settings_.sentinel_master;
    sentinel.credentials.user = settings_.sentinel_username;
    sentinel.credentials.password = settings_.sentinel_password;
    if (sentinel.master_name.empty()) {
      complain("redis.sentinel_master",
               "must be given with the Sentinels: the name they know the "
               "master by, often mymaster");
    }
    return sentinel;
  }

  static std::vector<redis::Endpoint> endpoints(const std::vector<std::string>& texts,
                                                std::uint16_t port) {
    std::vector<redis::Endpoint> out;
    for (const std::string& text : texts) {
      const std::size_t colon = text.rfind(':');
      const bool has_port = colon != std::string::npos && !text.ends_with(']');
      redis::Endpoint endpoint;
      endpoint.host = text.substr(0, has_port ? colon : text.size());
      if (endpoint.host.starts_with('['))
        endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
      endpoint.port =
          has_port ? static_cast<std::uint16_t>(*parse_int(text.substr(colon + 1))) : port;
      out.push_back(std::move(endpoint));
    }
    return out;
  }

  // What may stand beside an address: it fills in what the address does not say.
  void add_common(redis::Options& options) {
    if (!std::holds_alternative<redis::Rest>(options.topology)) {
      auto& credentials = options.credentials;
      if (!settings_.password.empty()) credentials.password = settings_.password;
      if (!settings_.username.empty()) credentials.user = settings_.username;
    }
    if (is_given(kDatabase)) options.database = settings_.database;
    add_tls(options);
    options.timeouts.connect = settings_.connect_timeout;
    options.timeouts.operation = url_timeout_.value_or(settings_.operation_timeout);
  }

  void add_tls(redis::Options& options) {
    options.tls.enabled = options.tls.enabled || settings_.tls == Switch::on;
    options.tls.verify = settings_.tls_verify;
    options.tls.ca_file = settings_.tls_ca;
    if (auto* sentinel = std::get_if<redis::Sentinel>(&options.topology))
      sentinel->tls = options.tls;
    if (options.tls.enabled || std::holds_alternative<redis::Rest>(options.topology)) return;
    if (is_given("redis.tls_ca")) {
      complain("redis.tls_ca",
               "means nothing without TLS: set REDIS_SSL=true with REDIS_HOST, or a rediss:// URL");
    }
  }

  RedisSettings& settings_;
  const RedisGiven& given_;
  const Complain& complain_;
  std::optional<Duration> url_timeout_;  // That the URL itself names.
  bool failed_ = false;
};

}  // namespace

void resolve_redis(RedisSettings& settings, const RedisGiven& given, const Complain& complain) {
  Resolver(settings, given, complain).resolve();
}

}  // namespace redoubt::config
