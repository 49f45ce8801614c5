#include "app/instance.hpp"

#include "app/data_dir.hpp"
#include "app/options.hpp"
#include "app/reload.hpp"
#include "app/run_task.hpp"
#include "base/text.hpp"
#include "base/timers.hpp"
#include "config/load.hpp"
#include "local/invalidation_names.hpp"
#include "record/audit.hpp"
#include "record/idempotency_rows.hpp"
#include "record/postgres_record.hpp"
#include "record/sqlite_record.hpp"
#include "services/cache/engine.hpp"
#include "services/limits/service.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

namespace redoubt::app {
namespace {

constexpr std::size_t kSweepBatch = 500;
constexpr std::size_t kResealBatch = 200;
constexpr Duration kEngineSweep{5'000};
constexpr Duration kResealPause{200};
constexpr Duration kRetentionEvery{3'600'000};
// No session token lives longer than a year.
constexpr Duration kKeepEpochs{366LL * 86'400'000};

std::string storage_name(SessionStorage storage) {
  if (storage == SessionStorage::token) return "token";
  return sessions::keeps_copies(storage) ? "record+redis+memory" : "record+memory";
}

// The setting as it is now: a file may have a new ring in it, the environment cannot. A pipe gives
// its text once, and the settings have it.
keys::ReadKeySetting key_setting_reader(const config::CryptoSettings& crypto) {
  return [&crypto]() -> Result<std::optional<Secret>> {
    if (crypto.key_file.empty()) {
      if (crypto.key_ring.empty()) return std::nullopt;
      return crypto.key_ring;
    }
    std::error_code ignored;
    const auto kind = std::filesystem::status(crypto.key_file, ignored).type();
    const bool once = kind == std::filesystem::file_type::fifo ||
                      kind == std::filesystem::file_type::character ||
                      kind == std::filesystem::file_type::socket;
    if (once && !crypto.key_ring.empty()) return crypto.key_ring;
    RD_TRY(text, config::read_settings_file(crypto.key_file));
    if (!text) {
      return fail(invalid_argument("TOKEN_ENCRYPTION_KEY_FILE",
                                   "the file " + crypto.key_file + " is not there"));
    }
    return Secret(std::string(trim(*text)));
  };
}

}  // namespace

std::string_view version() {
  return REDOUBT_VERSION;
}

Instance::Instance(const config::Config& settings, boost::asio::io_context& control)
    : config(settings),
      io(control),
      auth_grace(settings.sessions.auth_grace),
      cache_without_redis_(settings.cache.without_redis) {
  log = make_log(clock, config.log.level, config.log.format);
  register_process_metrics(metrics);
  metrics.counter_callback("redoubt_log_lines_dropped_total",
                           "Log lines not written because the log's reader was too slow.", {},
                           [this] { return static_cast<double>(log->dropped()); });
}

Instance::~Instance() {
  if (record) record->stop();
}

Result<std::unique_ptr<Instance>> Instance::open(const config::Config& config,
                                                 boost::asio::io_context& io) {
  std::unique_ptr<Instance> instance(new Instance(config, io));
  RD_CHECK(instance->open_record());
  RD_CHECK(instance->open_vault());
  RD_CHECK(instance->open_services());
  return instance;
}

Result<void> Instance::open_record() {
  RD_CHECK(make_data_dir(config.record.data_dir, *log));
  if (config.record.database_url.empty()) {
    RD_TRY(opened, record::open_sqlite_record(record_options(config.record), clock, *log, metrics));
    record = std::move(opened);
  } else {
    const auto options = postgres_options(config.record);
    RD_TRY(opened, record::open_postgres_record(options, clock, *log, metrics));
    record = std::move(opened);
  }
  watch_record();
  return {};
}

void Instance::watch_record() {
  metrics.gauge_callback("redoubt_record_instances", "Instances that run on this record.", {},
                         [this] { return static_cast<double>(record->status().instances); });
  metrics.gauge_callback("redoubt_record_journal_age_seconds",
                         "Since the last look at what other instances changed; 0 on SQLite.", {},
                         [this] { return journal_age_seconds(); });
}

double Instance::journal_age_seconds() const {
  const BootTime fresh_until = record->fresh_until();
  if (fresh_until.ns == INT64_MAX) return 0;
  const BootTime looked = fresh_until - record::kCopiesTrustedFor;
  return std::max(0.0, std::chrono::duration<double>(clock.boot() - looked).count());
}

Result<void> Instance::open_vault() {
  keys::RingSettings settings;
  settings.read = key_setting_reader(config.crypto);
  settings.production = config.mode == config::Mode::production;
  settings.data_dir = config.record.data_dir;
  RD_TRY(source, keys::open_ring_source(std::move(settings), random));
  ring_source = std::move(source);
  RD_TRY(ring, ring_source->load());
  vault = std::make_unique<Vault>(std::move(ring), random);
  session_rows = sessions::make_session_resealer(*record, *vault);
  answer_rows = idempotency::make_answer_resealer(*record, *vault);
  key_ring = keys::make_key_ring(
      {.source = *ring_source,
       .record = *record,
       .vault = *vault,
       .clock = clock,
       .random = random,
       .log = *log,
       .metrics = metrics,
       .sealed_tokens = config.sessions.options.storage == SessionStorage::token});
  key_ring->add(*session_rows);
  key_ring->add(*answer_rows);
  return run_task(io, key_ring->start());
}

Result<void> Instance::open_services() {
  RD_CHECK(open_redis());
  follow_journal();
  RD_TRY(first, run_task(io, tenants::make_home_tenant(tenant_parts())));
  first_key_ = std::move(first);
  idempotency = idempotency::make_idempotency(
      {.record = *record, .vault = *vault, .clock = clock, .log = *log, .metrics = metrics},
      config.http.idempotency_ttl);
  limit_engine =
      std::make_unique<local::LimitEngine>(clock, random, local::LimitEngineOptions{}, metrics);
  cache_engine = cache::make_cache_engine(cache_options(config.cache), *record, clock, random,
                                          metrics, &redis->state().eras());
  record->subscribe(cache::cache_listener(cache_engine));
  bound_cache();
  redis->tell(cache_engine->best_effort());
  RD_CHECK(redis->start(io));
  health = std::make_unique<health::HealthService>(*record, clock, std::string(version()),
                                                   storage_name(config.sessions.options.storage),
                                                   &redis->state());
  health->grace_by(auth_grace);
  health->configured_by([this, of_record = record_warnings(config.record)] {
    return health::Configured{of_record, redis->topology(), redis->warnings()};
  });
  SessionOptions no_cache = config.sessions.options;
  no_cache.cache_bytes = 0;  // The sweeper looks nothing up.
  sweeping_sessions_ = sessions::make_sessions(session_parts(), no_cache);
  sweeping_keys_ = tenants::make_api_keys(tenant_parts());
  timers_ = make_timers(io.get_executor());
  sweeping_cache_ = cache::make_cache(cache_engine, *record, *timers_, *log);
  retention_ = std::make_unique<record::Retention>(*record, clock, *log, metrics);
  const std::chrono::days keep(config.record.audit_retention_days);
  retention_->add(record::audit_retention(std::chrono::duration_cast<Duration>(keep)));
  retention_->add(record::user_epoch_retention(kKeepEpochs));
  retention_->add(record::answer_retention());
  return {};
}

Result<void> Instance::open_redis() {
  RD_TRY(tier, RedisTier::make(io, {.options = config.redis.options,
                                    .record = *record,
                                    .clock = clock,
                                    .random = random,
                                    .log = *log,
                                    .metrics = metrics}));
  redis = std::move(tier);
  return {};
}

sessions::SessionParts Instance::session_parts() {
  return {.record = *record,
          .vault = *vault,
          .invalidations = invalidations,
          .clock = clock,
          .random = random,
          .log = *log,
          .metrics = metrics,
          .ends = unsaved_ends,
          .use_flushes = use_flushes,
          .refusals = later_audit,
          .grace = &auth_grace};
}

tenants::TenantParts Instance::tenant_parts() {
  return {.record = *record,
          .vault = *vault,
          .clock = clock,
          .random = random,
          .invalidations = invalidations,
          .refusals = later_audit,
          .stops = unsaved_stops,
          .grace = &auth_grace};
}

// Makes local copies stale before the change they are about is acknowledged.
void Instance::follow_journal() {
  namespace names = local::invalidation;
  record->subscribe([this](const record::JournalEntry& entry) {
    using Kind = record::JournalEntry::Kind;
    switch (entry.kind) {
      case Kind::session:
        return invalidations.bump(names::session(entry.tenant, entry.key));
      case Kind::user:
        return invalidations.bump(names::user(entry.tenant, entry.key));
      case Kind::tenant:
        return invalidations.bump(names::tenant(entry.tenant));
      case Kind::api_key:
        return invalidations.bump(names::api_key(entry.key));
      case Kind::everything:
        return invalidations.bump_all();
      case Kind::cache:
      case Kind::key_ring:
        return;
    }
  });
}

// What is in memory answers, unless it is to be silent when it is all there is.
void Instance::bound_cache() {
  cache::answer_while(*cache_engine, [this](const shared::CopyName& name) {
    if (cache_without_redis_.load(std::memory_order_relaxed)) return true;
    const shared::SharedState& state = redis->state();
    return state.off() || (state.reachable() && shared::reads_open(state, name));
  });
}

bool Instance::apply(const config::Config& changed) {
  auth_grace.set(changed.sessions.auth_grace);
  cache_without_redis_ = changed.cache.without_redis;
  if (!changed.redis.options) {
    redis->state().turn_off("it is turned off by the configuration");
    return false;
  }
  const std::optional<redis::Options> now = redis->options();
  if (now && same_redis(*changed.redis.options, *now)) {
    redis->turn_on();
    return false;
  }
  const Result<void> replaced = redis->replace(io, *changed.redis.options);
  if (!replaced) log->error("redis.replace_failed", {{"message", replaced.error().message}});
  return replaced.has_value();
}

Task<void> Instance::sweep() {
  for (;;) {
    RD_CO_TRY(ended, co_await sweeping_sessions_->sweep(kSweepBatch));
    RD_CO_TRY(keys, co_await sweeping_keys_->sweep(kSweepBatch));
    RD_CO_TRY(limits, co_await limits::sweep_strict_limits(*record, clock, kSweepBatch));
    const auto full = static_cast<std::int64_t>(kSweepBatch);
    if (ended < full && keys < full && limits < full) co_return Result<void>{};
  }
}

Task<void> Instance::reseal() {
  for (;;) {
    RD_CO_TRY(more, co_await key_ring->run_once(kResealBatch));
    if (!more) co_return Result<void>{};
  }
}

void Instance::start_background() {
  background_ = std::make_unique<net::TaskGroup>(io.get_executor(), *log);
  background_->repeat("record.sweep", config.sessions.cleanup_interval, [this] { return sweep(); });
  background_->repeat("keys.reseal", kResealPause, [this] { return reseal(); });
  background_->repeat("record.retention", kRetentionEvery, [this]() -> Task<void> {
    RD_CO_CHECK(co_await retention_->run_once(kSweepBatch));
    co_return Result<void>{};
  });
  redis->start_background(*background_);
  background_->repeat("memory.sweep", kEngineSweep, [this]() -> Task<void> {
    limit_engine->run_once();
    RD_CO_CHECK(co_await sweeping_cache_->sweep(kSweepBatch));
    co_return Result<void>{};
  });
}

void Instance::stop_background() {
  if (background_) background_->cancel();
  if (redis) redis->stop();
}

void Instance::reload_keys() {
  background_->spawn("keys.reload", [](Instance& self) -> boost::asio::awaitable<void> {
    const Result<void> done = co_await self.key_ring->reload();
    if (done) {
      self.log->info("keys.reloaded");
    } else {
      self.log->error("keys.reload_refused", {{"message", done.error().message}});
    }
  }(*this));
}

}  // namespace redoubt::app
