#include "services/health/service.hpp"

#include <algorithm>

namespace redoubt {

std::string_view state_name(DependencyState state) {
  switch (state) {
    case DependencyState::normal:
      return "normal";
    case DependencyState::degraded:
      return "degraded";
    case DependencyState::recovering:
      return "recovering";
    case DependencyState::down:
      return "down";
    case DependencyState::not_configured:
      return "not_configured";
  }
  return "unknown";
}

bool HealthReport::degraded() const {
  return std::ranges::any_of(dependencies, [](const Dependency& d) {
    return d.state != DependencyState::normal && d.state != DependencyState::not_configured;
  });
}

namespace health {

HealthService::HealthService(const record::Record& record, const Clock& clock, std::string version,
                             std::string session_backend)
    : record_(record),
      clock_(clock),
      version_(std::move(version)),
      session_backend_(std::move(session_backend)),
      born_(clock.boot()),
      born_wall_(clock.wall()) {}

HealthReport HealthService::report() const {
  const record::Status status = record_.status();
  Dependency record;
  record.name = "record";
  record.engine = status.engine;
  record.state =
      status.state == record::State::normal ? DependencyState::normal : DependencyState::down;
  record.reason = status.reason;
  record.since = status.since;
  Dependency redis;
  redis.name = "redis";
  redis.state = DependencyState::not_configured;
  redis.since = born_wall_;

  HealthReport report;
  report.started = started_;
  report.draining = draining_;
  report.dependencies = {std::move(record), std::move(redis)};
  report.features = {{"sessions", session_backend_},
                     {"limits", "memory"},
                     {"limits.strict", "record"},
                     {"cache", "memory"}};
  report.uptime = std::chrono::duration_cast<Duration>(clock_.boot() - born_);
  report.version = version_;
  return report;
}

}  // namespace health
}  // namespace redoubt
