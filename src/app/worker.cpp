#include "app/worker.hpp"

#include "app/options.hpp"
#include "app/redis_inspection.hpp"
#include "base/timers.hpp"
#include "faces/health/health_routes.hpp"
#include "operations/cache_operations.hpp"
#include "operations/cache_status_operations.hpp"
#include "operations/diagnostics_operations.hpp"
#include "operations/gate_operations.hpp"
#include "operations/keys_operations.hpp"
#include "operations/limits_operations.hpp"
#include "operations/openapi.hpp"
#include "operations/sessions_operations.hpp"
#include "operations/tenants_operations.hpp"
#include "services/cache/copies.hpp"
#include "services/cache/service.hpp"
#include "services/diagnostics/service.hpp"
#include "services/gate/service.hpp"
#include "services/limits/service.hpp"
#include "services/sessions/service.hpp"
#include "services/tenants/audit_service.hpp"
#include "services/tenants/service.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <string>

namespace redoubt::app {
namespace {

namespace asio = boost::asio;

// Lazily recorded uses reach the record at least this often.
constexpr Duration kFlushEvery = std::min(sessions::kFlushPeriodMax, Duration(5'000));

constexpr Duration kPulse{200};

// What Redis did not take of the cache is offered to it this often, so much at a time.
constexpr Duration kHandOverEvery{200};
constexpr std::size_t kHandOverBatch = 256;

// What the services of a worker have of Redis, also of one that may come.
Result<limits::SharedTier> open_shared(Instance& instance, asio::io_context& io,
                                       Services& services) {
  services.tracking = shared::track_copies(*instance.cache_engine, instance.metrics);
  RD_TRY(client, instance.redis->worker_client(io, *services.timers, *services.tracking));
  services.redis = std::make_unique<redis::ReplaceableClient>(std::move(client));
  services.shared_limits =
      shared::make_shared_limits({*services.redis, instance.redis->state(), instance.clock});
  services.copies =
      shared::make_redis_copies(*services.redis, instance.redis->state(), instance.metrics);
  services.claims =
      shared::make_redis_claims(*services.redis, instance.redis->state(), instance.metrics);
  const sessions::SessionCopiesParts parts{
      *services.copies, instance.redis->state(), instance.redis->changes(), *instance.record,
      *instance.vault,  instance.clock,          instance.metrics};
  services.session_copies = std::make_unique<sessions::SessionCopies>(parts);
  return limits::SharedTier{
      .limits = services.shared_limits.get(),
      .instances = [&record = *instance.record] { return record.status().instances; },
      .off = [&state = instance.redis->state()] { return state.off(); },
      .others = [&state = instance.redis->state(),
                 joint = !instance.config.record.database_url.empty()] {
        return joint || state.ever_on();
      }};
}

std::unique_ptr<Cache> make_cache(Instance& instance, Services& services) {
  const cache::CacheCopiesParts copies{.copies = *services.copies,
                                       .state = instance.redis->state(),
                                       .record = *instance.record,
                                       .vault = *instance.vault,
                                       .clock = instance.clock,
                                       .seal = instance.config.cache.seal,
                                       .claims = services.claims.get()};
  return cache::make_shared_cache(instance.cache_engine, *instance.record, *services.timers,
                                  *instance.log, copies);
}

RedisPool pool_of(const redis::Client& client) {
  const redis::ClientStatus status = client.status();
  RedisPool pool;
  pool.model =
      "No pool: a worker sends everything over one connection to each server, many commands at "
      "once.";
  pool.commands_in_flight = static_cast<std::int64_t>(status.in_flight);
  pool.commands_sent = static_cast<std::int64_t>(status.sent);
  pool.unknown_outcomes = static_cast<std::int64_t>(status.unknown_outcomes);
  pool.connects = static_cast<std::int64_t>(status.reconnects);
  return pool;
}

std::unique_ptr<Diagnostics> make_diagnostics(Instance& instance, asio::io_context& io,
                                              const Services& services) {
  diagnostics::DiagnosticsParts parts{.clock = instance.clock};
  parts.setup = [&tier = *instance.redis]() -> std::optional<diagnostics::RedisSetup> {
    const std::optional<redis::Options> options = tier.options();
    if (!options) return std::nullopt;
    return redis_setup(*options, tier.record_identity());
  };
  parts.state = &instance.redis->state();
  parts.pool = [&client = *services.redis] { return pool_of(client); };
  // REQUIRES: there is a setup, and then there are options from then on.
  parts.inspect = [&instance, &timers = *services.timers, executor = io.get_executor()] {
    const InspectionParts inspection{executor, *instance.redis->options(), instance.clock, timers,
                                     instance.random};
    return inspect_redis(inspection);
  };
  return diagnostics::make_diagnostics(std::move(parts));
}

}  // namespace

Result<std::unique_ptr<Services>> make_services(Instance& instance, asio::io_context& io) {
  const config::Config& config = instance.config;
  auto services = std::make_unique<Services>();
  services->timers = make_timers(io.get_executor());
  RD_TRY(shared, open_shared(instance, io, *services));
  sessions::SessionParts session_parts = instance.session_parts();
  session_parts.timers = services->timers.get();
  if (sessions::keeps_copies(config.sessions.options.storage)) {
    session_parts.copies = services->session_copies.get();
  }
  services->sessions = sessions::make_sessions(session_parts, config.sessions.options);
  services->tenants = tenants::make_tenants(instance.tenant_parts());
  services->api_keys = tenants::make_api_keys(instance.tenant_parts());
  RD_TRY(limits, limits::make_limits(*instance.limit_engine, *instance.record, instance.clock,
                                     config.limits.policies, instance.metrics, std::move(shared)));
  services->limits = std::move(limits);
  services->cache = make_cache(instance, *services);
  services->audit = tenants::make_audit(*instance.record, instance.later_audit);
  services->diagnostics = make_diagnostics(instance, io, *services);
  services->gate = gate::make_gate(*services->sessions, *services->limits);

  operations::Registry& registry = services->registry;
  registry.set_barrier([&record = *instance.record] { return record.wait_for_all(); });
  registry.set_idempotency(*instance.idempotency);
  operations::register_sessions(registry, *services->sessions);
  operations::register_gate(registry, *services->gate, instance.clock);
  operations::register_limits(registry, *services->limits, instance.clock, *services->audit);
  operations::register_cache(registry, *services->cache);
  operations::register_cache_status(registry, *services->cache, *instance.health,
                                    *services->diagnostics);
  operations::register_tenants(registry, *services->tenants, *services->api_keys);
  operations::register_keys(registry, *instance.key_ring);
  operations::register_audit(registry, *services->audit);
  operations::register_diagnostics(registry, *services->diagnostics);
  return services;
}

Worker::Worker(Instance& instance, std::size_t index)
    : instance_(instance),
      index_(index),
      io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
      guard_(io_.get_executor()) {}

Worker::~Worker() {
  join();
}

Result<std::unique_ptr<Worker>> Worker::make(Instance& instance, std::size_t index,
                                             const std::vector<std::uint16_t>& ports,
                                             std::shared_ptr<net::TlsContext> tls) {
  std::unique_ptr<Worker> worker(new Worker(instance, index));
  RD_CHECK(worker->build(ports, std::move(tls)));
  return worker;
}

Result<void> Worker::build(const std::vector<std::uint16_t>& ports,
                           std::shared_ptr<net::TlsContext> tls) {
  RD_TRY(services, make_services(instance_, io_));
  services_ = std::move(services);
  RD_TRY(options, rest_options(instance_.config.http));
  options.record_cut_off = [&record = *instance_.record] { return record.cut_off(); };
  authenticator_ =
      std::make_unique<faces::Authenticator>(*services_->sessions, *services_->api_keys);
  forward_auth_ =
      std::make_unique<faces::ForwardAuth>(*services_->gate, *services_->limits, instance_.clock);
  forward_auth_->limit_by_default(instance_.config.limits.enabled);
  faces::add_health_routes(routes_, *instance_.health);
  faces::add_metrics_route(routes_, instance_.metrics);
  operations::OpenApiOptions document;
  document.version = version();
  faces::add_openapi_routes(routes_, operations::openapi_document(services_->registry, document));
  handler_ = std::make_unique<faces::RestHandler>(
      services_->registry, *authenticator_, *forward_auth_, routes_, instance_.clock,
      instance_.random, *services_->audit, *instance_.log, instance_.metrics, std::move(options));
  admission_ = std::make_unique<operations::Admission>(
      admission_options(instance_.config.http),
      [&record = *instance_.record] { return record.queue_fill(); }, instance_.metrics);
  handler_->admit_by(admission_.get());
  tasks_ = std::make_unique<net::TaskGroup>(io_.get_executor(), *instance_.log);
  RD_TRY(upstash, UpstashPart::make(instance_, io_, *services_->timers, *services_->api_keys,
                                    *admission_, *handler_));
  upstash_ = std::move(upstash);

  const config::HttpSettings& http = instance_.config.http;
  const std::size_t workers = worker_count(http);
  std::size_t next = 0;
  const auto port_of = [&](const config::ListenAddress& address) {
    return ports.empty() ? address.port : ports[next++];
  };
  for (const auto& address : http.listen) {
    RD_CHECK(listen(server_options(http, address, workers), port_of(address), "http"));
  }
  for (const auto& address : http.tls_listen) {
    RD_CHECK(listen(server_options(http, address, workers), port_of(address), "https", tls));
  }
  for (const auto& address : instance_.config.upstash.listen) {
    net::HttpServerOptions own = server_options(http, address, workers);
    own.body_max = instance_.config.upstash.request_max;
    RD_CHECK(listen(std::move(own), port_of(address), "upstash"));
  }
  return {};
}

Result<void> Worker::listen(net::HttpServerOptions options, std::uint16_t port,
                            std::string_view listener, std::shared_ptr<net::TlsContext> tls) {
  options.port = port;
  options.must_be_free = index_ == 0;
  net::HttpHandler& handler = listener == "upstash" ? upstash_->own_port() : upstash_->main_port();
  auto server = net::make_http_server(io_, instance_.clock, *instance_.log, handler,
                                      std::move(options), std::move(tls));
  RD_CHECK(server->listen());
  const net::HttpServerCounters& counters = server->counters();
  const std::string worker = std::to_string(index_);
  const auto gauge = [&](std::string_view state, const std::atomic<std::int64_t>& value) {
    instance_.metrics.gauge_callback("redoubt_connections", "Connections by state.",
                                     {{"listener", listener},
                                      {"port", std::to_string(server->port())},
                                      {"state", state},
                                      {"worker", worker}},
                                     [&value] { return static_cast<double>(value.load()); });
  };
  gauge("open", counters.open);
  gauge("waiting", counters.in_flight);
  const auto counter = [&](std::string_view name, std::string_view help,
                           const std::atomic<std::int64_t>& value) {
    instance_.metrics.counter_callback(
        name, help,
        {{"listener", listener}, {"port", std::to_string(server->port())}, {"worker", worker}},
        [&value] { return static_cast<double>(value.load()); });
  };
  counter("redoubt_connections_accepted_total", "Connections accepted.", counters.accepted);
  counter("redoubt_connections_refused_total", "Connections over the limit.", counters.refused);
  counter("redoubt_connections_timed_out_total", "Connections closed for being too slow.",
          counters.timed_out);
  servers_.push_back(std::move(server));
  return {};
}

std::vector<std::uint16_t> Worker::ports() const {
  std::vector<std::uint16_t> ports;
  for (const auto& server : servers_) ports.push_back(server->port());
  return ports;
}

void Worker::start() {
  tasks_->repeat("worker.pulse", kPulse, [this] { return feel_pulse(); });
  tasks_->repeat("worker.flush", kFlushEvery, [this] { return flush(); });
  if (index_ == 0) {
    tasks_->repeat("cache.hand_over", kHandOverEvery, [this] { return hand_over(); });
  }
  upstash_->start(*tasks_);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index_)).c_str());
    io_.run();
    ended_ = true;
  });
}

