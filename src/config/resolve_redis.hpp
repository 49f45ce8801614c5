// Which Redis the settings mean. There are many ways to say it, from many programs; one of them is
// used, and what contradicts it stops the start with a sentence that says what to unset.
#pragma once

#include "config/config.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace redoubt::config {

struct RedisGiven {
  std::function<bool(std::string_view key)> is_given;
  std::function<std::string(std::string_view key)> name_of;  // Where it was given, or its name.
};
using Complain = std::function<void(std::string source, std::string text)>;

// Sets `settings.options`, or complains, or leaves them empty: no Redis.
void resolve_redis(RedisSettings& settings, const RedisGiven& given, const Complain& complain);

}  // namespace redoubt::config
