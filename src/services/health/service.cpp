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

namespace {

DependencyState state_of(shared::Availability availability) {
  switch (availability) {
    case shared::Availability::normal:
      return DependencyState::normal;
    case shared::Availability::suspect:
      return DependencyState::degraded;
    case shared::Availability::recovering:
      return DependencyState::recovering;
    case shared::Availability::away:
      return DependencyState::down;
  }
  return DependencyState::down;
}

// "record+redis+memory" while Redis is not used: "record+memory".
std::string without_redis(std::string backend) {
  constexpr std::string_view kRedis = "redis+";
  const std::size_t at = backend.find(kRedis);
  if (at != std::string::npos) backend.erase(at, kRedis.size());
  return backend;
}

}  // namespace

HealthService::HealthService(const record::Record& record, const Clock& clock, std::string version,
                             std::string session_backend, const shared::SharedState* redis)
    : record_(record),
      clock_(clock),
      version_(std::move(version)),
      session_backend_(std::move(session_backend)),
      redis_(redis),
      born_(clock.boot()),
      born_wall_(clock.wall()) {}

Dependency HealthService::record_state() const {
  const record::Status status = record_.status();
  Dependency record;
  record.name = "record";
  record.engine = status.engine;
  record.state =
      status.state == record::State::normal ? DependencyState::normal : DependencyState::down;
  record.reason = status.reason;
  record.since = status.since;
  if (configured_) record.warnings = configured_().record_warnings;
  return record;
}

Dependency HealthService::redis_state() const {
  Dependency redis;
  redis.name = "redis";
  redis.state = DependencyState::not_configured;
  redis.since = born_wall_;
  if (redis_ == nullptr || !redis_->ever_on()) return redis;
  const shared::SharedStatus status = redis_->status();
  if (configured_) {
    Configured configured = configured_();
    redis.engine = std::move(configured.redis_topology);
    if (!status.off) redis.warnings = std::move(configured.redis_warnings);
  }
  redis.state = status.off ? DependencyState::not_configured : state_of(status.state);
  redis.reason = status.reason;
  redis.since = status.since;
  return redis;
}

// While the record is in reach, what serves; otherwise what is left of it.
std::string HealthService::sessions_backend() const {
  const bool shared = redis_ != nullptr && redis_->usable();
  switch (record::CopyTrust(record_, clock_, grace_).now()) {
    case record::Trust::fresh:
      return shared ? session_backend_ : without_redis(session_backend_);
    case record::Trust::grace:
      return redis_ != nullptr && redis_->reachable() ? "redis+memory (grace)" : "memory (grace)";
    case record::Trust::none:
      return record_.cut_off() ? "none" : "record";
  }
  return "none";
}

std::string HealthService::keys_backend() const {
  switch (record::CopyTrust(record_, clock_, grace_).now()) {
    case record::Trust::fresh:
      return "record+memory";
    case record::Trust::grace:
      return "memory (grace)";
    case record::Trust::none:
      return record_.cut_off() ? "none" : "record";
  }
  return "none";
}

std::string HealthService::limits_backend() const {
  const bool shares = record_.status().instances > 1;
  if (redis_ == nullptr || !redis_->ever_on()) return shares ? "memory (share)" : "memory";
  return redis_->counts() ? "redis" : "memory (share)";
}

std::string HealthService::cache_backend() const {
  return redis_ != nullptr && redis_->usable() ? "redis+memory" : "memory";
}

HealthReport HealthService::report() const {
  HealthReport report;
  report.started = started_;
  report.draining = draining_;
  report.dependencies = {record_state(), redis_state()};
  const bool record_down = record_.status().state == record::State::down;
  report.features = {{"sessions", sessions_backend()},
                     {"api_keys", keys_backend()},
                     {"limits", limits_backend()},
                     {"limits.strict", record_down ? "none" : "record"},
                     {"cache", cache_backend()}};
  report.uptime = std::chrono::duration_cast<Duration>(clock_.boot() - born_);
  report.version = version_;
  return report;
}

}  // namespace health
}  // namespace redoubt
