// The URL of a Redis, read.
#pragma once

#include "redis/options.hpp"

#include <optional>

namespace redoubt::redis {

// What may be given beside the URL too: whether it says so itself is told from what is a default.
struct RedisUrl {
  Options options;  // As parse_redis_url() has them.
  std::optional<int> database;
  std::optional<Duration> timeout;  // Of an operation.
};

// redis://[user[:password]@]host[:port][/database][?protocol=2|3&timeout=5s], rediss:// with TLS,
// and unix:///path[?db=n].
// Errors: invalid_argument "redis_options"; the URL is never in the message.
Result<RedisUrl> read_redis_url(std::string_view url);

}  // namespace redoubt::redis
