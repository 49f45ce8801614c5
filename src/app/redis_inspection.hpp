// The diagnosis of Redis, carried out: from settings to what the rules must know, and a connection
// of its own that takes any server, so that it can be said what is wrong with it.
#pragma once

#include "redis/options.hpp"
#include "services/diagnostics/redis_rules.hpp"
#include "shared/redis_facts.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <string>

namespace redoubt::app {

// `record`: the identity of ours; empty when it is not known.
diagnostics::RedisSetup redis_setup(const redis::Options& options, std::string record);

struct InspectionParts {
  boost::asio::any_io_executor executor;
  redis::Options options;
  const Clock& clock;
  Timers& timers;  // Of the same executor.
  Random& random;
};

// Never fails: what does not work is among the facts. What it refers to outlives it.
boost::asio::awaitable<shared::RedisFacts> inspect_redis(InspectionParts parts);

}  // namespace redoubt::app
