#include "shared/state.hpp"

#include <algorithm>
#include <array>

namespace redoubt::shared {
namespace {

// The server answered, and is where it should be; the fault is in what was asked.
constexpr std::array<std::string_view, 6> kAnswers{"redis_error",      "redis_full",
                                                   "redis_exec_abort", "redis_cross_slot",
                                                   "redis_overloaded", "redis_script_missing"};

constexpr std::string_view kOperationsHelp = "Operations on the shared tier, by how they ended.";

}  // namespace

SharedState::SharedState(const Clock& clock, Metrics& metrics, SharedDeadlines deadlines)
    : clock_(clock),
      deadlines_(deadlines),
      answered_(metrics.counter("redoubt_shared_operations_total", kOperationsHelp,
                                {{"result", "answered"}})),
      failed_(metrics.counter("redoubt_shared_operations_total", kOperationsHelp,
                              {{"result", "failed"}})),
      changes_(metrics.counter("redoubt_shared_state_changes_total",
                               "How often the shared tier went into another state.")),
      reason_("it has not been reached yet"),
      since_(clock.wall()) {
  metrics.gauge_callback("redoubt_shared_up", "1 while the shared tier is used by requests.", {},
                         [this] { return usable() ? 1.0 : 0.0; });
  metrics.gauge_callback("redoubt_shared_generation",
                         "The generation that keys of the shared tier are under.", {},
                         [this] { return static_cast<double>(generation()); });
}

bool SharedState::usable() const {
  const Availability state = state_.load(std::memory_order_acquire);
  if (state != Availability::normal && state != Availability::suspect) return false;
  return clock_.boot().ns < fresh_until_.load(std::memory_order_acquire);
}

Duration SharedState::deadline() const {
  return state_.load(std::memory_order_relaxed) == Availability::normal ? deadlines_.normal
                                                                        : deadlines_.suspect;
}

template <class F>
void SharedState::change(std::string_view reason, F&& step) {
  const BootTime now = clock_.boot();
  const std::lock_guard lock(mutex_);
  const Availability before = machine_.state();
  step(now, answered_.value());
  const Availability after = machine_.state();
  if (after == Availability::normal) {
    reason_.clear();
  } else if (!reason.empty()) {
    reason_ = reason;
  }
  if (after == before) return;
  since_ = clock_.wall();
  changes_.add();
  state_.store(after, std::memory_order_release);
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

void SharedState::canary_answered(bool gates_open, std::string_view closed_because) {
  change(gates_open ? std::string_view{} : closed_because,
         [this, gates_open](BootTime now, std::uint64_t answered) {
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
  status.state = machine_.state();
  status.reason = reason_;
  status.since = since_;
  status.generation = generation();
  status.era = eras_.current();
  return status;
}

}  // namespace redoubt::shared
