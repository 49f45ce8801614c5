// Asks a Redis for everything that the diagnostics want to know, and tries what we do with it.
//
// About forty commands in a dozen round trips; of the names of keys, a sample of a few hundred. The
// real operations are on one key, rd:check:<random>, which expires by itself within seconds.
// Nothing is configured, and no password is read.
#pragma once

#include "redis/client.hpp"
#include "shared/redis_facts.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>

#include <string_view>
#include <vector>

namespace redoubt::shared {

inline constexpr std::string_view kCheckPrefix = "rd:check:";

struct InspectOptions {
  Duration connect{2'000};  // How long to wait for a connection.
  Duration command{3'000};  // Of each command: slow is to be measured, not cut short.
  Duration whole{8'000};    // After which nothing more is asked.
  int rounds = 20;          // Of each real operation.
  int database = 0;         // Ours.
};

struct InspectParts {
  redis::Client& client;  // Without an admission, and taking replicas too: it is asked as it is.
  const Clock& clock;
  Random& random;
};

// What the account must be allowed to run, over the keys rd:*.
std::vector<std::string_view> needed_commands();

// Never fails: what does not work is among the facts.
// Threads: the client's executor.
boost::asio::awaitable<RedisFacts> inspect(InspectParts parts, InspectOptions options);

}  // namespace redoubt::shared
