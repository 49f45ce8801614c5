// What one process has one of: the record, the vault and its key ring, the engines that workers
// share, and the work that goes on in the background. The workers stand on it (app/worker.hpp).
#pragma once

#include "app/redis_tier.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/vault.hpp"
#include "config/config.hpp"
#include "local/invalidations.hpp"
#include "local/limit_engine.hpp"
#include "net/task_group.hpp"
#include "record/copy_trust.hpp"
#include "record/later_audit.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"
#include "record/retention.hpp"
#include "record/unsaved_stops.hpp"
#include "services/cache/service.hpp"
#include "services/health/service.hpp"
#include "services/idempotency/service.hpp"
#include "services/keys/ring_source.hpp"
#include "services/keys/service.hpp"
#include "services/sessions/service.hpp"
#include "services/tenants/service.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <memory>
#include <optional>

namespace redoubt::app {

class Instance {
 public:
  // Opens everything that can fail before a port is bound. `io` is the control thread's; on return
  // it has run what it had to.
  // Errors: sentences for the operator.
  static Result<std::unique_ptr<Instance>> open(const config::Config& config,
                                                boost::asio::io_context& io);
  ~Instance();

  // The admin key of a first start; shown once by whoever asks.
  std::optional<IssuedApiKey> take_first_key() { return std::move(first_key_); }

  // Sweeps, retention and re-sealing, until stop_background().
  void start_background();
  void stop_background();
  bool background_idle() const { return !background_ || background_->idle(); }
  // SIGHUP: the key ring is read again.
  void reload_keys();
  // What of the configuration may change while it runs. On the control thread.
  // True: Redis is another one, and the workers are to hear of it.
  bool apply(const config::Config& changed);

  sessions::SessionParts session_parts();
  tenants::TenantParts tenant_parts();

  const config::Config& config;
  boost::asio::io_context& io;
  SystemClock clock;
  SystemRandom random;
  Metrics metrics;
  std::unique_ptr<Log> log;
  std::unique_ptr<record::Record> record;
  record::AuthGrace auth_grace;
  local::Invalidations invalidations;
  record::UnsavedStops unsaved_stops{metrics};
  sessions::UnsavedEnds unsaved_ends{metrics, unsaved_stops};
  sessions::UseFlushes use_flushes;
  record::LaterAudit later_audit{clock, metrics};
  std::unique_ptr<keys::RingSource> ring_source;
  std::unique_ptr<Vault> vault;
  std::unique_ptr<record::Resealable> session_rows;
  std::unique_ptr<record::Resealable> answer_rows;
  std::unique_ptr<keys::KeyRing> key_ring;
  std::unique_ptr<Idempotency> idempotency;
  std::unique_ptr<local::LimitEngine> limit_engine;
  std::shared_ptr<cache::CacheEngine> cache_engine;
  std::unique_ptr<RedisTier> redis;  // Turned off when none is configured.
  std::unique_ptr<health::HealthService> health;

 private:
  Instance(const config::Config& settings, boost::asio::io_context& control);

  Result<void> open_record();
  void watch_record();
  double journal_age_seconds() const;
  Result<void> open_vault();
  Result<void> open_redis();
  Result<void> open_services();
  void follow_journal();
  void bound_cache();
  Task<void> sweep();
  Task<void> reseal();

  std::atomic<bool> cache_without_redis_{true};
  std::unique_ptr<Sessions> sweeping_sessions_;
  std::unique_ptr<ApiKeys> sweeping_keys_;
  std::unique_ptr<Timers> timers_;
  std::unique_ptr<Cache> sweeping_cache_;
  std::unique_ptr<record::Retention> retention_;
  std::unique_ptr<net::TaskGroup> background_;
  std::optional<IssuedApiKey> first_key_;
};

// The name that every log line and answer gives.
std::string_view version();

}  // namespace redoubt::app
