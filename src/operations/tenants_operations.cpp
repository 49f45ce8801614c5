#include "operations/tenants_operations.hpp"

#include <utility>

namespace redoubt::operations {

// One bit of an AreaSet each, in the order of Area.
enum class Scope : std::uint8_t {
  sessions,
  limits,
  cache,
  gate,
  tenants,
  keyring,
  audit,
  health,
  redis,
};

template <>
struct EnumNames<Scope> {
  static constexpr std::array<std::string_view, 9> names{
      "sessions", "limits", "cache", "gate", "tenants", "keyring", "audit", "health", "redis"};
};
template <>
struct EnumNames<Role> {
  static constexpr std::array<std::string_view, 4> names{"none", "read_only", "service", "admin"};
};

template <>
struct Description<Tenant> {
  static constexpr std::string_view name = "Tenant";
  static constexpr auto fields = describe(
      field<&Tenant::id>("id", "The tenant's id.", example("acme")),
      field<&Tenant::name>("name", "Its name, for people."),
      field<&Tenant::enabled>("enabled", "False: none of its keys and sessions is accepted."),
      field<&Tenant::created_at>("created_at", "When it was created."),
      field<&Tenant::disabled_at>("disabled_at", "When it was disabled; absent while enabled."));
};

template <>
struct Description<NewTenant> {
  static constexpr std::string_view name = "NewTenant";
  static constexpr auto fields = describe(
      field<&NewTenant::id>("id", "1 to 63 of a-z 0-9 - _, beginning with a letter or digit.",
                            required, length(1, 63), example("acme")),
      field<&NewTenant::name>("name", "Its name, for people.", length(0, 256)));
};

template <>
struct Description<TenantPage> {
  static constexpr std::string_view name = "TenantPage";
  static constexpr auto fields =
      describe(field<&TenantPage::tenants>("tenants", "In order of their ids."),
               field<&TenantPage::next_cursor>("next_cursor",
                                               "For the next page; empty when there is none."));
};

namespace {

constexpr std::size_t kScopes = EnumNames<Scope>::names.size();
static_assert(static_cast<AreaSet>(Area::sessions) == 1u << static_cast<int>(Scope::sessions));
static_assert(static_cast<AreaSet>(Area::tenants) == 1u << static_cast<int>(Scope::tenants));
static_assert(static_cast<AreaSet>(Area::redis) == 1u << static_cast<int>(Scope::redis));

AreaSet areas_of(const std::vector<Scope>& scopes) {
  AreaSet areas = 0;
  for (const Scope scope : scopes) areas |= 1u << static_cast<unsigned>(scope);
  return areas;
}

std::vector<Scope> scopes_of(AreaSet areas) {
  std::vector<Scope> scopes;
  for (std::size_t i = 0; i < kScopes; ++i) {
    if ((areas >> i & 1u) != 0) scopes.push_back(static_cast<Scope>(i));
  }
  return scopes;
}

struct TenantById {
  std::string id;
  static constexpr std::string_view schema_name = "TenantById";
  static constexpr auto fields =
      describe(field<&TenantById::id>("id", "The tenant's id.", length(1, 63), in_path));
};

struct DisableTenant {
  std::string id;
  Wait wait = Wait::self;
  static constexpr std::string_view schema_name = "DisableTenant";
  static constexpr auto fields =
      describe(field<&DisableTenant::id>("id", "The tenant's id.", length(1, 63), in_path),
               wait_field<&DisableTenant::wait>());
};

struct ListTenants {
  std::int64_t limit = 100;
  std::string cursor;
  static constexpr std::string_view schema_name = "ListTenants";
  static constexpr auto fields =
      describe(field<&ListTenants::limit>("limit", "How many at most.", between(1, 1000), in_query),
               field<&ListTenants::cursor>("cursor", "The next_cursor of the page before.",
                                           length(0, 64), in_query));
};

struct ListApiKeys {
  std::int64_t limit = 100;
  std::string cursor;
  static constexpr std::string_view schema_name = "ListApiKeys";
  static constexpr auto fields =
      describe(field<&ListApiKeys::limit>("limit", "How many at most.", between(1, 1000), in_query),
               field<&ListApiKeys::cursor>("cursor", "The next_cursor of the page before.",
                                           length(0, 64), in_query));
};

struct CreateApiKey {
  std::string name;
  Role role = Role::service;
  std::vector<Scope> scopes = scopes_of(kAllAreas);
  std::optional<Duration> ttl;
  std::string tenant;
  static constexpr std::string_view schema_name = "CreateApiKey";
  static constexpr auto fields = describe(
      field<&CreateApiKey::name>("name", "What the key is for.", required, length(1, 128),
                                 example("checkout service")),
      field<&CreateApiKey::role>("role",
                                 "read_only reads, service reads and writes, both within the "
                                 "scopes; admin does everything in its tenant."),
      field<&CreateApiKey::scopes>("scopes", "What the key may touch. An admin touches everything.",
                                   items(1, static_cast<std::int64_t>(kScopes))),
      field<&CreateApiKey::ttl>("ttl", "The key expires after this long; without it, never.",
                                between(Duration(60'000), Duration(std::chrono::hours(87'672)))),
      field<&CreateApiKey::tenant>("tenant",
                                   "Whose key it will be; the caller's own tenant when empty. "
                                   "Another's: admins of the home tenant only.",
                                   length(0, 63)));
};

struct ShownApiKey {
  std::string id;
  std::string tenant;
  std::string name;
  Role role = Role::service;
  std::vector<Scope> scopes;
  WallTime created_at;
  std::string created_by;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used_at;
  std::optional<WallTime> revoked_at;
  static constexpr std::string_view schema_name = "ApiKey";
  static constexpr auto fields =
      describe(field<&ShownApiKey::id>("id", "The key's id: its part that is no secret."),
               field<&ShownApiKey::tenant>("tenant", "Whose key it is."),
               field<&ShownApiKey::name>("name", "What it is for."),
               field<&ShownApiKey::role>("role", "What it may do within its scopes."),
               field<&ShownApiKey::scopes>("scopes", "What it may touch."),
               field<&ShownApiKey::created_at>("created_at", "When it was created."),
               field<&ShownApiKey::created_by>("created_by", "By whom."),
               field<&ShownApiKey::expires_at>("expires_at", "When it expires; absent: never."),
               field<&ShownApiKey::last_used_at>("last_used_at", "Up to about a minute behind."),
               field<&ShownApiKey::revoked_at>("revoked_at", "When it was revoked."));
};

struct CreatedApiKey {
  std::string token;
  ShownApiKey key;
  static constexpr std::string_view schema_name = "CreatedApiKey";
  static constexpr auto fields = describe(
      field<&CreatedApiKey::token>(
          "token", "The key itself, for `Authorization: Bearer`. It is shown this once.", secret),
      field<&CreatedApiKey::key>("key", "What is kept about it."));
};

struct ShownApiKeys {
  std::vector<ShownApiKey> keys;
  std::string next_cursor;
  static constexpr std::string_view schema_name = "ApiKeyPage";
  static constexpr auto fields =
      describe(field<&ShownApiKeys::keys>("keys", "Oldest first."),
               field<&ShownApiKeys::next_cursor>("next_cursor",
                                                 "For the next page; empty when there is none."));
};

struct EndApiKey {
  std::string id;
  Wait wait = Wait::self;
  static constexpr std::string_view schema_name = "EndApiKey";
  static constexpr auto fields =
      describe(field<&EndApiKey::id>("id", "The key's id.", length(1, 64), in_path),
               wait_field<&EndApiKey::wait>());
};

ShownApiKey shown(ApiKey key) {
  ShownApiKey out;
  out.id = std::move(key.id);
  out.tenant = std::move(key.tenant);
  out.name = std::move(key.name);
  out.role = key.role;
  out.scopes = scopes_of(key.areas);
  out.created_at = key.created_at;
  out.created_by = std::move(key.created_by);
  out.expires_at = key.expires_at;
  out.last_used_at = key.last_used_at;
  out.revoked_at = key.revoked_at;
  return out;
}

CreatedApiKey created(IssuedApiKey issued) {
  CreatedApiKey out;
  out.token = std::move(issued.token);
  out.key = shown(std::move(issued.key));
  return out;
}

void never_stored(const CreatedApiKey&, OperationOutput& output) {
  output.add_header("Cache-Control", "no-store");
}

OperationInfo tenant_operation(std::string_view id, Method method, std::string_view path,
                               std::string_view summary) {
  OperationInfo info;
  info.id = id;
  info.method = method;
  info.path = path;
  info.summary = summary;
  info.area = Area::tenants;
  info.access = Access::admin;
  info.home_tenant_only = true;
  return info;
}

OperationInfo key_operation(std::string_view id, Method method, std::string_view path,
                            std::string_view summary) {
  OperationInfo info = tenant_operation(id, method, path, summary);
  info.home_tenant_only = false;
  return info;
}

void register_tenant_lists(Registry& registry, Tenants& tenants) {
  OperationSpec<NewTenant, Tenant> create;
  create.info =
      tenant_operation("tenants.create", Method::post, "/api/v1/tenants", "Create a tenant");
  create.info.status = 201;
  create.run = [&tenants](const Context& context, NewTenant request) {
    return tenants.create(context, std::move(request));
  };
  registry.add(std::move(create));

  OperationSpec<ListTenants, TenantPage> list;
  list.info = tenant_operation("tenants.list", Method::get, "/api/v1/tenants", "List the tenants");
  list.info.priority = Priority::listing;
  list.run = [&tenants](const Context& context, ListTenants request) {
    return tenants.list(context, static_cast<std::size_t>(request.limit),
                        std::move(request.cursor));
  };
  registry.add(std::move(list));
}

void register_one_tenant(Registry& registry, Tenants& tenants) {
  OperationSpec<TenantById, Tenant> get;
  get.info = tenant_operation("tenants.get", Method::get, "/api/v1/tenants/{id}", "Show a tenant");
  get.info.priority = Priority::listing;
  get.run = [&tenants](const Context& context, TenantById request) {
    return tenants.get(context, std::move(request.id));
  };
  registry.add(std::move(get));

  OperationSpec<DisableTenant, Tenant> disable;
  disable.info = tenant_operation("tenants.disable", Method::post, "/api/v1/tenants/{id}/disable",
                                  "Disable a tenant");
  disable.info.priority = Priority::revocation;
  disable.info.doc =
      "From the answer on, none of its keys and sessions is accepted. Enabling it lets its keys "
      "work again; its sessions have ended for good.";
  disable.run = [&tenants](const Context& context, DisableTenant request) {
    return tenants.disable(context, std::move(request.id));
  };
  registry.add(std::move(disable));

  OperationSpec<TenantById, Tenant> enable;
  enable.info = tenant_operation("tenants.enable", Method::post, "/api/v1/tenants/{id}/enable",
                                 "Enable a tenant");
  enable.run = [&tenants](const Context& context, TenantById request) {
    return tenants.enable(context, std::move(request.id));
  };
  registry.add(std::move(enable));
}

void register_key_lists(Registry& registry, ApiKeys& keys) {
  OperationSpec<CreateApiKey, CreatedApiKey, IssuedApiKey> create;
  create.info = key_operation("api_keys.create", Method::post, "/api/v1/keys", "Create an API key");
  create.info.status = 201;
  create.run = [&keys](const Context& context, CreateApiKey request) {
    NewApiKey wanted;
    wanted.name = std::move(request.name);
    wanted.role = request.role;
    wanted.areas = areas_of(request.scopes);
    wanted.ttl = request.ttl;
    wanted.tenant = std::move(request.tenant);
    return keys.create(context, std::move(wanted));
  };
  create.reply = created;
  create.decorate = never_stored;
  registry.add(std::move(create));

  OperationSpec<ListApiKeys, ShownApiKeys> list;
  list.info =
      key_operation("api_keys.list", Method::get, "/api/v1/keys", "List the tenant's API keys");
  list.info.priority = Priority::listing;
  list.run = [&keys](const Context& context, ListApiKeys request) -> Task<ShownApiKeys> {
    RD_CO_TRY(page, co_await keys.list(context, static_cast<std::size_t>(request.limit),
                                       std::move(request.cursor)));
    ShownApiKeys out;
    out.keys.reserve(page.keys.size());
    for (ApiKey& key : page.keys) out.keys.push_back(shown(std::move(key)));
    out.next_cursor = std::move(page.next_cursor);
    co_return out;
  };
  registry.add(std::move(list));
}

void register_one_key(Registry& registry, ApiKeys& keys) {
  OperationSpec<EndApiKey, NoReply> revoke;
  revoke.info =
      key_operation("api_keys.revoke", Method::del, "/api/v1/keys/{id}", "Revoke an API key");
  revoke.info.priority = Priority::revocation;
  revoke.run = [&keys](const Context& context, EndApiKey request) -> Task<NoReply> {
    RD_CO_CHECK(co_await keys.revoke(context, std::move(request.id)));
    co_return NoReply{};
  };
  registry.add(std::move(revoke));

  OperationSpec<EndApiKey, CreatedApiKey, IssuedApiKey> rotate;
  rotate.info = key_operation("api_keys.rotate", Method::post, "/api/v1/keys/{id}/rotate",
                              "Replace an API key");
  rotate.info.doc =
      "A new key with the same name, role, scopes and expiry; the old one ends at once.";
  rotate.info.status = 201;
  rotate.run = [&keys](const Context& context, EndApiKey request) {
    return keys.rotate(context, std::move(request.id));
  };
  rotate.reply = created;
  rotate.decorate = never_stored;
  registry.add(std::move(rotate));
}

}  // namespace

void register_tenants(Registry& registry, Tenants& tenants, ApiKeys& keys) {
  register_tenant_lists(registry, tenants);
  register_one_tenant(registry, tenants);
  register_key_lists(registry, keys);
  register_one_key(registry, keys);
}

}  // namespace redoubt::operations
