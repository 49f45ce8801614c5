#include "app/redis_tier.hpp"

#include "app/run_task.hpp"
#include "base/ids.hpp"
#include "base/timers.hpp"
#include "redis/no_client.hpp"
#include "services/incarnation/ledger.hpp"
#include "services/sessions/copies.hpp"

#include <algorithm>
#include <array>
#include <variant>

namespace redoubt::app {
namespace {

constexpr Duration kStartWait{2'000};
constexpr Duration kWorkerPauseMax{1'000};
// How often the journal is looked at while hints are not sent or not followed: while Redis is away,
// and while its copies are read again little by little.
constexpr Duration kLookUnhinted{100};
// What is promised is that Redis is used again 5 s after it answers; from the connection on it
// takes up to 2 of them. And at most one attempt a second: half of this on average.
constexpr Duration kMonitorPauseMax{2'500};
constexpr const char* kTrustsAnybody =
    "Whoever answers is taken for Redis: REDIS_SSL_CERT_REQS=none asks for no certificate to be "
    "verified.";

std::optional<redis::Options> with_identity(std::optional<redis::Options> options) {
  if (options) options->identity_key = shared::kIncarnationKey;
  return options;
}

bool trusts_anybody(const redis::Options& options) {
  const auto* const rest = std::get_if<redis::Rest>(&options.topology);
  const bool encrypted = rest != nullptr ? rest->url.starts_with("https:") : options.tls.enabled;
  return encrypted && !options.tls.verify;
}

shared::SharedDeadlines deadlines_of(const std::optional<redis::Options>& options) {
  shared::SharedDeadlines deadlines;
  if (!options) return deadlines;
  deadlines.normal = options->timeouts.operation;
  deadlines.suspect = std::min(deadlines.suspect, deadlines.normal);
  return deadlines;
}

}  // namespace

RedisTier::RedisTier(boost::asio::io_context& io, const RedisTierParts& parts)
    : parts_(parts),
      options_(with_identity(parts.options)),
      instance_(format_id("", new_id(parts.clock.wall(), parts.random))),
      timers_(make_timers(io.get_executor())),
      state_(parts.clock, parts.metrics, deadlines_of(parts.options), parts.options.has_value()),
      changes_(state_.eras()),
      ledger_(incarnation::make_ledger(parts.record, parts.clock, parts.random)),
      hears_(parts.options.has_value()) {}

Result<std::unique_ptr<RedisTier>> RedisTier::make(boost::asio::io_context& io,
                                                   const RedisTierParts& parts) {
  std::unique_ptr<RedisTier> tier(new RedisTier(io, parts));
  RD_CHECK(tier->connect(io));
  // Before there is a Redis no copy is made, and the era that begins with it is above all others'.
  parts.record.subscribe(
      [&hears = tier->hears_,
       hear = sessions::listen_for_copies(tier->changes_)](const record::JournalEntry& entry) {
        if (hears) hear(entry);
      });
  return tier;
}

Result<void> RedisTier::start(boost::asio::io_context& io) {
  if (!state_.ever_on()) return {};
  return run_task(io, monitor_->start(kStartWait));
}

Result<void> RedisTier::connect(boost::asio::io_context& io) {
  auto client = redis::no_client();
  if (options_) {
    RD_TRY(made, watching_client(io, *options_));
    client = std::move(made);
  }
  client_ = std::make_unique<redis::ReplaceableClient>(std::move(client));
  shared::MonitorOptions options;
  options.instance = instance_;
  const shared::MonitorParts monitor{*client_,      *ledger_,   state_,        parts_.clock,
                                     parts_.random, parts_.log, parts_.metrics};
  monitor_ = std::make_unique<shared::Monitor>(monitor, std::move(options));
  return {};
}

Result<std::unique_ptr<redis::Client>> RedisTier::watching_client(
    boost::asio::io_context& io, const redis::Options& options) const {
  redis::ClientParts parts{parts_.clock, *timers_, parts_.random, parts_.log, parts_.metrics, {}};
  parts.admission = [this](const redis::ServerFacts& facts) {
    return monitor_ ? monitor_->watches(facts) : Result<void>();
  };
  // The canary of a cluster is on one of its nodes, and says nothing of the others.
  if (!std::holds_alternative<redis::Cluster>(options.topology)) {
    parts.may_connect = [&state = state_] { return state.answers_probes(); };
  }
  // Somebody chose it, and whoever reads the log of any start is to know.
  if (trusts_anybody(options)) {
    parts_.log.warn("redis.certificate_not_verified", {{"message", kTrustsAnybody}});
  }
  redis::Options of_monitor = options;
  of_monitor.backoff.max = std::min(of_monitor.backoff.max, kMonitorPauseMax);
  return redis::make_client(io.get_executor(), of_monitor, parts);
}

Result<void> RedisTier::replace(boost::asio::io_context& io, const redis::Options& options) {
  std::optional<redis::Options> wanted = with_identity(options);
  RD_TRY(client, watching_client(io, *wanted));
  state_.turn_off("another one takes its place");
  state_.set_deadlines(deadlines_of(wanted));
  {
    const std::lock_guard lock(mutex_);
    options_ = std::move(wanted);
  }
  client_->replace(std::move(client));
  turn_on();
  if (!hears_.exchange(true)) watch();
  return {};
}

void RedisTier::turn_on() {
  monitor_->try_at_once();
  state_.turn_on();
}

std::optional<redis::Options> RedisTier::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

std::string RedisTier::record_identity() const {
  const std::lock_guard lock(mutex_);
  return record_identity_;
}

std::string RedisTier::topology() const {
  constexpr std::array kNames{"standalone", "sentinel", "cluster", "rest"};
  const std::optional<redis::Options> options = this->options();
  return options ? kNames[options->topology.index()] : "";
}

std::vector<std::string> RedisTier::warnings() const {
  const std::optional<redis::Options> options = this->options();
  if (!options || !trusts_anybody(*options)) return {};
  return {kTrustsAnybody};
}

Result<std::unique_ptr<redis::Client>> RedisTier::worker_client(
    boost::asio::io_context& io, Timers& timers, redis::TrackingHandler& tracking) const {
  std::optional<redis::Options> options = this->options();
  if (!options) return redis::no_client();
  return make_admitted(io, timers, *std::move(options), &tracking);
}

Result<std::unique_ptr<redis::Client>> RedisTier::face_client(boost::asio::io_context& io,
                                                              Timers& timers,
                                                              Duration limit) const {
  std::optional<redis::Options> options = this->options();
  if (!options) return redis::no_client();
  options->allow_resp3 = false;
  options->timeouts.operation = limit;
  options->timeouts.silence = std::max(options->timeouts.silence, limit * 2);
  return make_admitted(io, timers, *std::move(options), nullptr);
}

Result<std::unique_ptr<redis::Client>> RedisTier::make_admitted(
    boost::asio::io_context& io, Timers& timers, redis::Options options,
    redis::TrackingHandler* tracking) const {
  redis::ClientParts parts{parts_.clock, timers, parts_.random, parts_.log, parts_.metrics, {}};
  parts.tracking = tracking;
  parts.admission = [this](const redis::ServerFacts& facts) { return monitor_->admit(facts); };
  parts.may_connect = [this] { return state_.answers_probes() && !state_.away(); };
  // When the monitor finds Redis well again, a worker must not be resting for long.
  options.backoff.max = std::min(options.backoff.max, kWorkerPauseMax);
  return redis::make_client(io.get_executor(), options, parts);
}

void RedisTier::start_background(net::TaskGroup& background) {
  background_ = &background;
  if (hears_) watch();
}

// REQUIRES: the journal is heard from now on.
void RedisTier::watch() {
  if (monitor_->began()) begun();
  background_->repeat("shared.record", shared::kMonitorPeriod, [this] { return ask_record(); });
  background_->repeat("shared.monitor", shared::kMonitorPeriod,
                      [this] { return monitor_->run_once(); });
}

Task<void> RedisTier::ask_record() {
  RD_CO_CHECK(co_await monitor_->ask_record());
  if (monitor_->began() && !begun_ && !stopped_) begun();
  co_return Result<void>{};
}

void RedisTier::begun() {
  begun_ = true;
  {
    const std::lock_guard lock(mutex_);
    record_identity_ = monitor_->identity();
  }
  exchange_hints();
}

void RedisTier::exchange_hints() {
  shared::JournalHintsParts hints{.client = *client_,
                                  .state = state_,
                                  .clock = parts_.clock,
                                  .timers = *timers_,
                                  .log = parts_.log,
                                  .metrics = parts_.metrics,
                                  .hurry = [&record = parts_.record] { record.hurry(); }};
  hints_ =
      std::make_unique<shared::JournalHints>(std::move(hints), monitor_->identity(), instance_);
  const bool others = parts_.record.when_announced([hints = hints_.get()] { hints->announced(); });
  if (!others) return hints_.reset();
  background_->spawn("shared.hints", hints_->run());
  exchange_invalidations();
  background_->repeat("record.hurry", kLookUnhinted, [this]() -> Task<void> {
    const bool hinted = state_.reachable() && state_.all_reads_open();
    if (!state_.off() && !hinted) parts_.record.hurry();
    co_return Result<void>{};
  });
}

void RedisTier::exchange_invalidations() {
  if (invalidations_ == nullptr) return;
  told_ = std::make_unique<shared::HintChannel>(shared::HintChannelParts{
      .client = *client_,
      .state = state_,
      .clock = parts_.clock,
      .timers = *timers_,
      .log = parts_.log,
      .metrics = parts_.metrics,
      .counter = "redoubt_cache_hints_total",
      .counter_help = "Messages to other instances of invalidations that are not recorded yet.",
      .topic = shared::Topic::invalidations,
      .identity = monitor_->identity(),
      .instance = instance_,
      .messages = [told = invalidations_](bool) { return told->messages(); },
      .heard = [told = invalidations_](std::string_view message) { told->hear(message); }});
  background_->spawn("cache.hints", told_->run());
}

void RedisTier::stop() {
  stopped_ = true;
  if (hints_) hints_->stop();
  if (told_) told_->stop();
  client_->stop();
}

}  // namespace redoubt::app
