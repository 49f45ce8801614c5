#include "app/redis_inspection.hpp"

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "redis/client.hpp"
#include "shared/inspection.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace redoubt::app {
namespace {

using diagnostics::Reach;

// Of single operations on a REST address, each a request: fewer say enough.
constexpr int kRestRounds = 5;
constexpr Duration kOperationMax{3'000};
constexpr Duration kSilence{4'000};

Reach reach_of(const redis::Endpoint& endpoint) {
  return endpoint.socket_path.empty() ? diagnostics::reach_of(endpoint.host) : Reach::loopback;
}

Reach reach_of(const std::vector<redis::Endpoint>& endpoints) {
  Reach farthest = Reach::loopback;
  for (const redis::Endpoint& one : endpoints) farthest = std::max(farthest, reach_of(one));
  return farthest;
}

std::string_view host_of_url(std::string_view url) {
  if (const std::size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find_first_of("/?"));
  if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
  return url.substr(0, url.find(':'));
}

void add_topology(const redis::Options& options, diagnostics::RedisSetup& out) {
  constexpr std::array kNames{"standalone", "sentinel", "cluster", "rest"};
  out.topology = kNames[options.topology.index()];
  if (const auto* const one = std::get_if<redis::Standalone>(&options.topology)) {
    out.reach = reach_of(one->endpoint);
  } else if (const auto* const watched = std::get_if<redis::Sentinel>(&options.topology)) {
    out.reach = reach_of(watched->sentinels);
    out.sentinels = watched->sentinels.size();
  } else if (const auto* const cluster = std::get_if<redis::Cluster>(&options.topology)) {
    out.reach = reach_of(cluster->seeds);
  } else if (const auto* const rest = std::get_if<redis::Rest>(&options.topology)) {
    out.reach = diagnostics::reach_of(host_of_url(rest->url));
    out.tls = rest->url.starts_with("https://");
    out.password = !rest->token.empty();
  }
}

// For the handshake to try it; nothing is watched.
class NothingWatched final : public redis::TrackingHandler {
 public:
  void changed(std::string_view) override {}
  void all_changed() override {}
};

}  // namespace

diagnostics::RedisSetup redis_setup(const redis::Options& options, std::string record) {
  diagnostics::RedisSetup out;
  out.tls = options.tls.enabled;
  out.tls_verified = options.tls.verify;
  out.password = !options.credentials.password.empty();
  out.user = options.credentials.user;
  out.operation_timeout = options.timeouts.operation;
  out.idle_ping = options.timeouts.idle_ping;
  out.record = std::move(record);
  add_topology(options, out);
  return out;
}

boost::asio::awaitable<shared::RedisFacts> inspect_redis(InspectionParts parts) {
  redis::Options options = std::move(parts.options);
  options.require_master = false;
  options.timeouts.operation = kOperationMax;  // What is slow is to be measured, not cut short.
  options.timeouts.silence = kSilence;
  Metrics unseen;  // What a diagnosis does is no traffic of ours.
  NothingWatched tracking;
  const redis::ClientParts client_parts{parts.clock, parts.timers, parts.random, null_log(),
                                        unseen,      {},           &tracking};
  auto client = redis::make_client(parts.executor, options, client_parts);
  if (!client) {
    shared::RedisFacts facts;
    facts.trouble = client.error().message;
    co_return facts;
  }
  shared::InspectOptions how;
  how.database = options.database;
  if (std::holds_alternative<redis::Rest>(options.topology)) how.rounds = kRestRounds;
  const shared::InspectParts inspected{**client, parts.clock, parts.random};
  shared::RedisFacts facts = co_await shared::inspect(inspected, how);
  (*client)->stop();
  co_return facts;
}

}  // namespace redoubt::app
