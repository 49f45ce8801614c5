// For tests: an instance as far as limits on a real Redis go.
#pragma once

#include "local/limit_engine.hpp"
#include "shared/limits.hpp"
#include "shared/state.hpp"
#include "tests/support/redis_loop.hpp"

#include <cstdint>
#include <memory>

namespace redoubt::limits {

// What one instance has: a connection, what it knows of Redis, its engine.
struct Site {
  Site(test::RedisLoop& loop, std::uint16_t port)
      : loop(loop),
        client(loop.client(test::standalone(port))),
        // A loaded machine is no failure.
        state(loop.clock, metrics, {Duration(2'000), Duration(2'000)}),
        shared(shared::make_shared_limits({*client, state, loop.clock})),
        engine(loop.clock, loop.random, {}, metrics) {
    state.learned(1, loop.clock.boot());
    state.canary_answered(true, {});
  }
  void keep_usable() { state.learned(1, loop.clock.boot()); }
  void lose_redis() { state.refuse("test"); }

  test::RedisLoop& loop;
  Metrics metrics;
  std::unique_ptr<redis::Client> client;
  shared::SharedState state;
  std::unique_ptr<shared::SharedLimits> shared;
  local::LimitEngine engine;
};

}  // namespace redoubt::limits
