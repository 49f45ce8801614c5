#include "tests/sim/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace redoubt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<std::string_view, kFaultKinds> kNames{
    "redis_hangs",    "redis_down",   "redis_restarts", "redis_rolls_back", "redis_flushed",
    "redis_evicts",   "redis_errors", "redis_refuses",  "redis_clock",      "redis_forgets_scripts",
    "redis_fork",     "redis_cut",    "redis_slow",     "record_down",      "record_cut",
    "record_slow",    "record_loses", "crash",          "pause",            "wall_clock"};

// For the wall clocks of instances: far less than any session lives.
constexpr std::int64_t kWallJumpMs = 300'000;

Nanos drawn_length(Chance& chance) {
  // Most faults are short; some outlast what copies are trusted for.
  return chance.percent(50) ? chance.between(milliseconds(5), milliseconds(400))
                            : chance.between(milliseconds(400), seconds(7));
}

Fault drawn_fault(Chance& chance, const Plan& plan) {
  Fault fault;
  fault.kind = static_cast<FaultKind>(chance.below(kFaultKinds));
  fault.at = chance.between(milliseconds(500), plan.length - milliseconds(500));
  fault.lasts = drawn_length(chance);
  fault.instance = static_cast<int>(chance.below(static_cast<std::uint64_t>(plan.instances)));
  switch (fault.kind) {
    case FaultKind::redis_rolls_back:
    case FaultKind::redis_fork:
      fault.amount = chance.between(0, 3'000);
      break;
    case FaultKind::redis_evicts:
      fault.amount = chance.between(5, 100);
      break;
    case FaultKind::redis_errors:
      fault.amount = static_cast<std::int64_t>(chance.below(kErrors.size()));
      break;
    case FaultKind::redis_refuses:
      fault.amount = static_cast<std::int64_t>(chance.below(kRefusals.size()));
      break;
    case FaultKind::redis_clock:
      fault.amount = chance.between(-20'000, 20'000);
      break;
    case FaultKind::redis_cut:
    case FaultKind::record_cut:
      fault.amount = static_cast<std::int64_t>(chance.below(3));
      break;
    case FaultKind::redis_slow:
    case FaultKind::record_slow:
      fault.amount = chance.between(5, 200);
      break;
    case FaultKind::record_loses:
      fault.amount = chance.between(50, 500);
      break;
    case FaultKind::wall_clock:
      fault.amount = chance.between(-kWallJumpMs, kWallJumpMs);
      break;
    default:
      break;
  }
  return fault;
}

// A random set of instances loses something one after the other, and gets it back in another order
// ("swizzle-clogging", FoundationDB).
void add_swizzle(Chance& chance, Plan& plan) {
  const FaultKind kind = chance.percent(50) ? FaultKind::redis_cut : FaultKind::record_cut;
  const Nanos from = chance.between(milliseconds(500), plan.length / 2);
  for (int instance = 0; instance < plan.instances; ++instance) {
    if (chance.percent(40)) continue;
    Fault fault;
    fault.kind = kind;
    fault.instance = instance;
    fault.at = from + chance.between(Nanos(0), seconds(2));
    const Nanos until = from + seconds(2) + chance.between(Nanos(0), seconds(4));
    fault.lasts = until - fault.at;
    fault.amount = static_cast<std::int64_t>(chance.below(3));
    plan.faults.push_back(fault);
  }
}

void add_emphasis(Chance& chance, const Emphasis& emphasis, Plan& plan) {
  constexpr int kTimes = 4;
  for (int i = 0; i < kTimes; ++i) {
    Fault fault = drawn_fault(chance, plan);
    fault.kind = emphasis.kind;
    fault.lasts = chance.between(seconds(2), seconds(6));
    fault.amount = chance.between(emphasis.least, emphasis.most);
    plan.faults.push_back(fault);
  }
}

}  // namespace

std::optional<Emphasis> emphasis_of(Bug bug) {
  // Commits that never were, and their replies lost.
  if (bug == Bug::doubt_is_told) return Emphasis{FaultKind::record_loses, 200, 500};
  // Looks at the journal that take so long that it is never fresh, though it answers.
  if (bug == Bug::grace_in_reach) return Emphasis{FaultKind::record_slow, 500, 1'000};
  return std::nullopt;
}

std::string_view fault_name(FaultKind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

std::string describe(const Fault& fault) {
  return fmt::format("{:8.3f} s  {} instance {} amount {} for {:.3f} s",
                     std::chrono::duration<double>(fault.at).count(), fault_name(fault.kind),
                     fault.instance, fault.amount,
                     std::chrono::duration<double>(fault.lasts).count());
}

Plan draw_plan(std::uint64_t seed, const PlanOptions& options) {
  Chance chance(seed ^ 0x9e3779b97f4a7c15U);
  Plan plan;
  plan.seed = seed;
  plan.bug = options.bug;
  plan.instances = static_cast<int>(chance.between(1, 5));
  plan.length = chance.between(seconds(8), seconds(24));
  plan.rate = chance.between(100, 600);
  plan.limits = static_cast<unsigned>(chance.between(10, 70));
  plan.sessions = static_cast<unsigned>(chance.between(10, 90 - plan.limits));
  plan.seal_cache = chance.percent(50);
  plan.tight = chance.between(1, 4);
  // Some faults outlast it, others do not.
  if (chance.percent(70)) plan.auth_grace = Duration(chance.between(1'000, 6'000));
  if (options.length > Nanos(0)) plan.length = options.length;
  if (options.rate > 0) plan.rate = options.rate;
  if (!options.faults || chance.percent(5)) return plan;
  for (std::int64_t n = chance.between(1, 10); n > 0; --n) {
    plan.faults.push_back(drawn_fault(chance, plan));
  }
  if (chance.percent(25)) add_swizzle(chance, plan);
  if (const auto emphasis = emphasis_of(options.bug)) add_emphasis(chance, *emphasis, plan);
  std::ranges::sort(plan.faults, {}, [](const Fault& fault) {
    return std::tuple(fault.at, fault.kind, fault.instance, fault.lasts);
  });
  return plan;
}

Plan with_faults(const Plan& plan, const std::set<std::size_t>& kept) {
  Plan fewer = plan;
  fewer.faults.clear();
  for (std::size_t i = 0; i < plan.faults.size(); ++i) {
    if (kept.contains(i)) fewer.faults.push_back(plan.faults[i]);
  }
  return fewer;
}

}  // namespace redoubt::sim
