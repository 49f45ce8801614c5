// Health: what works, what does not, since when and why. Truthful and cheap: no check makes a round
// trip, every state is the one the last real operation left behind.
//
// Threads: any.
#pragma once

#include <redoubt/clock.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

enum class DependencyState : std::uint8_t { normal, degraded, recovering, down, not_configured };
std::string_view state_name(DependencyState state);

struct Dependency {
  std::string name;    // "record", "redis"
  std::string engine;  // "sqlite"; empty when not configured.
  DependencyState state = DependencyState::normal;
  std::string reason;                      // Why it is not normal.
  WallTime since;                          // When it entered this state.
  std::vector<std::string> warnings = {};  // Chosen by the configuration, and not safe.
};

struct FeatureBackend {
  std::string feature;  // "sessions"
  std::string backend;  // "record+memory"
};

struct HealthReport {
  bool started = false;   // Migrations applied, listeners open.
  bool draining = false;  // Told to stop; finishing.
  std::vector<Dependency> dependencies;
  std::vector<FeatureBackend> features;
  Duration uptime{0};
  std::string version;

  // Ready to be sent requests: the record mattered at start only, Redis never (a shared dependency
  // must not empty the load balancer; refusals are answered by us, labelled).
  bool ready() const { return started && !draining; }
  bool degraded() const;  // Some dependency is neither normal nor not_configured.
};

class Health {
 public:
  virtual ~Health() = default;
  virtual HealthReport report() const = 0;
};

}  // namespace redoubt
