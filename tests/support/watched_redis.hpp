// An instance's view of a Redis for a test: the monitor over it, and the client of a worker that
// the monitor admits.
#pragma once

#include "shared/monitor.hpp"
#include "tests/support/redis_loop.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace redoubt::test {

// One instance: its state, its monitor, and the client of a worker.
struct WatchedRedis {
  // The clock is that of the monitor and of what it says; the client's is the machine's.
  WatchedRedis(RedisLoop& loop, const Clock& clock, shared::Ledger& ledger, redis::Options options,
               shared::MonitorOptions watch = {.instance = "test"})
      : loop(loop), state(clock, metrics) {
    options.identity_key = shared::kIncarnationKey;
    client = loop.client(options);
    monitor = std::make_unique<shared::Monitor>(
        shared::MonitorParts{*client, ledger, state, clock, loop.random, null_log(), metrics},
        std::move(watch));
    worker_options = options;
  }
  ~WatchedRedis() {
    if (worker) worker->stop();
    client->stop();
  }

  Result<void> start() { return loop.run(monitor->start(Duration(5'000))); }
  void round() {
    EXPECT_TRUE(loop.run(monitor->ask_record()));
    EXPECT_TRUE(loop.run(monitor->run_once()));
  }
  bool rounds_until(shared::Availability wanted) {
    return loop.until(
        [&] {
          round();
          return state.status().state == wanted;
        },
        std::chrono::seconds(20));
  }
  redis::Client& make_worker() {
    worker = loop.client(worker_options,
                         [this](const redis::ServerFacts& facts) { return monitor->admit(facts); });
    return *worker;
  }

  RedisLoop& loop;
  Metrics metrics;
  shared::SharedState state;
  std::unique_ptr<redis::Client> client;
  std::unique_ptr<shared::Monitor> monitor;
  redis::Options worker_options;
  std::unique_ptr<redis::Client> worker;
};

}  // namespace redoubt::test
