#pragma once

#include "record/copy_trust.hpp"
#include "record/record.hpp"
#include "shared/state.hpp"

#include <redoubt/health.hpp>

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::health {

// What is configured of the dependencies; the warnings are of what is not safe about it.
struct Configured {
  std::vector<std::string> record_warnings;
  std::string redis_topology;  // "standalone", "cluster", ...
  std::vector<std::string> redis_warnings;
};

// Reads the states that the record and the shared tier keep of themselves.
// The two switches belong to the composition root: started once, draining once.
class HealthService final : public Health {
 public:
  // `session_backend`: what serves sessions while Redis is used, as "record+redis+memory".
  HealthService(const record::Record& record, const Clock& clock, std::string version,
                std::string session_backend, const shared::SharedState* redis = nullptr);

  // What verifies sessions and keys while the record is away. Once, before the first request.
  void grace_by(const record::AuthGrace& grace) { grace_ = &grace; }

  // What is configured now. Once, before the first request.
  void configured_by(std::function<Configured()> configured) {
    configured_ = std::move(configured);
  }

  HealthReport report() const override;
  void set_started() { started_ = true; }
  void set_draining() { draining_ = true; }

 private:
  Dependency record_state() const;
  Dependency redis_state() const;
  std::string sessions_backend() const;
  std::string keys_backend() const;
  std::string limits_backend() const;
  std::string cache_backend() const;

  const record::Record& record_;
  const Clock& clock_;
  const std::string version_;
  const std::string session_backend_;
  const shared::SharedState* redis_;  // Null: none is configured.
  const record::AuthGrace* grace_ = nullptr;
  std::function<Configured()> configured_;
  const BootTime born_;
  const WallTime born_wall_;
  std::atomic<bool> started_{false};
  std::atomic<bool> draining_{false};
};

}  // namespace redoubt::health
