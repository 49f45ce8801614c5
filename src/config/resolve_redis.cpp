#include "config/resolve_redis.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>
#include <vector>

namespace redoubt::config {
namespace {

constexpr std::string_view kUrl = "redis.url";
constexpr std::string_view kUpstashUrl = "redis.upstash_url";
constexpr std::string_view kRestUrl = "redis.rest_url";
constexpr std::string_view kRestToken = "redis.rest_token";
constexpr std::string_view kHost = "redis.host";
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
    add_common(address, options);
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

  // The one setting that says where Redis is. Upstash gives both of its addresses together, so its
  // REST address beside a native one is a second door, not a contradiction: REDIS_PROTOCOL chooses.
  std::string_view choose_address() {
    std::vector<std::string_view> native;
    for (const std::string_view key : {kUrl, kUpstashUrl, kHost, kClusterNodes, kSentinelHosts}) {
      if (is_given(key)) native.push_back(key);
    }
    const bool rest = is_given(kRestUrl);
    if (settings_.protocol == RedisProtocol::rest) {
      if (!rest) complain(kRestUrl, "must be given when REDIS_PROTOCOL is rest");
      return kRestUrl;
    }
    if (native.size() > 1) {
      complain(native[1], fmt::format("contradicts {}: both say where Redis is; unset one, or set "
                                      "REDIS_ENABLE=false to use none",
                                      given_.name_of(native[0])));
      return {};
    }
    if (!native.empty()) return native.front();
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

  redis::Options options_of(std::string_view address) {
    if (address == kUrl) return of_url(kUrl, settings_.url);
    if (address == kUpstashUrl) return of_url(kUpstashUrl, settings_.upstash_url);
    redis::Options options;
    if (address == kRestUrl) {
      if (settings_.rest_token.empty()) complain(kRestToken, "must be given with the REST address");
      options.topology = redis::Rest{settings_.rest_url, settings_.rest_token};
    } else if (address == kHost) {
      options.topology = redis::Standalone{{settings_.host, settings_.port, {}}};
    } else if (address == kClusterNodes) {
      if (settings_.cluster == Switch::off) {
        complain(kClusterNodes,
                 fmt::format("contradicts {}: unset one", given_.name_of("redis.cluster")));
      }
      options.topology = redis::Cluster{endpoints(settings_.cluster_nodes, 6379)};
    } else {
      options.topology = sentinel();
    }
    return options;
  }

  redis::Options of_url(std::string_view key, const Secret& url) {
    auto parsed = redis::parse_redis_url(url.reveal());
    if (!parsed) {
      complain(key, parsed.error().message);
      return {};
    }
    // A cluster is found from any of its nodes.
    if (settings_.cluster == Switch::on) {
      const auto* standalone = std::get_if<redis::Standalone>(&parsed->topology);
      parsed->topology = redis::Cluster{{standalone->endpoint}};
    }
    return *std::move(parsed);
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
  void add_common(std::string_view address, redis::Options& options) {
    if (!std::holds_alternative<redis::Rest>(options.topology)) add_credentials(address, options);
    if (is_given("redis.database")) {
      if (options.database != 0 && options.database != settings_.database) {
        return complain("redis.database",
                        fmt::format("contradicts {}: unset one", given_.name_of(address)));
      }
      options.database = settings_.database;
    }
    add_tls(address, options);
    options.timeouts.connect = settings_.connect_timeout;
    options.timeouts.operation = settings_.operation_timeout;
  }

  void add_credentials(std::string_view address, redis::Options& options) {
    auto& credentials = options.credentials;
    if (!settings_.password.empty()) {
      if (!credentials.password.empty() &&
          credentials.password.reveal() != settings_.password.reveal()) {
        return complain("redis.password", fmt::format("contradicts the password in {}: unset one",
                                                      given_.name_of(address)));
      }
      credentials.password = settings_.password;
    }
    if (!settings_.username.empty()) credentials.user = settings_.username;
  }

  void add_tls(std::string_view address, redis::Options& options) {
    if (options.tls.enabled && settings_.tls == Switch::off) {
      return complain("redis.tls", fmt::format("contradicts rediss:// in {}: unset one",
                                               given_.name_of(address)));
    }
    options.tls.enabled = options.tls.enabled || settings_.tls == Switch::on;
    options.tls.verify = settings_.tls_verify;
    options.tls.ca_file = settings_.tls_ca;
    if (auto* sentinel = std::get_if<redis::Sentinel>(&options.topology))
      sentinel->tls = options.tls;
    if (options.tls.enabled || std::holds_alternative<redis::Rest>(options.topology)) return;
    if (is_given("redis.tls_ca")) {
      complain("redis.tls_ca",
               "means nothing without TLS: set REDIS_SSL=true or a rediss:// address");
    }
  }

  RedisSettings& settings_;
  const RedisGiven& given_;
  const Complain& complain_;
  bool failed_ = false;
};

}  // namespace

void resolve_redis(RedisSettings& settings, const RedisGiven& given, const Complain& complain) {
  Resolver(settings, given, complain).resolve();
}

}  // namespace redoubt::config
