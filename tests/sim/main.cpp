// redoubt_simulate: runs seeds until one fails or there are enough; replays one. See
// docs/simulator.md.
#include "base/text.hpp"
#include "tests/sim/campaign.hpp"
#include "tests/sim/shrink.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <optional>
#include <set>
#include <string>

namespace redoubt::sim {
namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t runs = 0;
  std::uint64_t operations = 0;
  double hours = 0;
  std::string bug;
  std::string faults;  // A replay of the one seed.
  std::int64_t length_ms = 0;
  std::int64_t rate = 0;
  bool history = false;
};

std::optional<std::set<std::size_t>> places(const std::string& text) {
  std::set<std::size_t> out;
  if (text == "none") return out;
  for (const std::string_view word : split(text, ',')) {
    const auto place = parse_int(word);
    if (!place || *place < 0) return std::nullopt;
    out.insert(static_cast<std::size_t>(*place));
  }
  return out;
}

// One seed, perhaps with less in it than was drawn.
int replay(const Arguments& arguments, Bug bug, Truth& truth) {
  PlanOptions options;
  options.bug = bug;
  const Plan drawn = draw_plan(arguments.seed, options);
  Edit edit = whole(drawn);
  if (!arguments.faults.empty()) {
    const auto kept = places(arguments.faults);
    if (!kept) {
      fmt::print(stderr, "--faults: places of the list, such as 0,3,4, or none\n");
      return 2;
    }
    edit.faults = *kept;
  }
  if (arguments.length_ms > 0) edit.length = std::chrono::milliseconds(arguments.length_ms);
  if (arguments.rate > 0) edit.rate = arguments.rate;
  const Plan plan = edited(drawn, edit);
  fmt::print("seed {}: {} instances, {} operations a second\n", plan.seed, plan.instances,
             plan.rate);
  for (const Fault& fault : plan.faults) fmt::print("  {}\n", describe(fault));
  History history;
  const Verdict verdict = simulate(plan, truth, history);
  if (arguments.history) {
    for (const Operation& op : history.operations) fmt::print("{}\n", describe(op));
    for (const Charge& charge : history.charges) {
      const LimitFact& limit = history.limits[static_cast<std::size_t>(charge.limit)];
      fmt::print("{}\n", describe(charge, limit));
    }
  }
  for (const Violation& violation : verdict.violations) {
    fmt::print("violated: {}: {}\n", violation.checker, violation.what);
  }
  fmt::print("{} operations, history {:016x}\n", verdict.operations, verdict.digest);
  return verdict.violations.empty() ? 0 : 1;
}

int run(const Arguments& arguments, Bug bug, Truth& truth) {
  PlanOptions options;
  options.bug = bug;
  Enough enough;
  if (arguments.runs > 0) enough.runs = arguments.runs;
  if (arguments.operations > 0) enough.operations = arguments.operations;
  if (arguments.hours > 0) {
    const std::chrono::duration<double, std::ratio<3600>> hours(arguments.hours);
    enough.time = std::chrono::duration_cast<std::chrono::steady_clock::duration>(hours);
  }
  Totals totals;
  const auto failure = campaign(arguments.seed, options, enough, truth, totals);
  fmt::print("{}", describe(totals));
  if (!failure) return 0;
  fmt::print("seed {} fails: {}: {}\n", failure->plan.seed, failure->violations.front().checker,
             failure->violations.front().what);
  std::fflush(stdout);
  fmt::print("{}", describe_shrunk(*failure, truth));
  return 1;
}

int main_of(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"Runs simulated clusters until one breaks a promise."};
  app.add_option("--seed", arguments.seed, "The first seed; the only one of a replay.");
  app.add_option("--runs", arguments.runs, "How many seeds.");
  app.add_option("--operations", arguments.operations, "Until so many operations were run.");
  app.add_option("--hours", arguments.hours, "For so long, by this machine's clock.");
  app.add_option("--bug", arguments.bug, "With a deliberate mistake in it (tests/sim/bugs.hpp).");
  app.add_option("--faults", arguments.faults, "Replay: only these of the drawn faults.");
  app.add_option("--length-ms", arguments.length_ms, "Replay: how long, before all is healed.");
  app.add_option("--rate", arguments.rate, "Replay: operations a second.");
  app.add_flag("--history", arguments.history, "Replay: print every operation.");
  CLI11_PARSE(app, argc, argv);
  const std::optional<Bug> bug = arguments.bug.empty() ? Bug::none : find_bug(arguments.bug);
  if (!bug) {
    fmt::print(stderr, "--bug: there is no {}; there are:", arguments.bug);
    for (const BugName& known : kBugs) fmt::print(stderr, " {}", known.name);
    fmt::print(stderr, "\n");
    return 2;
  }
  const auto truth = Truth::open();
  if (!truth) {
    fmt::print(stderr, "{} {}\n", truth.error().message, truth.error().cause);
    return 2;
  }
  const bool one = !arguments.faults.empty() || arguments.length_ms > 0 || arguments.rate > 0 ||
                   arguments.history;
  const bool endless = arguments.runs == 0 && arguments.operations == 0 && arguments.hours == 0;
  return one || endless ? replay(arguments, *bug, **truth) : run(arguments, *bug, **truth);
}

}  // namespace
}  // namespace redoubt::sim

int main(int argc, char** argv) {
  return redoubt::sim::main_of(argc, argv);
}
