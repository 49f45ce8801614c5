// set_if_newer.lua: what copies are written by where the version decides, and what the canary writes
// by, so that a Redis that does not let us run scripts is not taken for a good one.
#pragma once

#include "redis/script.hpp"
#include "shared_scripts.hpp"

#include <string>

namespace redoubt::shared {

inline const redis::Script& set_if_newer() {
  static const redis::Script script(std::string(scripts::f_set_if_newer_lua),
                                    redis::Script::Effect::repeatable);
  return script;
}

}  // namespace redoubt::shared
