#include "shared/state.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace redoubt::shared {
namespace {

// The server answered, and is where it should be; the fault is in what was asked.
// (Where it is a right that lacks, or room, the canary finds it, too.)
constexpr std::array<std::string_view, 7> kAnswers{
    "redis_error",      "redis_full",       "redis_denied",        "redis_exec_abort",
    "redis_cross_slot", "redis_overloaded", "redis_script_missing"};

constexpr std::string_view kOffWord = "not_configured";
constexpr double kRampStart = 0.01;
constexpr std::int64_t kNoRamp = INT64_MIN / 2;

constexpr std::string_view kStateHelp = "1 for the state that a dependency is in.";
constexpr std::string_view kOperationsHelp = "Operations on the shared tier, by how they ended.";

}  // namespace

SharedState::SharedState(const Clock& clock, Metrics& metrics, SharedDeadlines deadlines, bool on)
    : clock_(clock),
      metrics_(metrics),
      normal_deadline_(deadlines.normal.count()),
      suspect_deadline_(deadlines.suspect.count()),
      off_(!on),
      ever_on_(on),
      ramp_began_(kNoRamp),
      answered_(metrics.counter("redoubt_shared_operations_total", kOperationsHelp,
                                {{"result", "answered"}})),
      failed_(metrics.counter("redoubt_shared_operations_total", kOperationsHelp,
                              {{"result", "failed"}})),
      changes_(metrics.counter("redoubt_shared_state_changes_total",
                               "How often the shared tier went into another state.")),
      reason_("it has not been reached yet"),
      since_(clock.wall()),
      entered_(clock.boot()) {
  if (on) {
    show();
  } else {
    machine_.restart();  // Whoever gets one later has done without.
  }
}

void SharedState::show() {
  for (const Availability state : {Availability::normal, Availability::suspect,
                                   Availability::recovering, Availability::away}) {
    metrics_.gauge_callback("redoubt_dependency_state", kStateHelp,
                            {{"dependency", "redis"}, {"state", state_word(state)}},
                            [this, state] { return !off() && state_.load() == state ? 1.0 : 0.0; });
  }
  metrics_.gauge_callback("redoubt_dependency_state", kStateHelp,
                          {{"dependency", "redis"}, {"state", kOffWord}},
                          [this] { return off() ? 1.0 : 0.0; });
  metrics_.gauge_callback("redoubt_shared_reads_open_ratio",
                          "Part of the copies that are read: it grows to 1 after Redis came back.",
                          {}, [this] { return usable() ? ramp() : 0.0; });
  metrics_.gauge_callback("redoubt_shared_up", "1 while the shared tier is used by requests.", {},
                          [this] { return usable() ? 1.0 : 0.0; });
  metrics_.gauge_callback("redoubt_shared_generation",
                          "The generation that keys of the shared tier are under.", {},
                          [this] { return static_cast<double>(generation()); });
}

bool SharedState::reachable() const {
  const Availability state = state_.load(std::memory_order_acquire);
  return state == Availability::normal || state == Availability::suspect;
}

bool SharedState::is_fresh() const {
  return clock_.boot().ns < fresh_until_.load(std::memory_order_acquire);
}

bool SharedState::usable() const {
  return reachable() && is_fresh();
}

double SharedState::ramp() const {
  const BootTime began{ramp_began_.load(std::memory_order_relaxed)};
  const double passed = std::chrono::duration<double>(clock_.boot() - began) / kRamp;
  return std::min(1.0, kRampStart + (1.0 - kRampStart) * passed);
}

bool SharedState::reads_open(std::size_t hash) const {
  if (ramp_began_.load(std::memory_order_relaxed) == kNoRamp) return true;
  constexpr std::size_t kParts = 1'000;
  return static_cast<double>(hash % kParts) < ramp() * kParts;
}

Duration SharedState::deadline() const {
  const bool normal = state_.load(std::memory_order_relaxed) == Availability::normal;
  return Duration((normal ? normal_deadline_ : suspect_deadline_).load(std::memory_order_relaxed));
}

void SharedState::set_deadlines(SharedDeadlines deadlines) {
  normal_deadline_.store(deadlines.normal.count(), std::memory_order_relaxed);
  suspect_deadline_.store(deadlines.suspect.count(), std::memory_order_relaxed);
}

