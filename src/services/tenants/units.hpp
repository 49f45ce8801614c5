// What the changes of API keys and tenants do inside their transaction: read, decide, write,
// announce, audit. They run on the record's thread and may run a second time.
#pragma once

#include "record/record.hpp"
#include "record/tenant_rows.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/tenants.hpp>

#include <cstdint>

namespace redoubt::tenants {

void announce_key(record::Unit& unit, const ApiKey& key);

// `event`: its tenant's key `event.target`.
enum class KeyEnd : std::uint8_t { done, absent };
// Errors: conflict "last_admin_key".
Task<KeyEnd> revoke_key_unit(record::Unit& unit, const record::AuditEvent& event, WallTime now);

// Whether the instance could still be run without it.
inline bool may_be_the_last(const ApiKey& key) {
  return key.role == Role::admin && key.tenant == kHomeTenant && !key.expires_at;
}
Error last_admin_key();

enum class Standing : std::uint8_t { enabled, disabled };
// The tenant `event.target`. Errors: not_found.
Task<Tenant> change_tenant_unit(record::Unit& unit, Standing wanted,
                                const record::AuditEvent& event, WallTime now);

Task<Tenant> find_tenant_or_fail(sql::Transaction& tx, std::string_view id);

}  // namespace redoubt::tenants
