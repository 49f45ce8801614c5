// The operations of sessions: /api/v1/sessions and /api/v1/users/{user}/sessions.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/sessions.hpp>

namespace redoubt::operations {

// REQUIRES: sessions outlives the registry.
void register_sessions(Registry& registry, Sessions& sessions);

}  // namespace redoubt::operations