void Worker::drain() {
  asio::post(io_, [this] {
    for (const auto& server : servers_) server->drain();
  });
}

bool Worker::drained() const {
  return std::ranges::all_of(servers_,
                             [](const auto& server) { return server->counters().open == 0; });
}

void Worker::replace_redis() {
  asio::post(io_, [this] {
    const RedisTier& tier = *instance_.redis;
    auto own = tier.worker_client(io_, *services_->timers, *services_->tracking);
    auto faces =
        tier.face_client(io_, *services_->timers, instance_.config.upstash.command_timeout);
    if (!own || !faces) {
      const Error& error = own ? faces.error() : own.error();
      instance_.log->error("redis.replace_failed", {{"message", error.message}});
      return;
    }
    services_->redis->replace(std::move(*own));
    services_->tracking->all_changed();  // The one that would have told is gone.
    upstash_->replace_redis(std::move(*faces));
  });
}

// How late a timer fires tells how long everything else waits for its turn. Once is nothing: a
// process that was stopped for a while is late, and not overloaded.
Task<void> Worker::feel_pulse() {
  const BootTime now = instance_.clock.boot();
  if (pulse_ != BootTime{}) {
    const auto late = std::chrono::duration_cast<Duration>(now - pulse_) - kPulse;
    admission_->ran_late(std::max(std::min(late, late_before_), Duration(0)));
    late_before_ = late;
  }
  pulse_ = now;
  co_return Result<void>{};
}

