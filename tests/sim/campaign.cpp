#include "tests/sim/campaign.hpp"

#include "tests/sim/shrink.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace redoubt::sim {

std::optional<Failure> campaign(std::uint64_t first, const PlanOptions& options,
                                const Enough& enough, Truth& truth, Totals& totals) {
  const auto began = std::chrono::steady_clock::now();
  std::optional<Failure> failure;
  for (std::uint64_t seed = first; !failure; ++seed) {
    totals.took = std::chrono::steady_clock::now() - began;
    if (totals.runs >= enough.runs || totals.operations >= enough.operations ||
        totals.took >= enough.time) {
      break;
    }
    const Plan plan = draw_plan(seed, options);
    const Verdict verdict = simulate(plan, truth);
    ++totals.runs;
    totals.faulty_runs += plan.faults.empty() ? 0 : 1;
    totals.operations += verdict.operations;
    totals.events += verdict.events;
    totals.simulated += verdict.simulated;
    totals.limits.add(verdict.limits);
    if (!verdict.violations.empty()) failure = Failure{plan, verdict.violations};
  }
  totals.took = std::chrono::steady_clock::now() - began;
  return failure;
}

std::string describe(const Totals& totals) {
  const double minutes = totals.took.count() / 60;
  std::string out = fmt::format(
      "{} runs ({} with faults), {} operations, {} events, {:.1f} instance-hours, in {:.1f} s: "
      "{:.0f} operations a minute\n",
      totals.runs, totals.faulty_runs, totals.operations, totals.events, totals.cluster_hours(),
      totals.took.count(), minutes > 0 ? static_cast<double>(totals.operations) / minutes : 0);
  out += "limits by the row in force (how often, and the fullest interval against its bound):\n";
  for (std::size_t i = 0; i < kLimitRows.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "  {:<16} {:>9}  {:.3f}\n", kLimitRows[i],
                   totals.limits.in_force[i], totals.limits.fullest[i]);
  }
  return out;
}

std::string describe_shrunk(const Failure& failure, Truth& truth) {
  const std::string& checker = failure.violations.front().checker;
  Violations last = failure.violations;
  const auto fails = [&](const Plan& plan) {
    const Violations found = simulate(plan, truth).violations;
    const bool same = std::ranges::any_of(
        found, [&](const Violation& violation) { return violation.checker == checker; });
    if (same) last = found;
    return same;
  };
  const Edit edit = shrink(failure.plan, fails);
  const Plan plan = edited(failure.plan, edit);
  std::string out = fmt::format("{} instances, {} faults of {}:\n", plan.instances,
                                plan.faults.size(), failure.plan.faults.size());
  for (const Fault& fault : plan.faults) out += "  " + describe(fault) + "\n";
  for (const Violation& violation : last) {
    out += fmt::format("violated: {}: {}\n", violation.checker, violation.what);
  }
  out += "again: redoubt_simulate " + replay_arguments(failure.plan, edit) + "\n";
  return out;
}

}  // namespace redoubt::sim
