// Who reaches whom, and how long it takes. A way has two directions, and each can be cut by itself.
// What is sent into a cut is sent again, as TCP does, and given up after a while.
#pragma once

#include "tests/sim/model_redis.hpp"
#include "tests/sim/world.hpp"

#include <map>
#include <memory>
#include <vector>

namespace redoubt::sim {

inline constexpr Nanos kResendEvery = std::chrono::milliseconds(40);
inline constexpr Nanos kGiveUpAfter = std::chrono::seconds(2);

// A run of an instance as a model Redis knows it: number * this + run.
inline constexpr std::int64_t kRunsPerMachine = 1'000;

struct Way {
  bool there_cut = false;
  bool back_cut = false;
  Nanos least = std::chrono::microseconds(150);
  Nanos most = std::chrono::microseconds(600);

  bool cut() const { return there_cut || back_cut; }
};

class Network {
 public:
  explicit Network(World& world) : world_(world) {}

  Way& to_redis(int instance, int server) { return redis_[{instance, server}]; }
  Way& to_record(int instance) { return record_[instance]; }
  Nanos delay(const Way& way) { return world_.chance().between(way.least, way.most); }

  // The servers there are, and which one the name of Redis leads an instance to.
  std::vector<std::unique_ptr<ModelRedis>>& servers() { return servers_; }
  ModelRedis& server_for(int instance) {
    return *servers_[static_cast<std::size_t>(address_[instance])];
  }
  void lead(int instance, int server) { address_[instance] = server; }
  void heal() {
    redis_.clear();
    record_.clear();
  }

 private:
  World& world_;
  std::map<std::pair<int, int>, Way> redis_;
  std::map<int, Way> record_;
  std::map<int, int> address_;
  std::vector<std::unique_ptr<ModelRedis>> servers_;
};

}  // namespace redoubt::sim
