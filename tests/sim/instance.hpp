// One run of one instance: the production services over a model of what they stand on. What
// src/app/instance.cpp and worker.cpp make of one process with one worker, without the sockets.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/vault.hpp"
#include "local/invalidations.hpp"
#include "local/limit_engine.hpp"
#include "record/later_audit.hpp"
#include "record/unsaved_stops.hpp"
#include "redis/client.hpp"
#include "services/cache/copies.hpp"
#include "services/cache/service.hpp"
#include "services/limits/service.hpp"
#include "services/sessions/copies.hpp"
#include "services/sessions/service.hpp"
#include "services/tenants/service.hpp"
#include "shared/changes.hpp"
#include "shared/claims.hpp"
#include "shared/monitor.hpp"
#include "shared/state.hpp"
#include "tests/sim/bugs.hpp"
#include "tests/sim/machine_timers.hpp"
#include "tests/sim/model_record.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/truth.hpp"
#include "tests/sim/world.hpp"

#include <redoubt/cache.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/sessions.hpp>
#include <redoubt/tenants.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::sim {

// What all instances are made with.
struct InstanceSetup {
  World& world;
  Network& network;
  Truth& truth;
  const redis::Options& redis;
  const RecordHabits& record;
  const std::vector<LimitPolicy>& policies;
  Bug bug = Bug::none;
  bool seal_cache = true;
  Duration auth_grace{0};
};

class Instance {
 public:
  // `number`: of the machine; `run`: how often it was started before; `clock`: the machine's.
  Instance(const InstanceSetup& setup, int number, std::uint64_t run, MachineClock& clock);
  ~Instance();  // A kill -9.
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  int number() const { return number_; }
  std::uint64_t run() const { return run_; }
  const LifePtr& life() const { return life_; }
  bool ready() const { return ready_ && !life_->stopped(); }  // It may be asked.
  const shared::SharedState& shared() const { return state_; }
  std::uint64_t state_changes() const { return state_changes_.value(); }  // Of the shared tier.
  std::int64_t instances_known() const { return record_->status().instances; }

  Sessions& sessions() { return *sessions_; }
  ApiKeys& keys() { return *keys_; }
  Limits& limits() { return *limits_; }
  Cache& cache() { return *cache_; }

 private:
  redis::ClientParts client_parts();
  redis::Admission asked_again(redis::Admission admission) const;
  void open_redis();
  void follow_journal();
  void open_services();
  void open_sessions_and_keys();
  boost::asio::awaitable<void> start();
  boost::asio::awaitable<void> repeat(Duration pause, std::function<Task<void>()> work,
                                      bool until_failure = false);
  Task<void> hand_over();
  Task<void> flush();

  const InstanceSetup& setup_;
  const int number_;
  const std::uint64_t run_;
  LifePtr life_;
  MachineClock& clock_;
  MachineClock record_clock_;  // Of the database server, whose statements read it on PostgreSQL.
  SeededRandom random_;
  MachineTimers timers_;
  Metrics metrics_;
  Log& log_ = null_log();
  redis::Options monitor_redis_;
  redis::Options worker_redis_;
  ModelRecord model_;
  std::unique_ptr<record::Record> record_;
  record::AuthGrace grace_;
  Vault vault_;
  local::Invalidations invalidations_{SipKey{random_.next_u64(), random_.next_u64()}};
  record::UnsavedStops stops_{metrics_};
  sessions::UnsavedEnds ends_{metrics_, stops_};
  sessions::UseFlushes use_flushes_;
  record::LaterAudit refusals_{clock_, metrics_};
  shared::SharedState state_;
  Counter& state_changes_;
  shared::Changes changes_;
  std::unique_ptr<shared::Ledger> ledger_;
  std::unique_ptr<redis::Client> monitor_client_;
  std::unique_ptr<shared::Monitor> monitor_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::SharedLimits> shared_limits_;
  std::unique_ptr<shared::Copies> copies_;
  std::unique_ptr<shared::Claims> claims_;
  std::unique_ptr<sessions::SessionCopies> session_copies_;
  std::unique_ptr<local::LimitEngine> limit_engine_;
  std::shared_ptr<cache::CacheEngine> cache_engine_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<Limits> limits_;
  std::unique_ptr<Cache> cache_;
  bool ready_ = false;
};

// One key ring and one pepper for all instances.
std::vector<RingKey> sim_ring();
Key256 sim_pepper();

}  // namespace redoubt::sim
