// The machines of a run, and what is done to them.
#pragma once

#include "tests/sim/history.hpp"
#include "tests/sim/instance.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/plan.hpp"
#include "tests/sim/truth.hpp"
#include "tests/sim/world.hpp"

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace redoubt::sim {

inline constexpr int kTenants = 2;
std::string tenant_id(int tenant);

class Cluster {
 public:
  Cluster(World& world, Truth& truth, const Plan& plan, History& history);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Null while it is down.
  Instance* instance(int number) {
    return machines_[static_cast<std::size_t>(number)].instance.get();
  }
  int size() const { return static_cast<int>(machines_.size()); }

  void schedule_faults();
  void heal();
  bool all_normal();  // Notes when each became so.
  void sample();
  void note_reach();
  void note_states();
  void stop();  // Everything that is under way ends. Before whoever asks goes.

  const std::vector<LimitPolicy>& policies() const { return policies_; }

 private:
  struct Machine {
    explicit Machine(const World& world) : clock(world) {}
    MachineClock clock;
    std::unique_ptr<Instance> instance;
    std::uint64_t runs = 0;
    Nanos normal_at{-1};  // First seen so after the heal.
    Reach reach{.at = Nanos(-1)};  // As it was noted last.
  };

  struct Snapshot {
    Keyspace keys;
    std::chrono::microseconds ahead{0};  // The clock of who wrote it.
    Nanos taken_at{0};
  };

  void prepare_truth();
  void start(int number);
  void begin(const Fault& fault);
  void end(const Fault& fault);
  void start_from(const Snapshot& snapshot);  // The master.
  void fork(const Fault& fault);
  ModelRedis& server_at(int number) {
    return *network_.servers()[static_cast<std::size_t>(number)];
  }
  ModelRedis& master() { return server_at(master_); }
  void add_server();
  void restart(ModelRedis& server);
  void witness(const ModelRedis::Ran& ran);
  std::int32_t limit_of(std::string_view key, std::int64_t& generation);
  void make_policies();

  World& world_;
  Truth& truth_;
  const Plan& plan_;
  History& history_;
  Network network_;
  redis::Options redis_;
  RecordHabits habits_;
  std::vector<LimitPolicy> policies_;
  std::unique_ptr<InstanceSetup> setup_;
  std::vector<Machine> machines_;
  int master_ = 0;
  Nanos heard_at_{0};           // Of the last failover, by everybody.
  Nanos left_behind_until_{0};  // The master may be, until then.
  std::set<int> to_be_demoted_;  // Another server took over, and they have not heard of it yet.
  std::unordered_map<std::string, Snapshot> snapshots_;  // By fault.
  std::unordered_map<std::string, std::int32_t> limits_by_name_;
};

}  // namespace redoubt::sim
