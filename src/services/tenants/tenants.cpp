#include "record/tenant_rows.hpp"
#include "services/tenants/auditing.hpp"
#include "services/tenants/service.hpp"

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

enum class Standing : std::uint8_t { enabled, disabled };

class TenantService final : public Tenants {
 public:
  explicit TenantService(const TenantParts& parts)
      : record_(parts.record), clock_(parts.clock), refusals_(parts.refusals) {}

  Task<Tenant> create(const Context& context, NewTenant request) override;
  Task<Tenant> get(const Context& context, std::string id) override;
  Task<TenantPage> list(const Context& context, std::size_t limit, std::string cursor) override;
  Task<Tenant> disable(const Context& context, std::string id) override;
  Task<Tenant> enable(const Context& context, std::string id) override;

 private:
  Task<Tenant> change(const Context& context, std::string id, Standing wanted);

  record::Record& record_;
  const Clock& clock_;
  record::LaterAudit& refusals_;
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

Task<Tenant> find_in(sql::Transaction& tx, std::string_view id) {
  RD_CO_TRY(tenant, co_await record::find_tenant(tx, id));
  if (!tenant) co_return fail(not_found("tenant"));
  co_return std::move(*tenant);
}

Task<Tenant> change_in(record::Unit& unit, Standing wanted, const record::AuditEvent& event,
                       WallTime now) {
  const std::string& id = event.target;
  RD_CO_TRY(before, co_await find_in(unit, id));
  if (before.enabled == (wanted == Standing::enabled)) co_return before;
  if (wanted == Standing::enabled) {
    RD_CO_CHECK(co_await record::enable_tenant(unit, id));
  } else {
    RD_CO_CHECK(co_await record::disable_tenant(unit, id, now));
  }
  record::JournalEntry entry;
  entry.kind = record::JournalEntry::Kind::tenant;
  entry.tenant = id;
  entry.key = id;
  unit.announce(std::move(entry));
  RD_CO_CHECK(co_await unit.audit(event));
  co_return co_await find_in(unit, id);
}

Task<Tenant> TenantService::create(const Context& context, NewTenant request) {
  RD_CO_CHECK(check_new(request));
  Tenant tenant;
  tenant.id = std::move(request.id);
  tenant.name = std::move(request.name);
  tenant.created_at = clock_.wall();
  const record::AuditEvent event =
      audit_event(context, context.caller.tenant, "tenant.created", tenant.id);
  std::function<Task<Tenant>(record::Unit&)> work = [&tenant, &event](record::Unit& unit) {
    return create_in(unit, tenant, event);
  };
  co_return co_await record_.write(std::move(work));
}

Task<Tenant> TenantService::get(const Context& /*context*/, std::string id) {
  std::function<Task<Tenant>(sql::Transaction&)> work = [&id](sql::Transaction& tx) {
    return find_in(tx, id);
  };
  co_return co_await record_.read(std::move(work));
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
  std::function<Task<Tenant>(record::Unit&)> work = [&event, wanted, now](record::Unit& unit) {
    return change_in(unit, wanted, event, now);
  };
  co_return co_await record_.write(std::move(work));
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
  co_return co_await change(context, std::move(id), Standing::enabled);
}

}  // namespace

std::unique_ptr<Tenants> make_tenants(const TenantParts& parts) {
  return std::make_unique<TenantService>(parts);
}

}  // namespace redoubt::tenants
