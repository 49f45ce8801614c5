// The model of a connection where it stands for redis::Link and no run would show that it does not.
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "tests/sim/machine_timers.hpp"
#include "tests/sim/model_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

namespace redoubt::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ModelLinks : public testing::Test {
 protected:
  ModelLinks() {
    network_.servers().push_back(std::make_unique<ModelRedis>(world_, 0, nullptr));
    network_.lead(0, 0);
    const redis::ClientParts parts{clock_, timers_, random_, null_log(), metrics_, {}};
    client_ = make_model_client({world_, network_, life_, 0, 0, options_, parts});
    world_.run_until(milliseconds(100));
  }
  ~ModelLinks() override {
    world_.end_life(life_);
    client_->stop();
  }

  ModelRedis& server() { return *network_.servers().front(); }
  bool connected() const { return client_->status().connected; }

  World world_{1};
  Network network_{world_};
  LifePtr life_ = world_.begin_life();
  MachineClock clock_{world_};
  MachineTimers timers_{world_, life_};
  SeededRandom random_{1};
  Metrics metrics_;
  redis::Options options_;
  std::unique_ptr<redis::Client> client_;
};

TEST_F(ModelLinks, AnIdleConnectionThatIsAnsweredStays) {
  ASSERT_TRUE(connected());
  const auto sent = client_->status().sent;
  world_.run_until(seconds(10));
  EXPECT_TRUE(connected());
  EXPECT_GT(client_->status().sent, sent) << "it is asked whether it lives";
  EXPECT_EQ(client_->status().reconnects, 1u);
}

TEST_F(ModelLinks, AnIdleConnectionToAServerThatHangsIsGivenUp) {
  ASSERT_TRUE(connected());
  server().hang();
  world_.run_until(world_.now() + options_.timeouts.idle_ping + options_.timeouts.silence);
  EXPECT_FALSE(connected());
}

TEST_F(ModelLinks, AnIdleConnectionToAServerThatWasRestartedIsMadeAgain) {
  ASSERT_TRUE(connected());
  server().start_empty();
  world_.run_until(world_.now() + options_.timeouts.idle_ping + seconds(1));
  EXPECT_TRUE(connected());
  EXPECT_EQ(client_->status().reconnects, 2u);
}

}  // namespace
}  // namespace redoubt::sim
