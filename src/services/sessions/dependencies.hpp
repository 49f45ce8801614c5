// What a copy of a session depends on, by the names under which its changes are announced.
#pragma once

#include "local/invalidation_names.hpp"

#include <redoubt/sessions.hpp>

#include <string>
#include <string_view>

namespace redoubt::sessions {

struct Dependencies {
  Dependencies(std::string_view tenant_id, std::string_view user_id, std::string_view session_id)
      : session(local::invalidation::session(tenant_id, session_id)),
        user(local::invalidation::user(tenant_id, user_id)),
        tenant(local::invalidation::tenant(tenant_id)) {}
  explicit Dependencies(const Session& of) : Dependencies(of.tenant, of.user, of.id) {}

  std::string session;
  std::string user;
  std::string tenant;
};

}  // namespace redoubt::sessions
