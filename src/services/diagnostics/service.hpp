// Diagnostics of the Redis in use, behind the contract: inspects, judges, and says it in parts.
#pragma once

#include "services/diagnostics/redis_rules.hpp"
#include "shared/redis_facts.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/diagnostics.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace redoubt::diagnostics {

struct DiagnosticsParts {
  const Clock& clock;
  // All empty where there can be no Redis. The setup is that of now; none: no Redis is configured.
  std::function<std::optional<RedisSetup>()> setup = {};
  const shared::SharedState* state = nullptr;
  std::function<boost::asio::awaitable<shared::RedisFacts>()> inspect = {};
  std::function<RedisPool()> pool = {};  // What this worker's own client did.
};

// Threads: one. REQUIRES: what it is given outlives it.
std::unique_ptr<Diagnostics> make_diagnostics(DiagnosticsParts parts);

// The parts of a diagnosis that come from the facts alone; also what the command line shows.
void describe_redis(const RedisSetup& setup, const shared::RedisFacts& facts, RedisDiagnosis& out);

}  // namespace redoubt::diagnostics
