#include "base/ids.hpp"
#include "local/invalidation_names.hpp"
#include "record/answer_keeper.hpp"
#include "record/reach_keys.hpp"
#include "record/tenant_rows.hpp"
#include "services/tenants/api_key_token.hpp"
#include "services/tenants/auditing.hpp"
#include "services/tenants/service.hpp"
#include "services/tenants/stops.hpp"
#include "services/tenants/units.hpp"
#include "services/tenants/verified_keys.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <functional>
#include <utility>

namespace redoubt::tenants {
namespace {

namespace names = local::invalidation;

constexpr std::string_view kPrincipal = "key:";
constexpr std::size_t kNameMax = 128;
constexpr std::size_t kPageMax = 1000;
constexpr Duration kTtlMin{60'000};
constexpr Duration kTtlMax{std::chrono::hours(24) * 3653};
constexpr Duration kKeptAfterEnd{std::chrono::hours(24) * 30};
constexpr AreaSet kKnownAreas = (static_cast<AreaSet>(Area::redis) << 1) - 1;

// One answer for all that is wrong with a key.
Unexpected refused() {
  return fail(unauthenticated("api_key_invalid", "the API key is not valid"));
}

bool is_key_id(std::string_view text) {
  Id128 id;
  return parse_id("", text, id);
}

bool live(const ApiKey& key, WallTime now) {
  return !key.revoked_at && (!key.expires_at || now < *key.expires_at);
}

CallerPtr caller_of(const ApiKey& key) {
  auto caller = std::make_shared<Caller>();
  caller->kind = Caller::Kind::api_key;
  caller->role = key.role;
  caller->areas = key.areas;
  caller->tenant = key.tenant;
  caller->principal = std::string(kPrincipal) + key.id;
  return caller;
}

Result<void> check_new(const NewApiKey& request) {
  if (request.name.empty() || request.name.size() > kNameMax || !is_utf8(request.name)) {
    return fail(invalid_argument("body.name", "must be UTF-8 of 1 to 128 bytes", "length"));
  }
  if (request.role == Role::none) {
    return fail(invalid_argument("body.role", "must be read_only, service or admin", "required"));
  }
  if (request.role != Role::admin && (request.areas & kKnownAreas) == 0) {
    return fail(invalid_argument("body.scopes", "must name at least one area", "required"));
  }
  if (request.ttl && (*request.ttl < kTtlMin || *request.ttl > kTtlMax)) {
    return fail(invalid_argument("body.ttl", "must be between 1m and 3653d", "range"));
  }
  return {};
}

// Of units that end a key of the tenant.
record::Reach ends_in(const std::string& tenant) {
  return {tenant, {record::reach::api_keys(tenant)}};
}

class ApiKeyService final : public ApiKeys {
 public:
  explicit ApiKeyService(const TenantParts& parts)
      : parts_(parts),
        hash_(parts.vault.credential_hash("api key")),
        trust_(parts.record, parts.clock, parts.grace),
        verified_(parts.invalidations, parts.vault.process_key()) {}

  std::optional<Result<CallerPtr>> authenticate_now(std::string_view token) override;
  Task<CallerPtr> authenticate(std::string token) override;
  Task<IssuedApiKey> create(const Context& context, NewApiKey request) override;
  Task<ApiKeyPage> list(const Context& context, std::size_t limit, std::string cursor) override;
  Task<void> revoke(const Context& context, std::string id) override;
  Task<IssuedApiKey> rotate(const Context& context, std::string id) override;
  Task<void> flush_uses() override;
  Task<std::int64_t> sweep(std::size_t batch) override;

  Task<std::optional<IssuedApiKey>> make_home_tenant();

 private:
  struct Made {
    record::ApiKeyRow row;
    std::string token;
  };
  Made make(NewApiKey request, std::string tenant, std::string created_by);
  Made renew(const ApiKey& old, std::string created_by);
  Made sealed(ApiKey key);

  Task<IssuedApiKey> create_in(record::Unit& unit, const Made& made, record::AuditEvent event);
  Task<void> flush_noted_uses();
  Task<std::optional<IssuedApiKey>> rotate_in(record::Unit& unit, const record::AuditEvent& event);
  Task<std::optional<IssuedApiKey>> make_home_in(record::Unit& unit);
  bool stopped(const Caller& caller) const {
    return parts_.stops.any() &&
           parts_.stops.covers_key(caller.principal.substr(kPrincipal.size()), caller.tenant);
  }
  // `tenant`: whose it must be; empty: anybody's.
  Task<std::optional<record::ApiKeyRow>> find(std::string_view id, std::string tenant);
  Task<void> revoke_unrecorded(record::AuditEvent event, WallTime now, Error error);
  // The one question that is not confined to the tenant, for the audit trail.
  boost::asio::awaitable<void> note_if_foreign(record::AuditEvent event);
  Task<record::TenantStanding> standing(std::string_view tenant);

  TenantParts parts_;
  HmacSha256 hash_;
  record::CopyTrust trust_;
  VerifiedKeys verified_;
};

CallerPtr by_grace(const Caller& known) {
  auto caller = std::make_shared<Caller>(known);
  caller->by_grace = true;
  return caller;
}

std::optional<Result<CallerPtr>> ApiKeyService::authenticate_now(std::string_view token) {
  const record::Trust trust = trust_.now();
  const CallerPtr* const caller =
      trust != record::Trust::none ? verified_.find(token, parts_.clock.wall()) : nullptr;
  if (caller != nullptr) {
    if (stopped(**caller)) return Result<CallerPtr>(refused());
    if (trust == record::Trust::fresh) return *caller;
    return by_grace(**caller);
  }
  if (!parse_api_key(token)) return Result<CallerPtr>(refused());
  return std::nullopt;
}

Task<std::optional<record::ApiKeyRow>> ApiKeyService::find(std::string_view id,
                                                           std::string tenant) {
  std::function<Task<std::optional<record::ApiKeyRow>>(sql::Transaction&)> work =
      [id](sql::Transaction& tx) { return record::find_api_key(tx, id); };
  co_return co_await parts_.record.read(std::move(tenant), std::move(work));
}

Task<record::TenantStanding> ApiKeyService::standing(std::string_view tenant) {
  std::function<Task<record::TenantStanding>(sql::Transaction&)> work =
      [tenant](sql::Transaction& tx) { return record::tenant_standing(tx, tenant); };
  co_return co_await parts_.record.read(std::string(tenant), std::move(work));
}

// Counters are read before the rows they guard: a change in between leaves a copy that is stale
// from the start. The tenant is known only from the key's row, so its standing is a second read.
Task<CallerPtr> ApiKeyService::authenticate(std::string token) {
  const std::optional<ApiKeyToken> parsed = parse_api_key(token);
  if (!parsed) co_return refused();
  const Digest256 mac = hash_(as_bytes(parsed->hashed));

  KeyStamps stamps;
  stamps.key_slot = parts_.invalidations.slot(names::api_key(parsed->id));
  stamps.key = parts_.invalidations.stamp_of(stamps.key_slot);
  RD_CO_TRY(row, co_await find(parsed->id, {}));
  const bool right = constant_time_equal(row ? row->mac : Digest256{}, mac) && row.has_value();
  const WallTime now = parts_.clock.wall();
  if (!right || !live(row->key, now)) co_return refused();
  if (parts_.stops.covers_key(row->key.id, row->key.tenant)) co_return refused();

  stamps.tenant_slot = parts_.invalidations.slot(names::tenant(row->key.tenant));
  stamps.tenant = parts_.invalidations.stamp_of(stamps.tenant_slot);
  RD_CO_TRY(tenant, co_await standing(row->key.tenant));
  if (!tenant.enabled) co_return refused();

  CallerPtr caller = caller_of(row->key);
  verified_.keep(token, row->key, caller, stamps, now);
  verified_.find(token, now);  // Notes the use.
  co_return caller;
}

ApiKeyService::Made ApiKeyService::sealed(ApiKey key) {
  key.id = format_id("", new_id(parts_.clock.wall(), parts_.random));
  Key256 secret;
  parts_.random.fill(secret);
  Made made;
  made.token = format_api_key(key.id, secret);
  OPENSSL_cleanse(secret.data(), secret.size());
  made.row.mac = hash_(as_bytes(parse_api_key(made.token)->hashed));
  made.row.key = std::move(key);
  return made;
}

ApiKeyService::Made ApiKeyService::make(NewApiKey request, std::string tenant,
                                        std::string created_by) {
  ApiKey key;
  key.tenant = std::move(tenant);
  key.name = std::move(request.name);
  key.role = request.role;
  key.areas = request.role == Role::admin ? kAllAreas : request.areas & kKnownAreas;
  key.created_at = parts_.clock.wall();
  key.created_by = std::move(created_by);
  if (request.ttl) key.expires_at = key.created_at + *request.ttl;
  return sealed(std::move(key));
}

ApiKeyService::Made ApiKeyService::renew(const ApiKey& old, std::string created_by) {
  ApiKey key = old;
  key.created_at = parts_.clock.wall();
  key.created_by = std::move(created_by);
  key.last_used_at.reset();
  return sealed(std::move(key));
}

Task<IssuedApiKey> ApiKeyService::create_in(record::Unit& unit, const Made& made,
                                            record::AuditEvent event) {
  const ApiKey& key = made.row.key;
  RD_CO_TRY(tenant, co_await record::find_tenant(unit, key.tenant));
  if (!tenant) co_return fail(not_found("tenant"));
  RD_CO_CHECK(co_await record::insert_api_key(unit, made.row));
  RD_CO_CHECK(co_await unit.audit(event));
  IssuedApiKey issued;
  issued.key = key;
  issued.token = made.token;
  co_return issued;
}

Task<IssuedApiKey> ApiKeyService::create(const Context& context, NewApiKey request) {
  RD_CO_CHECK(check_new(request));
  const Caller& caller = context.caller;
  std::string tenant = request.tenant.empty() ? caller.tenant : request.tenant;
  if (tenant != caller.tenant && (caller.tenant != kHomeTenant || caller.role != Role::admin)) {
    record::AuditEvent event = audit_event(context, caller.tenant, "api_key.created", tenant);
    parts_.refusals.note_denial(std::move(event));
    co_return fail(Error(Errc::permission_denied, "other_tenant",
                         "only an admin of the home tenant makes keys for another tenant"));
  }
  const Made made = make(std::move(request), std::move(tenant), caller.principal);
  const record::AuditEvent event =
      audit_event(context, made.row.key.tenant, "api_key.created", made.row.key.id);
  std::function<Task<IssuedApiKey>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<IssuedApiKey> {
    RD_CO_TRY(issued, co_await create_in(unit, made, event));
    RD_CO_CHECK(co_await record::keep_answer(context, unit, issued));
    co_return issued;
  };
  record::Reach reach{made.row.key.tenant, {record::reach::api_key(made.row.key.id)}};
  reach = record::with_answer_of(context, record::with_deadline_of(context, std::move(reach)));
  co_return co_await parts_.record.write(std::move(reach), std::move(work));
}

Task<ApiKeyPage> ApiKeyService::list(const Context& context, std::size_t limit,
                                     std::string cursor) {
  if (limit < 1 || limit > kPageMax) {
    co_return fail(invalid_argument("query.limit", "must be between 1 and 1000", "range"));
  }
  if (!cursor.empty() && !is_key_id(cursor)) {
    co_return fail(invalid_argument("query.cursor", "must be the next_cursor of a former page"));
  }
  const std::string& tenant = context.caller.tenant;
  std::function<Task<std::vector<ApiKey>>(sql::Transaction&)> work = [&tenant, &cursor,
                                                                      limit](sql::Transaction& tx) {
    return record::list_api_keys(tx, tenant, cursor, limit + 1);
  };
  RD_CO_TRY(keys, co_await parts_.record.read_by(record::reads_of(context), std::move(work)));
  ApiKeyPage page;
  page.keys = std::move(keys);
  if (page.keys.size() > limit) {
    page.keys.resize(limit);
    page.next_cursor = page.keys.back().id;
  }
  co_return page;
}

Task<void> ApiKeyService::revoke(const Context& context, std::string id) {
  if (!is_key_id(id)) co_return fail(not_found("api_key"));
  record::AuditEvent event = audit_event(context, context.caller.tenant, "api_key.revoked", id);
  const WallTime now = parts_.clock.wall();
  std::function<Task<KeyEnd>(record::Unit&)> work = [&](record::Unit& unit) -> Task<KeyEnd> {
    RD_CO_TRY(end, co_await revoke_key_unit(unit, event, now));
    if (end == KeyEnd::done) {
      RD_CO_CHECK(co_await record::keep_answer(context, unit));
    }
    co_return end;
  };
  auto ended = co_await parts_.record.write(record::with_answer_of(context, ends_in(event.tenant)),
                                            std::move(work));
  if (!ended && ended.error().code == Errc::unavailable) {
    co_return co_await revoke_unrecorded(std::move(event), now, std::move(ended).error());
  }
  RD_CO_CHECK(ended);
  if (*ended == KeyEnd::done) co_return Result<void>{};
  co_await note_if_foreign(std::move(event));
  co_return fail(not_found("api_key"));
}

// Not for ids that name nothing, so that nobody fills the room with them; unless nothing can be
// read either.
Task<void> ApiKeyService::revoke_unrecorded(record::AuditEvent event, WallTime now, Error error) {
  const auto row = co_await find(event.target, event.tenant);
  const bool none = row && (!*row || (*row)->key.tenant != event.tenant || (*row)->key.revoked_at);
  if (none) co_return fail(std::move(error));
  if (row && may_be_the_last((*row)->key)) {
    const std::string& id = event.target;
    std::function<Task<std::int64_t>(sql::Transaction&)> count = [&id](sql::Transaction& tx) {
      return record::count_lasting_admin_keys(tx, kHomeTenant, id);
    };
    const auto others = co_await parts_.record.read(event.tenant, std::move(count));
    if (others && *others == 0) co_return fail(last_admin_key());
  }
  record::UnsavedStop stop{record::UnsavedStop::Kind::api_key, event.target, now, event};
  co_return fail(stop_here(parts_.stops, std::move(stop), std::move(error)));
}

boost::asio::awaitable<void> ApiKeyService::note_if_foreign(record::AuditEvent event) {
  std::function<Task<bool>(sql::Transaction&)> look = [&event](sql::Transaction& tx) {
    return record::is_api_key_of_another(tx, event.target, event.tenant);
  };
  const Result<bool> foreign = co_await parts_.record.read(std::move(look));
  if (foreign && *foreign) parts_.refusals.note_denial(std::move(event));
}

// Empty: not there, not live, or another tenant's.
Task<std::optional<IssuedApiKey>> ApiKeyService::rotate_in(record::Unit& unit,
                                                           const record::AuditEvent& event) {
  const WallTime now = parts_.clock.wall();
  std::optional<IssuedApiKey> none;
  RD_CO_TRY(row, co_await record::find_api_key(unit, event.target));
  if (!row || row->key.tenant != event.tenant || !live(row->key, now)) co_return none;
  const Made made = renew(row->key, event.principal);
  RD_CO_CHECK(co_await record::set_api_key_revoked(unit, row->key.id, now));
  announce_key(unit, row->key);
  RD_CO_TRY(issued, co_await create_in(unit, made, event));
  co_return std::optional<IssuedApiKey>(std::move(issued));
}

Task<IssuedApiKey> ApiKeyService::rotate(const Context& context, std::string id) {
  if (!is_key_id(id)) co_return fail(not_found("api_key"));
  const record::AuditEvent event =
      audit_event(context, context.caller.tenant, "api_key.rotated", id);
  std::function<Task<std::optional<IssuedApiKey>>(record::Unit&)> work =
      [&](record::Unit& unit) -> Task<std::optional<IssuedApiKey>> {
    RD_CO_TRY(renewed, co_await rotate_in(unit, event));
    if (renewed) {
      RD_CO_CHECK(co_await record::keep_answer(context, unit, *renewed));
    }
    co_return renewed;
  };
  record::Reach reach = record::with_deadline_of(context, ends_in(event.tenant));
  RD_CO_TRY(issued, co_await parts_.record.write(record::with_answer_of(context, std::move(reach)),
                                                 std::move(work)));
  if (!issued) {
    co_await note_if_foreign(event);
    co_return fail(not_found("api_key"));
  }
  co_return std::move(*issued);
}

Task<void> write_uses(record::Unit& unit, const std::vector<KeyUse>& uses) {
  for (const KeyUse& use : uses) {
    RD_CO_CHECK(co_await record::set_api_key_used(unit, use.id, use.at));
  }
  co_return Result<void>{};
}

Task<void> ApiKeyService::flush_uses() {
  const auto saved = co_await save_stops(parts_.record, parts_.stops, parts_.refusals);
  RD_CO_CHECK(co_await flush_noted_uses());
  co_return saved;
}

Task<void> ApiKeyService::flush_noted_uses() {
  std::vector<KeyUse> uses = verified_.take_uses();
  if (uses.empty()) co_return Result<void>{};
  std::ranges::sort(uses, {}, &KeyUse::id);  // Everybody takes the rows in one order.
  std::function<Task<void>(record::Unit&)> work = [&uses](record::Unit& unit) {
    return write_uses(unit, uses);
  };
  record::Reach reach;
  reach.keys = {record::reach::api_key_uses()};
  auto written = co_await parts_.record.write_within(std::move(reach), std::move(work));
  if (!written) verified_.put_back(std::move(uses));
  co_return written;
}

Task<std::int64_t> ApiKeyService::sweep(std::size_t batch) {
  const WallTime before = parts_.clock.wall() - kKeptAfterEnd;
  std::function<Task<std::int64_t>(record::Unit&)> work = [before, batch](record::Unit& unit) {
    return record::delete_ended_api_keys(unit, before, batch);
  };
  co_return co_await parts_.record.write(std::move(work));
}

Task<std::optional<IssuedApiKey>> ApiKeyService::make_home_in(record::Unit& unit) {
  std::optional<IssuedApiKey> none;
  RD_CO_TRY(tenants, co_await record::count_tenants(unit));
  if (tenants > 0) co_return none;
  Tenant home;
  home.id = kHomeTenant;
  home.name = "Home";
  home.created_at = parts_.clock.wall();
  RD_CO_CHECK(co_await record::insert_tenant(unit, home));
  NewApiKey request;
  request.name = "first admin key";
  request.role = Role::admin;
  const Made made = make(std::move(request), home.id, "system:first start");
  record::AuditEvent event;
  event.tenant = home.id;
  event.principal = made.row.key.created_by;
  event.action = "api_key.created";
  event.target = made.row.key.id;
  RD_CO_TRY(issued, co_await create_in(unit, made, std::move(event)));
  co_return std::optional<IssuedApiKey>(std::move(issued));
}

Task<std::optional<IssuedApiKey>> ApiKeyService::make_home_tenant() {
  std::function<Task<std::optional<IssuedApiKey>>(record::Unit&)> work =
      [this](record::Unit& unit) { return make_home_in(unit); };
  co_return co_await parts_.record.write(std::move(work));
}

}  // namespace

std::unique_ptr<ApiKeys> make_api_keys(const TenantParts& parts) {
  return std::make_unique<ApiKeyService>(parts);
}

Task<std::optional<IssuedApiKey>> make_home_tenant(const TenantParts& parts) {
  ApiKeyService service(parts);
  co_return co_await service.make_home_tenant();
}

}  // namespace redoubt::tenants
