#include "tests/sim/simulation.hpp"

#include "base/ids.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/workload.hpp"

#include <stdexcept>

namespace redoubt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Nanos kWarmUp = milliseconds(200);
constexpr Nanos kQuiet = seconds(6);    // At least, after the heal.
constexpr Nanos kPatience = seconds(45);  // At most.
constexpr Nanos kLook = milliseconds(250);

void note_sessions(Truth& truth, History& history) {
  constexpr std::string_view kAll = "SELECT id, ver, revoked_at FROM rd_session";
  const auto rows = truth.connection().run(kAll);
  if (!rows) throw std::runtime_error(rows.error().cause);
  for (const sql::Row& row : rows->rows) {
    Id128 id{};
    const Bytes& bytes = row.bytes(0);
    std::copy(bytes.begin(), bytes.end(), id.begin());
    history.final_sessions[format_id("ses_", id)] = {row.integer(1), !row.is_null(2)};
  }
}

void note_keys(Truth& truth, History& history) {
  constexpr std::string_view kAll = "SELECT id, revoked_at FROM rd_api_key";
  const auto rows = truth.connection().run(kAll);
  if (!rows) throw std::runtime_error(rows.error().cause);
  for (const sql::Row& row : rows->rows) history.final_keys[row.text(0)] = !row.is_null(1);
}

}  // namespace

Verdict simulate(const Plan& plan, Truth& truth) {
  History history;
  return simulate(plan, truth, history);
}

Verdict simulate(const Plan& plan, Truth& truth, History& history) {
  truth.clear();
  World world(plan.seed);
  history.instances = plan.instances;
  history.auth_grace = plan.auth_grace;
  Verdict verdict;
  {
    Cluster cluster(world, truth, plan, history);
    Workload workload(world, cluster, plan, history);
    cluster.schedule_faults();
    world.run_until(kWarmUp);
    workload.start();
    world.run_until(plan.length);
    cluster.heal();
    workload.slow_down();
    Nanos end = plan.length + kQuiet;
    for (Nanos now = plan.length; now < end; now += kLook) {
      world.run_until(now + kLook);
      const bool normal = cluster.all_normal();
      if (!normal && now + kLook >= end && end < plan.length + kPatience) end += kLook;
    }
    cluster.note_states();
    workload.stop();
    world.run_until(end + seconds(5));  // What is under way ends.
    note_sessions(truth, history);
    note_keys(truth, history);
    verdict.operations = workload.operations();
    cluster.stop();
  }
  verdict.events = world.events();
  verdict.simulated = world.now() * plan.instances;
  verdict.violations = check(history, verdict.limits);
  verdict.digest = history.digest();
  return verdict;
}

}  // namespace redoubt::sim
