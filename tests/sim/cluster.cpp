#include "tests/sim/cluster.hpp"

#include "record/tenant_rows.hpp"
#include "shared/incarnation.hpp"
#include "shared/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr Nanos kSampleEvery = std::chrono::milliseconds(500);
constexpr Nanos kMovesOn = std::chrono::seconds(2);  // Until a monitor has followed.

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void cut(Way& way, std::int64_t amount, bool on) {
  if (amount != 2) way.there_cut = on;
  if (amount != 1) way.back_cut = on;
}

void slow(Way& way, std::int64_t ms, bool on) {
  way = {.there_cut = way.there_cut, .back_cut = way.back_cut};
  if (on) way.most = std::chrono::milliseconds(ms);
}

}  // namespace

std::string tenant_id(int tenant) {
  return fmt::format("tenant{}", tenant);
}

Cluster::Cluster(World& world, Truth& truth, const Plan& plan, History& history)
    : world_(world), truth_(truth), plan_(plan), history_(history), network_(world) {
  redis_.identity_key = shared::kIncarnationKey;
  habits_.gives_up_holes = plan.bug == Bug::holes_skipped;
  habits_.tells_doubt = plan.bug == Bug::doubt_is_told;
  if (plan.bug == Bug::listeners_late) habits_.tells_late = Duration(300);
  make_policies();
  prepare_truth();
  add_server();
  setup_ = std::make_unique<InstanceSetup>(InstanceSetup{.world = world,
                                                         .network = network_,
                                                         .truth = truth,
                                                         .redis = redis_,
                                                         .record = habits_,
                                                         .policies = policies_,
                                                         .bug = plan.bug,
                                                         .seal_cache = plan.seal_cache,
                                                         .auth_grace = plan.auth_grace});
  for (int i = 0; i < plan.instances; ++i) machines_.emplace_back(world);
  for (int i = 0; i < plan.instances; ++i) {
    network_.lead(i, 0);
    start(i);
  }
  note_reach();
  sample();
}

Cluster::~Cluster() {
  stop();
}

void Cluster::stop() {
  for (Machine& machine : machines_) machine.instance.reset();
}

