// A caller and a context for tests that need one.
#pragma once

#include <redoubt/context.hpp>

namespace redoubt::test {

inline Caller admin_of(std::string tenant) {
  Caller caller;
  caller.kind = Caller::Kind::api_key;
  caller.role = Role::admin;
  caller.areas = kAllAreas;
  caller.tenant = std::move(tenant);
  caller.principal = "key:test";
  return caller;
}

inline Context context_of(const Caller& caller) {
  return Context{.caller = caller, .request_id = "test-request", .client_address = "127.0.0.1",
                 .user_agent = "test"};
}

}  // namespace redoubt::test
