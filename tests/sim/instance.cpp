#include "tests/sim/instance.hpp"

#include "local/invalidation_names.hpp"
#include "services/incarnation/ledger.hpp"
#include "shared/claims.hpp"
#include "shared/copies.hpp"
#include "shared/limits.hpp"
#include "tests/sim/bug_seams.hpp"
#include "tests/sim/model_client.hpp"

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace redoubt::sim {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kChangesHelp =
    "How often the shared tier went into another state.";  // As shared::SharedState says.
constexpr Duration kStartWait{2'000};
constexpr Duration kWorkerPauseMax{1'000};  // These two as in app/redis_tier.cpp.
constexpr Duration kMonitorPauseMax{2'000};
constexpr Duration kFlushEvery{5'000};
constexpr Duration kHandOverEvery{200};
constexpr std::size_t kHandOverBatch = 256;
constexpr std::size_t kAllHeld = 4'096;
constexpr std::size_t kSmallMemory = 96 << 10;  // So that copies in memory are given up, too.

void surely(std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

std::uint64_t seed_of(World& world) {
  return world.chance().next();
}

redis::Options rested(redis::Options options, Duration pause_max) {
  options.backoff.max = std::min(options.backoff.max, pause_max);
  return options;
}

// The mistake: no end to it.
Duration grace_of(const InstanceSetup& setup) {
  return setup.bug == Bug::grace_endless ? Duration(std::chrono::hours(1)) : setup.auth_grace;
}

template <class T>
T checked(Result<T> made) {
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

}  // namespace

std::vector<RingKey> sim_ring() {
  RingKey key;
  key.key.fill(7);
  key.key[0] = 1;
  key.id = {7, 0, 0, 1};
  return {key};
}

Key256 sim_pepper() {
  Key256 pepper{};
  pepper.fill(0x5a);
  return pepper;
}

Instance::Instance(const InstanceSetup& setup, int number, std::uint64_t run, MachineClock& clock)
    : setup_(setup),
      number_(number),
      run_(run),
      life_(setup.world.begin_life()),
      clock_(clock),
      record_clock_(setup.world),
      random_(seed_of(setup.world)),
      timers_(setup.world, life_),
      monitor_redis_(rested(setup.redis, kMonitorPauseMax)),
      worker_redis_(rested(setup.redis, kWorkerPauseMax)),
      model_({.world = setup.world,
              .network = setup.network,
              .truth = setup.truth,
              .life = life_,
              .instance = number,
              .origin = fmt::format("instance-{}-{}", number, run),
              .clock = clock_,
              .log = log_,
              .metrics = metrics_,
              .habits = setup.record}),
      record_(with_bug(model_, setup.bug)),
      grace_(grace_of(setup)),
      vault_(sim_ring(), random_),
      state_(clock_, metrics_),
      state_changes_(metrics_.counter("redoubt_shared_state_changes_total", kChangesHelp)),
      changes_(state_.eras()) {
  vault_.set_pepper(sim_pepper());
  open_redis();
  follow_journal();
  open_services();
  asio::co_spawn(setup.world.io(), start(), surely);
}

Instance::~Instance() {
  setup_.world.end_life(life_);
  client_->stop();
  monitor_client_->stop();
  setup_.world.settle();
}

redis::ClientParts Instance::client_parts() {
  redis::ClientParts parts{clock_, timers_, random_, log_, metrics_, {}};
  parts.may_connect = [this] { return state_.answers_probes(); };
  return parts;
}

// The mistake: once admitted, a server stays so.
redis::Admission Instance::asked_again(redis::Admission admission) const {
  if (setup_.bug != Bug::admitted_once) return admission;
  return [admission = std::move(admission), good = std::make_shared<std::set<std::string>>()](
             const redis::ServerFacts& facts) -> Result<void> {
    if (good->contains(facts.run_id)) return {};
    RD_CHECK(admission(facts));
    good->insert(facts.run_id);
    return {};
  };
}

void Instance::open_redis() {
  if (setup_.bug != Bug::copies_unjudged) {
    record_->subscribe(sessions::listen_for_copies(changes_));
  }
  ledger_ = with_bug(incarnation::make_ledger(*record_, clock_, random_), setup_.bug);
  redis::ClientParts watching = client_parts();
  watching.admission = asked_again([this](const redis::ServerFacts& facts) {
    return monitor_ ? monitor_->watches(facts) : Result<void>();
  });
  const ModelClientParts monitoring{setup_.world, setup_.network, life_,
                                    number_,      run_, monitor_redis_, watching};
  monitor_client_ = make_model_client(monitoring);
  const shared::MonitorParts monitor{*monitor_client_, *ledger_, state_,  clock_,
                                     random_,          log_,     metrics_};
  monitor_ = std::make_unique<shared::Monitor>(
      monitor, shared::MonitorOptions{.instance = fmt::format("{}-{}", number_, run_)});
  redis::ClientParts parts = client_parts();
  parts.may_connect = [this] { return state_.answers_probes() && !state_.away(); };
  if (setup_.bug != Bug::fork_admitted) {
    parts.admission = asked_again(
        [this](const redis::ServerFacts& facts) { return monitor_->admit(facts); });
  }
  const ModelClientParts working{setup_.world, setup_.network, life_,
                                 number_,      run_, worker_redis_,  parts};
  client_ = with_bug(make_model_client(working), setup_.bug);
  shared_limits_ =
      with_bug(shared::make_shared_limits({*client_, state_, clock_}), setup_.bug);
  copies_ = with_bug(shared::make_redis_copies(*client_, state_, metrics_), setup_.bug);
  claims_ = shared::make_redis_claims(*client_, state_, metrics_);
  const sessions::SessionCopiesParts copies{*copies_, state_, changes_, *record_,
                                            vault_,   clock_, metrics_};
  session_copies_ = std::make_unique<sessions::SessionCopies>(copies);
}

void Instance::follow_journal() {
  namespace names = local::invalidation;
  if (setup_.bug == Bug::deaf_to_others) return;
  record_->subscribe([this](const record::JournalEntry& entry) {
    using Kind = record::JournalEntry::Kind;
    switch (entry.kind) {
      case Kind::session:
        return invalidations_.bump(names::session(entry.tenant, entry.key));
      case Kind::user:
        return invalidations_.bump(names::user(entry.tenant, entry.key));
      case Kind::tenant:
        return invalidations_.bump(names::tenant(entry.tenant));
      case Kind::api_key:
        if (setup_.bug == Bug::keys_deaf) return;
        return invalidations_.bump(names::api_key(entry.key));
      case Kind::everything:
        return invalidations_.bump_all();
      case Kind::cache:
      case Kind::key_ring:
        return;
    }
  });
}

void Instance::open_services() {
  limit_engine_ = std::make_unique<local::LimitEngine>(clock_, random_,
                                                       local::LimitEngineOptions{}, metrics_);
  CacheOptions cache_options;
  cache_options.bytes_max = kSmallMemory;
  cache_engine_ =
      cache::make_cache_engine(cache_options, *record_, clock_, random_, metrics_, &state_.eras());
  if (setup_.bug != Bug::cache_deaf) record_->subscribe(cache::cache_listener(cache_engine_));
  open_sessions_and_keys();
  limits::SharedTier tier{.limits = shared_limits_.get(),
                          .instances = [this] { return record_->status().instances; }};
  const Clock& strict = setup_.bug == Bug::strict_by_own_clock ? clock_ : record_clock_;
  limits_ = checked(limits::make_limits(*limit_engine_, *record_, strict, setup_.policies, metrics_,
                                        std::move(tier)));
  const cache::CacheCopiesParts copies{.copies = *copies_,
                                       .state = state_,
                                       .record = *record_,
                                       .vault = vault_,
                                       .clock = clock_,
                                       .seal = setup_.seal_cache,
                                       .claims = claims_.get()};
  cache_ = cache::make_shared_cache(cache_engine_, *record_, timers_, log_, copies);
}

void Instance::open_sessions_and_keys() {
  sessions::SessionParts parts{.record = *record_,
                               .vault = vault_,
                               .invalidations = invalidations_,
                               .clock = clock_,
                               .random = random_,
                               .log = log_,
                               .metrics = metrics_,
                               .ends = ends_,
                               .use_flushes = use_flushes_,
                               .refusals = refusals_,
                               .copies = session_copies_.get(),
                               .grace = &grace_,
                               .timers = &timers_};
  SessionOptions options;
  options.storage = SessionStorage::redis;
  options.cache_bytes = kSmallMemory;
  sessions_ = sessions::make_sessions(parts, options);
  keys_ = tenants::make_api_keys({.record = *record_,
                                  .vault = vault_,
                                  .clock = clock_,
                                  .random = random_,
                                  .invalidations = invalidations_,
                                  .refusals = refusals_,
                                  .stops = stops_,
                                  .grace = &grace_});
}

asio::awaitable<void> Instance::start() {
  static_cast<void>(co_await model_.join());
  model_.follow();
  // As a supervisor would: a start that fails is tried again.
  while (!co_await monitor_->start(kStartWait)) co_await timers_.sleep(Duration(200));
  const bool stops = setup_.bug == Bug::monitor_stops;
  asio::co_spawn(setup_.world.io(),
                 repeat(shared::kMonitorPeriod, [this] { return monitor_->ask_record(); }, stops),
                 surely);
  asio::co_spawn(setup_.world.io(),
                 repeat(shared::kMonitorPeriod, [this] { return monitor_->run_once(); }, stops),
                 surely);
  asio::co_spawn(setup_.world.io(), repeat(kFlushEvery, [this] { return flush(); }), surely);
  asio::co_spawn(setup_.world.io(), repeat(kHandOverEvery, [this] { return hand_over(); }), surely);
  ready_ = true;
}

asio::awaitable<void> Instance::repeat(Duration pause, std::function<Task<void>()> work,
                                       bool until_failure) {
  bool was_normal = false;
  for (;;) {
    co_await timers_.sleep(pause);
    static_cast<void>(co_await work());
    if (!until_failure) continue;
    const bool normal = state_.status().state == shared::Availability::normal;
    if (was_normal && !normal) co_return;
    was_normal = normal;
  }
}

Task<void> Instance::hand_over() {
  static_cast<void>(co_await cache_->hand_over(kHandOverBatch));
  co_return Result<void>{};
}

Task<void> Instance::flush() {
  static_cast<void>(co_await sessions_->flush_uses());
  static_cast<void>(co_await keys_->flush_uses());
  cache::UnsavedInvalidations& unsaved = cache_engine_->best_effort().unsaved();
  if (setup_.bug == Bug::held_given_up) unsaved.saved(unsaved.take(kAllHeld));
  static_cast<void>(co_await cache::save_invalidations(*record_, clock_, log_, unsaved));
  co_return co_await refusals_.flush(*record_);
}

}  // namespace redoubt::sim