void Cluster::make_policies() {
  const auto add = [this](std::string name, std::int64_t limit, Duration period,
                          std::int64_t burst) {
    LimitPolicy policy;
    policy.name = std::move(name);
    policy.limit = limit;
    policy.period = period;
    policy.burst = burst;
    policies_.push_back(std::move(policy));
  };
  // Numbers that 1'000'000 can be divided by.
  constexpr std::array<std::int64_t, 4> kQuick{40, 20, 10, 8};
  constexpr std::array<std::int64_t, 4> kWide{100, 50, 25, 20};
  constexpr std::array<std::int64_t, 4> kStrict{10, 5, 4, 2};
  const auto tight = static_cast<std::size_t>(plan_.tight - 1);
  add("quick", kQuick[tight], Duration(1'000), 20);
  add("small", 2, Duration(1'000), 3);
  add("slow", 60, Duration(60'000), 12);
  add("wide", kWide[tight], Duration(1'000), 100);
  add("strict", kStrict[tight], Duration(1'000), 5);
  policies_.back().limit_class = LimitClass::strict;
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    for (const LimitPolicy& policy : policies_) {
      const std::string name = tenant_id(tenant) + "/" + policy.name;
      limits_by_name_[name] = static_cast<std::int32_t>(history_.limits.size());
      history_.limits.push_back(
          {name, policy.limit, policy.burst, policy.period.count() * 1'000,
           policy.limit_class == LimitClass::strict});
    }
  }
}

void Cluster::prepare_truth() {
  constexpr std::string_view kTenant =
      "INSERT INTO rd_tenant (id, name, created_at) VALUES ($1, $1, $2)";
  for (int i = 0; i < kTenants; ++i) {
    const std::string id = tenant_id(i);
    const sql::Param params[] = {std::string_view(id), kWallStart.ms};
    const auto added = truth_.connection().run(kTenant, params);
    if (!added) throw std::runtime_error(added.error().message + added.error().cause);
  }
}

void Cluster::add_server() {
  const auto number = static_cast<int>(network_.servers().size());
  network_.servers().push_back(std::make_unique<ModelRedis>(
      world_, number, [this](const ModelRedis::Ran& ran) { witness(ran); }));
}

void Cluster::start(int number) {
  Machine& machine = machines_[static_cast<std::size_t>(number)];
  machine.instance =
      std::make_unique<Instance>(*setup_, number, machine.runs++, machine.clock);
}

// ---- Watching ----

void Cluster::witness(const ModelRedis::Ran& ran) {
  // All policies here have whole intervals, so this is the script of every charge.
  constexpr std::size_t kArguments = 4;
  if (ran.script != "limits_gcra_whole.lua") return;
  const bool one = !ran.reply.is_aggregate();
  for (std::size_t i = 0; i < ran.keys.size(); ++i) {
    Charge charge;
    charge.limit = limit_of(ran.keys[i], charge.generation);
    if (charge.limit < 0) continue;
    charge.at = world_.now();
    charge.clock_us = ran.server.clock_us();
    charge.price_us = number(ran.arguments[i * kArguments]);
    charge.tau_us = number(ran.arguments[i * kArguments + 1]);
    charge.memory = ran.server.memory();
    charge.server = static_cast<std::int8_t>(ran.server.number());
    charge.instance = static_cast<std::int8_t>(ran.client / kRunsPerMachine);
    charge.run = static_cast<std::uint8_t>(ran.client % kRunsPerMachine);
    charge.charged = (one ? ran.reply : ran.reply.items()[i]).as_integer() >= 0;
    history_.charges.push_back(charge);
  }
}

std::int32_t Cluster::limit_of(std::string_view key, std::int64_t& generation) {
  const auto parsed = shared::parse_key(key);
  if (!parsed || parsed->segments.empty()) return -1;
  generation = parsed->generation;
  const auto it = limits_by_name_.find(parsed->tenant + "/" + parsed->segments[0]);
  return it == limits_by_name_.end() ? -1 : it->second;
}

void Cluster::sample() {
  for (int i = 0; i < size(); ++i) {
    Machine& machine = machines_[static_cast<std::size_t>(i)];
    Instance* const instance = machine.instance.get();
    Sample sample{.at = world_.now(), .instance = static_cast<std::int8_t>(i)};
    const bool ready = instance != nullptr && instance->ready();
    sample.steady = ready && truth_.up() && !network_.to_record(i).cut();
    if (ready) sample.believed = instance->instances_known();
    history_.samples.push_back(sample);
  }
  world_.after(kSampleEvery, [this] { sample(); });
}

// What has changed since it was noted last.
void Cluster::note_reach() {
  for (int i = 0; i < size(); ++i) {
    Machine& machine = machines_[static_cast<std::size_t>(i)];
    Reach now{.at = world_.now(), .instance = static_cast<std::int8_t>(i)};
    now.runs = machine.instance != nullptr && !machine.instance->life()->stopped();
    now.record = now.runs && truth_.up() && !network_.to_record(i).cut();
    if (machine.reach.at >= Nanos(0) && now.runs == machine.reach.runs &&
        now.record == machine.reach.record) {
      continue;
    }
    machine.reach = now;
    history_.reach.push_back(now);
  }
}

bool Cluster::all_normal() {
  bool all = true;
  for (Machine& machine : machines_) {
    Instance* const instance = machine.instance.get();
    const bool normal = instance != nullptr && instance->ready() &&
                        instance->shared().status().state == shared::Availability::normal;
    if (!normal) machine.normal_at = Nanos(-1);
    if (normal && machine.normal_at < Nanos(0)) machine.normal_at = world_.now();
    all = all && normal;
  }
  return all;
}

void Cluster::note_states() {
  all_normal();
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    const Machine& machine = machines_[i];
    StateFact fact;
    fact.instance = static_cast<int>(i);
    fact.ready = machine.instance && machine.instance->ready();
    fact.run = static_cast<std::uint8_t>(machine.runs - 1);
    fact.normal = machine.normal_at >= Nanos(0);
    fact.normal_after = machine.normal_at - history_.healed_at;
    // It rests for 1 s, doubled each time Redis did not last, 30 s at most; two changes or three are
    // one time.
    const std::uint64_t changes = fact.ready ? machine.instance->state_changes() : 0;
    const auto times = std::min<std::uint64_t>(changes / 2, 5);
    fact.rest = std::chrono::seconds(times > 1 ? std::min(1 << times, 30) : 0);
    fact.rest += std::max(left_behind_until_ - history_.healed_at, Nanos(0));
    history_.states.push_back(fact);
  }
}

// ---- Faults ----

void Cluster::schedule_faults() {
  for (const Fault& fault : plan_.faults) {
    if (fault.kind == FaultKind::redis_rolls_back || fault.kind == FaultKind::redis_fork) {
      const Nanos when = fault.at - std::chrono::milliseconds(fault.amount);
      world_.after(when - world_.now(), [this, &fault] {
        snapshots_[describe(fault)] = {master().saved(), master().ahead(), world_.now()};
      });
    }
    world_.after(fault.at - world_.now(), [this, &fault] {
      begin(fault);
      note_reach();
    });
    world_.after(fault.at + fault.lasts - world_.now(), [this, &fault] {
      if (history_.healed_at == Nanos(0)) end(fault);
      note_reach();
    });
  }
}

void Cluster::begin(const Fault& fault) {
  if (history_.healed_at > Nanos(0)) return;
  Machine& machine = machines_[static_cast<std::size_t>(fault.instance)];
  const auto amount = fault.amount;
  switch (fault.kind) {
    case FaultKind::redis_hangs:
      return master().hang();
    case FaultKind::redis_down:
      return master().stop();
    case FaultKind::redis_restarts:
      return master().start_empty();
    case FaultKind::redis_rolls_back:
      return start_from(snapshots_[describe(fault)]);
    case FaultKind::redis_flushed:
      return master().flush();
    case FaultKind::redis_evicts:
      return master().evict(static_cast<unsigned>(amount));
    case FaultKind::redis_errors:
      return master().answer_with(std::string(kErrors[static_cast<std::size_t>(amount)]));
    case FaultKind::redis_refuses:
      return master().refuse_writes(std::string(kRefusals[static_cast<std::size_t>(amount)]));
    case FaultKind::redis_clock:
      history_.clock_moves.push_back({world_.now(), master_, amount * 1'000});
      return master().move_clock(std::chrono::milliseconds(amount));
    case FaultKind::redis_forgets_scripts:
      return master().forget_scripts();
    case FaultKind::redis_fork:
      return fork(fault);
    case FaultKind::redis_cut:
      return cut(network_.to_redis(fault.instance, master_), amount, true);
    case FaultKind::redis_slow:
      return slow(network_.to_redis(fault.instance, master_), amount, true);
    case FaultKind::record_down:
      return truth_.set_up(false);
    case FaultKind::record_cut:
      return cut(network_.to_record(fault.instance), amount, true);
    case FaultKind::record_slow:
      return slow(network_.to_record(fault.instance), amount, true);
    case FaultKind::record_loses:
      habits_.lost_replies = habits_.lost_commits = static_cast<unsigned>(amount);
      return;
    case FaultKind::crash:
      machine.instance.reset();
      return;
    case FaultKind::pause:
      if (machine.instance) world_.stop_life(machine.instance->life());
      return;
    case FaultKind::wall_clock:
      history_.wall_moved = true;
      machine.clock.set_ahead(Duration(amount));
      return;
  }
}

// Every server: a fork may have made another one master since.
void Cluster::end(const Fault& fault) {
  Machine& machine = machines_[static_cast<std::size_t>(fault.instance)];
  switch (fault.kind) {
    case FaultKind::redis_hangs:
      for (const auto& server : network_.servers()) {
        if (server->hung()) server->go_on();
      }
      return;
    case FaultKind::redis_down:
      for (const auto& server : network_.servers()) {
        if (!server->reachable()) restart(*server);
      }
      return;
    case FaultKind::redis_errors:
      for (const auto& server : network_.servers()) server->answer_with({});
      return;
    case FaultKind::redis_refuses:
      for (const auto& server : network_.servers()) {
        if (server->facts().role == "master") server->refuse_writes({});
      }
      return;
    case FaultKind::redis_cut:
    case FaultKind::redis_slow:
      for (const auto& server : network_.servers()) {
        network_.to_redis(fault.instance, server->number()) = {};
      }
      return;
    case FaultKind::record_down:
      return truth_.set_up(true);
    case FaultKind::record_cut:
    case FaultKind::record_slow:
      network_.to_record(fault.instance) = {};
      return;
    case FaultKind::record_loses:
      habits_.lost_replies = habits_.lost_commits = 0;
      return;
    case FaultKind::crash:
      if (!machine.instance) start(fault.instance);
      return;
    case FaultKind::pause:
      if (machine.instance && machine.instance->life()->stopped()) {
        world_.continue_life(machine.instance->life());
      }
      return;
    default:
      return;
  }
}

// With what it had; as a replica if another one took over. As a master it would be a Redis that nobody
// has left behind, and whoever's name still leads there would take it.
void Cluster::restart(ModelRedis& server) {
  server.start_with(server.saved());
  if (&server != &master()) server.demote();
}

// What is in it was written by another clock: where that was behind, it is as if this one jumped.
void Cluster::start_from(const Snapshot& snapshot) {
  master().start_with(snapshot.keys);
  history_.put_back.push_back({master().memory(), snapshot.taken_at});
  const std::chrono::microseconds jump = master().ahead() - snapshot.ahead;
  if (jump > std::chrono::microseconds(0)) {
    history_.clock_moves.push_back({world_.now(), master_, jump.count()});
  }
}

// A replica is promoted. The name leads to it, for one instance sooner than for another, and the old
// master takes writes until it hears of it; one in three never does.
// Of two failovers before everybody has heard of the first, whoever is led to the server in between
// leaves the last one behind, until nobody has used that one for a while (docs/degradation.md).
void Cluster::fork(const Fault& fault) {
  const bool again = world_.now() < heard_at_;
  heard_at_ = world_.now() + fault.lasts + kMovesOn;
  if (again) left_behind_until_ = heard_at_ + shared::kUnusedAfter;
  const int old = master_;
  add_server();
  master_ = static_cast<int>(network_.servers().size()) - 1;
  start_from(snapshots_[describe(fault)]);
  Chance& chance = world_.chance();
  for (int i = 0; i < size(); ++i) {
    world_.after(chance.between(Nanos(0), std::max(fault.lasts, Nanos(1))), [this, i] {
      if (history_.healed_at == Nanos(0)) network_.lead(i, master_);
    });
  }
  if (fault.amount % 3 == 0) return;
  to_be_demoted_.insert(old);
  world_.after(fault.lasts, [this, old] {
    if (to_be_demoted_.erase(old) > 0) server_at(old).demote();
  });
}

void Cluster::heal() {
  history_.healed_at = world_.now();
  // Now everybody hears of it.
  left_behind_until_ = std::min(left_behind_until_, history_.healed_at + shared::kUnusedAfter);
  network_.heal();
  truth_.set_up(true);
  habits_.lost_replies = habits_.lost_commits = 0;
  for (const auto& server : network_.servers()) {
    if (server->hung()) server->go_on();
    if (!server->reachable()) restart(*server);
    server->answer_with({});
    if (server->facts().role == "master") server->refuse_writes({});
  }
  // Whoever is still connected to one of them loses Redis when it hears of the other: were that
  // later, the fault would not be over.
  for (const int old : std::exchange(to_be_demoted_, {})) server_at(old).demote();
  for (int i = 0; i < size(); ++i) {
    network_.lead(i, master_);
    Machine& machine = machines_[static_cast<std::size_t>(i)];
    if (!machine.instance) start(i);
    if (machine.instance->life()->stopped()) world_.continue_life(machine.instance->life());
  }
  note_reach();
}

}  // namespace redoubt::sim
