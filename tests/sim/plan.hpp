// What one run will be: drawn from a seed, and edited by whoever makes a failing one smaller.
#pragma once

#include "tests/sim/bugs.hpp"
#include "tests/sim/world.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sim {

enum class FaultKind : std::uint8_t {
  redis_hangs,
  redis_down,          // And back with what it had.
  redis_restarts,      // At once, empty.
  redis_rolls_back,    // At once, with what it had `amount` ms before.
  redis_flushed,
  redis_evicts,        // amount: percent
  redis_errors,        // amount: which error reply, to everything
  redis_refuses,       // amount: which error reply, to writes
  redis_clock,         // amount: ms
  redis_forgets_scripts,
  redis_fork,          // A replica of `amount` ms ago is promoted; the old master goes on meanwhile,
                       // or for good.
  redis_cut,           // instance; amount: 0 both ways, 1 there, 2 back
  redis_slow,          // instance; amount: ms
  record_down,
  record_cut,          // instance; amount: as redis_cut
  record_slow,         // instance; amount: ms
  record_loses,        // amount: of a thousand commits, done or not, and nobody is told
  crash,               // instance
  pause,               // instance
  wall_clock,          // instance; amount: ms
};
inline constexpr std::size_t kFaultKinds = 20;
std::string_view fault_name(FaultKind kind);

struct Fault {
  FaultKind kind = FaultKind::redis_hangs;
  Nanos at{0};
  Nanos lasts{0};
  int instance = 0;
  std::int64_t amount = 0;
};
std::string describe(const Fault& fault);

// Replies of Redis that faults answer with.
inline constexpr std::array<std::string_view, 10> kErrors{
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BUSY Redis is busy running a script.",
    "NOAUTH Authentication required.",
    "ERR something that nobody has heard of",
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "UNKILLABLE Sorry the script already executed write commands",
};
inline constexpr std::array<std::string_view, 4> kRefusals{
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "READONLY You can't write against a read only replica.",
};

struct Plan {
  std::uint64_t seed = 1;
  Bug bug = Bug::none;
  int instances = 3;
  Nanos length = std::chrono::seconds(20);  // Then everything is healed.
  std::int64_t rate = 300;                  // Operations a second.
  // Of a hundred operations; the rest are about the cache.
  unsigned limits = 40;
  unsigned sessions = 35;  // And API keys.
  bool seal_cache = true;
  std::int64_t tight = 1;  // 1..4: the more, the less the limits admit.
  Duration auth_grace{0};  // While an instance is cut off from the record.
  std::vector<Fault> faults;
};

// A kind of fault that every plan has, beside those that are drawn.
struct Emphasis {
  FaultKind kind{};
  std::int64_t least = 0;  // Its amount.
  std::int64_t most = 0;
};
// Of mistakes that show only where two rare things meet: one of them is always there.
std::optional<Emphasis> emphasis_of(Bug bug);

// What is drawn.
struct PlanOptions {
  Bug bug = Bug::none;
  bool faults = true;
  std::int64_t rate = 0;  // 0: drawn.
  Nanos length{0};
};
Plan draw_plan(std::uint64_t seed, const PlanOptions& options = {});

// Only the faults at these places of the list that was drawn.
Plan with_faults(const Plan& plan, const std::set<std::size_t>& kept);

}  // namespace redoubt::sim
