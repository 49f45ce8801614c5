#include "tests/sim/machine_timers.hpp"

#include <utility>

namespace redoubt::sim {
namespace {

class MachineAlarm final : public Alarm, public std::enable_shared_from_this<MachineAlarm> {
 public:
  MachineAlarm(World& world, LifePtr life) : world_(world), life_(std::move(life)) {}

  boost::asio::awaitable<bool> wait(Duration limit) override {
    const auto self = shared_from_this();
    if (std::exchange(rung_, false)) co_return true;
    if (limit <= Duration(0)) co_return false;
    answer_ = std::make_shared<Answer<bool>>(life_);
    give(limit, false);
    const bool rung = co_await answer_->wait();
    answer_.reset();
    co_return rung;
  }

  void ring() override {
    if (answer_ && !answer_->given()) return give(Nanos(0), true);
    rung_ = true;
  }

 private:
  void give(Nanos delay, bool rung) {
    std::weak_ptr<Answer<bool>> weak = answer_;
    world_.after(delay, life_, [weak, rung] {
      if (const auto answer = weak.lock()) answer->give(rung);
    });
  }

  World& world_;
  LifePtr life_;
  std::shared_ptr<Answer<bool>> answer_;
  bool rung_ = false;
};

}  // namespace

boost::asio::awaitable<void> MachineTimers::sleep(Duration duration) {
  const auto alarm = this->alarm();
  co_await alarm->wait(duration);
}

std::shared_ptr<Alarm> MachineTimers::alarm() {
  return std::make_shared<MachineAlarm>(world_, life_);
}

}  // namespace redoubt::sim
