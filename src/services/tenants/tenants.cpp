#include "record/answer_keeper.hpp"
#include "record/tenant_rows.hpp"
#include "services/tenants/auditing.hpp"
#include "services/tenants/service.hpp"
#include "services/tenants/stops.hpp"
#include "services/tenants/units.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::tenants {
namespace {

constexpr std::size_t kIdMax = 63;
constexpr std::size_t kNameMax = 256;
constexpr std::size_t kPageMax = 1000;

// What fits a Redis key, a header and a file name as it is.
bool is_tenant_id(std::string_view id) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !id.empty() && id.size() <= kIdMax && is_word(id.front()) &&
         std::ranges::all_of(id, [&](char c) { return is_word(c) || c == '-' || c == '_'; });
}

Result<void> check_new(const NewTenant& request) {
  if (!is_tenant_id(request.id)) {
    return fail(invalid_argument(
        "body.id", "must be 1 to 63 of a-z 0-9 - _ and begin with a letter or digit"));
  }
  if (request.name.size() > kNameMax || !is_utf8(request.name)) {
    return fail(invalid_argument("body.name", "must be UTF-8 of at most 256 bytes", "length"));
  }
  return {};
}

// Rare enough to be committed with nothing beside it; it needs no other tenant's rows.
record::Reach alone_in(const std::string& tenant) {
  return {tenant, {}};
}

class TenantService final : public Tenants {
 public:
  explicit TenantService(const TenantParts& parts)
      : record_(parts.record),
        clock_(parts.clock),
        refusals_(parts.refusals),
        stops_(parts.stops) {}

  Task<Tenant> create(const Context& context, NewTenant request) override;
  Task<Tenant> get(const Context& context, std::string id) override;
  Task<TenantPage> list(const Context& context, std::size_t limit, std::string cursor) override;
  Task<Tenant> disable(const Context& context, std::string id) override;
  Task<Tenant> enable(const Context& context, std::string id) override;

 private:
  Task<Tenant> change(const Context& context, std::string id, Standing wanted);
  Task<Tenant> disable_unrecorded(record::AuditEvent audit, WallTime now, Error error);

  record::Record& record_;
  const Clock& clock_;
  record::LaterAudit& refusals_;
  record::UnsavedStops& stops_;
};

Task<Tenant> create_in(record::Unit& unit, const Tenant& tenant, const record::AuditEvent& event) {
  RD_CO_TRY(created, co_await record::insert_tenant(unit, tenant));
  if (!created) {
    co_return fail(
        Error(Errc::conflict, "tenant_exists", "there is a tenant with this id already"));
  }
  RD_CO_CHECK(co_await unit.audit(event));
  co_return tenant;
}

Task<Tenant> TenantService::create(const Context& context, NewTenant request) {
  RD_CO_CHECK(check_new(request));
  Tenant tenant;
  tenant.id = std::move(request.id);
  tenant.name = std::move(request.name);
  tenant.created_at = clock_.wall();
  const record::AuditEvent event =
      audit_event(context, context.caller.tenant, "tenant.created", tenant.id);
  std::function<Task<Tenant>(record::Unit&)> work = [&](record::Unit& unit) -> Task<Tenant> {
    RD_CO_TRY(created, co_await create_in(unit, tenant, event));
    RD_CO_CHECK(co_await record::keep_answer(context, unit, created));
    co_return created;
  };
  co_return co_await record_.write(record::with_answer_of(context, alone_in(tenant.id)),
                                   std::move(work));
}

Task<Tenant> TenantService::get(const Context& /*context*/, std::string id) {
  std::function<Task<Tenant>(sql::Transaction&)> work = [&id](sql::Transaction& tx) {
    return find_tenant_or_fail(tx, id);
  };
  co_return co_await record_.read(id, std::move(work));
}

Task<TenantPage> TenantService::list(const Context& /*context*/, std::size_t limit,
                                     std::string cursor) {
  if (limit < 1 || limit > kPageMax) {
    co_return fail(invalid_argument("query.limit", "must be between 1 and 1000", "range"));
  }
  if (!cursor.empty() && !is_tenant_id(cursor)) {
    co_return fail(invalid_argument("query.cursor", "must be the next_cursor of a former page"));
  }
  std::function<Task<std::vector<Tenant>>(sql::Transaction&)> work = [&cursor,
                                                                      limit](sql::Transaction& tx) {
    return record::list_tenants(tx, cursor, limit + 1);
  };
  RD_CO_TRY(tenants, co_await record_.read(std::move(work)));
  TenantPage page;
  page.tenants = std::move(tenants);
  if (page.tenants.size() > limit) {
    page.tenants.resize(limit);
    page.next_cursor = page.tenants.back().id;
  }
  co_return page;
}

Task<Tenant> TenantService::change(const Context& context, std::string id, Standing wanted) {
  const record::AuditEvent event =
      audit_event(context, context.caller.tenant,
                  wanted == Standing::enabled ? "tenant.enabled" : "tenant.disabled", id);
  const WallTime now = clock_.wall();
  std::function<Task<Tenant>(record::Unit&)> work = [&](record::Unit& unit) -> Task<Tenant> {
    RD_CO_TRY(tenant, co_await change_tenant_unit(unit, wanted, event, now));
    RD_CO_CHECK(co_await record::keep_answer(context, unit, tenant));
    co_return tenant;
  };
  auto changed =
      co_await record_.write(record::with_answer_of(context, alone_in(id)), std::move(work));
  const bool unrecorded = !changed && changed.error().code == Errc::unavailable;
  if (unrecorded && wanted == Standing::disabled) {
    co_return co_await disable_unrecorded(event, now, std::move(changed).error());
  }
  co_return changed;
}

// Not for ids that name nothing, so that nobody fills the room with them; unless nothing can be
// read either.
Task<Tenant> TenantService::disable_unrecorded(record::AuditEvent audit, WallTime now,
                                               Error error) {
  const std::string& id = audit.target;
  std::function<Task<Tenant>(sql::Transaction&)> work = [&id](sql::Transaction& tx) {
    return find_tenant_or_fail(tx, id);
  };
  const auto found = co_await record_.read(id, std::move(work));
  const bool none = found ? !found->enabled : found.error().code == Errc::not_found;
  if (none) co_return fail(std::move(error));
  record::UnsavedStop stop{record::UnsavedStop::Kind::tenant, id, now, audit};
  co_return fail(stop_here(stops_, std::move(stop), std::move(error)));
}

Task<Tenant> TenantService::disable(const Context& context, std::string id) {
  if (id == kHomeTenant) {
    record::AuditEvent event = audit_event(context, context.caller.tenant, "tenant.disabled", id);
    refusals_.note_denial(std::move(event));
    co_return fail(Error(Errc::conflict, "home_tenant",
                         "the home tenant cannot be disabled: nobody could run the instance"));
  }
  co_return co_await change(context, std::move(id), Standing::disabled);
}

Task<Tenant> TenantService::enable(const Context& context, std::string id) {
  // It was disabled before: its sessions have ended, and that is recorded first.
  if (stops_.covers_tenant(id)) {
    RD_CO_CHECK(co_await save_stops(record_, stops_, refusals_));
  }
  co_return co_await change(context, std::move(id), Standing::enabled);
}

}  // namespace

std::unique_ptr<Tenants> make_tenants(const TenantParts& parts) {
  return std::make_unique<TenantService>(parts);
}

}  // namespace redoubt::tenants
