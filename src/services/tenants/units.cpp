#include "services/tenants/units.hpp"

#include <utility>

namespace redoubt::tenants {

using Kind = record::JournalEntry::Kind;

void announce_key(record::Unit& unit, const ApiKey& key) {
  record::JournalEntry entry;
  entry.kind = Kind::api_key;
  entry.tenant = key.tenant;
  entry.key = key.id;
  unit.announce(std::move(entry));
}

namespace {

void announce_tenant(record::Unit& unit, const std::string& id) {
  record::JournalEntry entry;
  entry.kind = Kind::tenant;
  entry.tenant = id;
  entry.key = id;
  unit.announce(std::move(entry));
}

}  // namespace

Error last_admin_key() {
  return Error(Errc::conflict, "last_admin_key",
               "this is the last admin key of the home tenant that does not expire; create another "
               "one first");
}

Task<KeyEnd> revoke_key_unit(record::Unit& unit, const record::AuditEvent& event, WallTime now) {
  RD_CO_TRY(row, co_await record::find_api_key(unit, event.target));
  if (!row || row->key.tenant != event.tenant) co_return KeyEnd::absent;
  if (row->key.revoked_at) {
    // By another instance, perhaps, and not heard of here: nobody is told that it has ended before.
    announce_key(unit, row->key);
    co_return KeyEnd::done;
  }
  if (may_be_the_last(row->key)) {
    RD_CO_TRY(others, co_await record::count_lasting_admin_keys(unit, kHomeTenant, row->key.id));
    if (others == 0) co_return fail(last_admin_key());
  }
  RD_CO_CHECK(co_await record::set_api_key_revoked(unit, row->key.id, now));
  announce_key(unit, row->key);
  RD_CO_CHECK(co_await unit.audit(event));
  co_return KeyEnd::done;
}

Task<Tenant> find_tenant_or_fail(sql::Transaction& tx, std::string_view id) {
  RD_CO_TRY(tenant, co_await record::find_tenant(tx, id));
  if (!tenant) co_return fail(not_found("tenant"));
  co_return std::move(*tenant);
}

Task<Tenant> change_tenant_unit(record::Unit& unit, Standing wanted,
                                const record::AuditEvent& event, WallTime now) {
  const std::string& id = event.target;
  RD_CO_TRY(before, co_await find_tenant_or_fail(unit, id));
  // Also when there is nothing to change: it may not have been heard of here.
  announce_tenant(unit, id);
  if (before.enabled == (wanted == Standing::enabled)) co_return before;
  if (wanted == Standing::enabled) {
    RD_CO_CHECK(co_await record::enable_tenant(unit, id));
  } else {
    RD_CO_CHECK(co_await record::disable_tenant(unit, id, now));
  }
  RD_CO_CHECK(co_await unit.audit(event));
  co_return co_await find_tenant_or_fail(unit, id);
}

}  // namespace redoubt::tenants