void Worker::replace_limits(const config::LimitSettings& limits) {
  asio::post(io_, [this, limits]() mutable {
    forward_auth_->limit_by_default(limits.enabled);
    const Result<void> done = services_->limits->replace_policies(std::move(limits.policies));
    if (!done) instance_.log->error("limits.reload_refused", {{"message", done.error().message}});
  });
}

Task<void> Worker::hand_over() {
  constexpr auto full = static_cast<std::int64_t>(kHandOverBatch);
  for (std::int64_t done = full; done == full;) {
    RD_CO_TRY(handed_over, co_await services_->cache->hand_over(kHandOverBatch));
    done = handed_over;
  }
  co_return Result<void>{};
}

Task<void> Worker::flush() {
  // First, and whatever becomes of the rest: other instances show old values until then.
  const Result<void> invalidated =
      co_await cache::save_invalidations(*instance_.record, instance_.clock, *instance_.log,
                                         instance_.cache_engine->best_effort().unsaved());
  RD_CO_CHECK(co_await services_->sessions->flush_uses());
  RD_CO_CHECK(co_await services_->api_keys->flush_uses());
  RD_CO_CHECK(co_await instance_.later_audit.flush(*instance_.record));
  co_return invalidated;
}

asio::awaitable<void> Worker::finish() {
  for (const auto& server : servers_) server->close_all();
  tasks_->cancel();
  const Result<void> flushed = co_await flush();
  if (!flushed) {
    instance_.log->warn("worker.flush_failed", {{"message", flushed.error().message}});
  }
  services_->redis->stop();
  upstash_->stop();
  guard_.reset();
}

void Worker::stop() {
  asio::post(io_, [this] { asio::co_spawn(io_, finish(), [](std::exception_ptr) {}); });
}

void Worker::join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace redoubt::app