std::string_view SharedState::word() const {
  return off() ? kOffWord : state_word(shown());
}

Availability SharedState::shown() const {
  const bool limited = machine_.state() == Availability::normal && !takes_writes();
  return limited ? Availability::suspect : machine_.state();
}

template <class F>
void SharedState::change(std::string_view reason, F&& step) {
  const BootTime now = clock_.boot();
  const std::lock_guard lock(mutex_);
  if (off()) return;
  const Availability before = machine_.state();
  const std::string_view told = word();
  step(now, answered_.value());
  const Availability after = machine_.state();
  std::string former_reason = reason_;
  if (shown() == Availability::normal) {
    reason_.clear();
  } else if (!reason.empty()) {
    reason_ = reason;
  }
  const bool was_in_use = before == Availability::normal || before == Availability::suspect;
  if (after == Availability::normal && !was_in_use) {
    if (was_normal_) ramp_began_.store(now.ns, std::memory_order_relaxed);
    was_normal_ = true;
  }
  if (word() != told) entered(told, std::move(former_reason));
}

// REQUIRES: the lock.
void SharedState::entered(std::string_view from, std::string former_reason) {
  const BootTime now = clock_.boot();
  if (transitions_.size() < kTransitionsMax) {
    transitions_.push_back({.from = from,
                            .to = word(),
                            .reason = reason_.empty() ? std::move(former_reason) : reason_,
                            .lasted = std::chrono::duration_cast<Duration>(now - entered_)});
  }
  since_ = clock_.wall();
  entered_ = now;
  changes_.add();
  state_.store(shown(), std::memory_order_release);
}

void SharedState::turn_off(std::string_view reason) {
  const std::lock_guard lock(mutex_);
  if (off()) return;
  const std::string_view before = word();
  machine_.restart();
  takes_writes_.store(true, std::memory_order_relaxed);
  off_.store(true, std::memory_order_relaxed);
  reason_ = reason;
  entered(before, {});
}

void SharedState::turn_on() {
  if (!ever_on_.exchange(true)) show();
  const std::lock_guard lock(mutex_);
  if (!off()) return;
  off_.store(false, std::memory_order_relaxed);
  reason_ = "it was turned on and has not been reached yet";
  entered(kOffWord, {});
}

std::vector<SharedTransition> SharedState::take_transitions() {
  const std::lock_guard lock(mutex_);
  return std::exchange(transitions_, {});
}

void SharedState::failed(const Error& error) {
  failed_.add();
  if (std::ranges::find(kAnswers, error.slug) != kAnswers.end()) return;
  change(error.message, [this](BootTime now, std::uint64_t answered) {
    machine_.operation_failed(now, answered);
  });
}

void SharedState::learned(std::int64_t generation, BootTime began) {
  generation_.store(generation, std::memory_order_release);
  fresh_until_.store((began + kViewLife).ns, std::memory_order_release);
}

void SharedState::canary_answered(bool gates_open, std::string_view closed_because,
                                  std::string_view no_writes) {
  // A record that is away takes no Redis out of use; it only lets none come back into use.
  if (gates_open && !reachable() && !is_fresh()) {
    gates_open = false;
    closed_because = "The record has not said lately which Redis is ours.";
  }
  change(gates_open ? no_writes : closed_because,
         [this, gates_open, no_writes](BootTime now, std::uint64_t answered) {
           takes_writes_.store(no_writes.empty(), std::memory_order_relaxed);
           machine_.canary_answered(now, gates_open, answered);
         });
}

void SharedState::canary_failed(const Error& error) {
  change(error.message,
         [this](BootTime now, std::uint64_t answered) { machine_.canary_failed(now, answered); });
}

void SharedState::refuse(std::string_view reason) {
  change(reason, [this](BootTime now, std::uint64_t) { machine_.refuse(now); });
}

SharedStatus SharedState::status() const {
  const std::lock_guard lock(mutex_);
  SharedStatus status;
  status.state = shown();
  status.reason = reason_;
  status.since = since_;
  status.off = off();
  status.generation = generation();
  status.era = eras_.current();
  return status;
}

}  // namespace redoubt::shared
