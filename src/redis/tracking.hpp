// Client-side caching as Redis 6 has it: the server remembers what a connection has read, if the
// command before asked it to (CLIENT TRACKING ON OPTIN, CLIENT CACHING YES), and tells of the first
// change to it on that same connection. So what it tells comes after the reply that it concerns;
// and when the connection is lost, nothing that was read over it is watched any more.
//
// Only over RESP3. Where the server does not speak it, or may not track, commands are executed as
// ever, and say so (Watched::never). So does REST.
#pragma once

#include "redis/client.hpp"

namespace redoubt::redis {

// What is sent before a command whose keys are to be watched.
const Command& watch_next();

// False: it is another message.
bool take_invalidation(const Value& push, TrackingHandler& handler);

}  // namespace redoubt::redis
