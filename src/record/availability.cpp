#include "record/availability.hpp"

#include <chrono>

namespace redoubt::record {

Availability::Availability(Clock& clock, Log& log, Metrics& metrics)
    : clock_(clock),
      log_(log),
      up_(metrics.gauge("redoubt_record_up", "1 while writes to the record succeed, else 0.")) {
  status_.since = clock_.wall();
  up_.set(1);
}

void Availability::failed(std::string_view reason, const std::string& cause) {
  const std::lock_guard lock(mutex_);
  if (status_.state == State::down) {
    status_.reason = reason;
    return;
  }
  status_.state = State::down;
  status_.reason = reason;
  status_.since = clock_.wall();
  down_since_ = clock_.boot();
  up_.set(0);
  log_.error("record.down", {{"reason", reason}, {"cause", cause}});
}

void Availability::succeeded() {
  const std::lock_guard lock(mutex_);
  if (status_.state == State::normal) return;
  const auto down_for =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.boot() - down_since_);
  log_.info("record.recovered", {{"reason", status_.reason}, {"duration_ms", down_for.count()}});
  status_.state = State::normal;
  status_.reason.clear();
  status_.since = clock_.wall();
  up_.set(1);
}

Status Availability::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

}  // namespace redoubt::record
