// Makes the services of this noun. One Tenants and one ApiKeys per worker.
//
// Whoever makes them subscribes the record's journal and bumps local::Invalidations by the names in
// local/invalidation_names.hpp for entries of kind tenant and api_key.
#pragma once

#include "base/vault.hpp"
#include "local/invalidations.hpp"
#include "record/copy_trust.hpp"
#include "record/later_audit.hpp"
#include "record/record.hpp"
#include "record/unsaved_stops.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/tenants.hpp>

#include <memory>
#include <optional>

namespace redoubt::tenants {

struct TenantParts {
  record::Record& record;
  Vault& vault;  // Has its pepper.
  const Clock& clock;
  Random& random;
  const local::Invalidations& invalidations;
  record::LaterAudit& refusals;
  record::UnsavedStops& stops;               // These two: one for all workers.
  const record::AuthGrace* grace = nullptr;  // Null: copies answer while they are fresh, only.
};

std::unique_ptr<Tenants> make_tenants(const TenantParts& parts);
std::unique_ptr<ApiKeys> make_api_keys(const TenantParts& parts);

// At the first start over a record: the home tenant and an admin key in it. Empty ever after.
Task<std::optional<IssuedApiKey>> make_home_tenant(const TenantParts& parts);

}  // namespace redoubt::tenants
