// Timers of one life, in the world's time.
#pragma once

#include "tests/sim/world.hpp"

#include <redoubt/timers.hpp>

#include <memory>

namespace redoubt::sim {

class MachineTimers final : public Timers {
 public:
  MachineTimers(World& world, LifePtr life) : world_(world), life_(std::move(life)) {}

  boost::asio::awaitable<void> sleep(Duration duration) override;
  std::shared_ptr<Alarm> alarm() override;

 private:
  World& world_;
  LifePtr life_;
};

}  // namespace redoubt::sim
