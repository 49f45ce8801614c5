// What of a changed configuration takes effect while the server runs, and what waits for a restart.
//
//   sessions.auth_grace, cache.without_redis                   from the next request on
//   limits.*                                                   on each worker, one after the other
//   redis.*                                                    off: Redis is left, as if there were
//                                                              none; on, again or for the first
//                                                              time, or another one: it has to
//                                                              prove itself, as after an outage
#pragma once

#include "config/load.hpp"
#include "redis/options.hpp"

#include <string>
#include <vector>

namespace redoubt::app {

struct ConfigChange {
  std::vector<std::string> live;     // Keys that changed and take effect.
  std::vector<std::string> restart;  // Keys that changed and do not, until a restart.
};

// Secrets are not told apart by what is known of them here: a changed password takes effect and is
// in neither list.
ConfigChange compare(const config::Loaded& before, const config::Loaded& after);

// Whether both lead to the same Redis in the same way.
bool same_redis(const redis::Options& a, const redis::Options& b);

}  // namespace redoubt::app
