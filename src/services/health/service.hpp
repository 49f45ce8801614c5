#pragma once

#include "record/record.hpp"

#include <redoubt/health.hpp>

#include <atomic>

namespace redoubt::health {

// Reads the record's own state; says of Redis what is true: nothing is configured.
// The two switches belong to the composition root: started once, draining once.
class HealthService final : public Health {
 public:
  HealthService(const record::Record& record, const Clock& clock, std::string version,
                std::string session_backend);

  HealthReport report() const override;
  void set_started() { started_ = true; }
  void set_draining() { draining_ = true; }

 private:
  const record::Record& record_;
  const Clock& clock_;
  const std::string version_;
  const std::string session_backend_;
  const BootTime born_;
  const WallTime born_wall_;
  std::atomic<bool> started_{false};
  std::atomic<bool> draining_{false};
};

}  // namespace redoubt::health
