// Tenants and API keys as operations: tenants.create, .list, .get, .disable, .enable;
// api_keys.create, .list, .revoke, .rotate.
#pragma once

#include "operations/operation.hpp"

#include <redoubt/tenants.hpp>

namespace redoubt::operations {

// Both outlive the registry.
void register_tenants(Registry& registry, Tenants& tenants, ApiKeys& keys);

}  // namespace redoubt::operations
