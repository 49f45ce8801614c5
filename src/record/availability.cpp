#include "record/availability.hpp"

#include <chrono>

namespace redoubt::record {
namespace {

std::string_view name_of(State state) {
  return state == State::normal ? "normal" : "down";
}

Gauge& state_gauge(Metrics& metrics, std::string_view state) {
  return metrics.gauge("redoubt_dependency_state", "1 for the state that a dependency is in.",
                       {{"dependency", "record"}, {"state", state}});
}

}  // namespace

Availability::Availability(Clock& clock, Log& log, Metrics& metrics)
    : clock_(clock),
      log_(log),
      up_(metrics.gauge("redoubt_record_up",
                        "1 while the record can be reached and writes to it succeed, else 0.")),
      normal_(state_gauge(metrics, "normal")),
      down_(state_gauge(metrics, "down")),
      since_(clock.boot()) {
  status_.since = clock_.wall();
  up_.set(1);
  normal_.set(1);
}

void Availability::failed(std::string_view reason, const std::string& cause, By by) {
  const std::lock_guard lock(mutex_);
  refused_ = reason;
  refused_by_ = by;
  settle(cause);
}

void Availability::succeeded() {
  const std::lock_guard lock(mutex_);
  if (refused_.empty() && lost_.empty()) return;
  refused_.clear();
  lost_.clear();
  settle({});
}

void Availability::unreachable(std::string_view reason, const std::string& cause) {
  const std::lock_guard lock(mutex_);
  if (lost_ == reason) return;
  lost_ = reason;
  settle(cause);
}

void Availability::reached() {
  const std::lock_guard lock(mutex_);
  const bool writes_too = !refused_.empty() && refused_by_ == By::way;
  if (lost_.empty() && !writes_too) return;
  lost_.clear();
  if (writes_too) refused_.clear();
  settle({});
}

// REQUIRES: the lock.
void Availability::settle(const std::string& cause) {
  const State before = status_.state;
  const std::string former_reason = status_.reason;
  status_.reason = refused_.empty() ? lost_ : refused_;
  status_.state = status_.reason.empty() ? State::normal : State::down;
  if (status_.state == before) return;
  const BootTime now = clock_.boot();
  const auto lasted = std::chrono::duration_cast<std::chrono::milliseconds>(now - since_);
  const bool up = status_.state == State::normal;
  status_.since = clock_.wall();
  since_ = now;
  up_.set(up ? 1 : 0);
  normal_.set(up ? 1 : 0);
  down_.set(up ? 0 : 1);
  log_.write(up ? LogLevel::info : LogLevel::error, "record.state_changed",
             {{"from", name_of(before)},
              {"to", name_of(status_.state)},
              {"reason", up ? former_reason : status_.reason},
              {"cause", cause},
              {"lasted_ms", lasted.count()}});
}

Status Availability::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace redoubt::record
