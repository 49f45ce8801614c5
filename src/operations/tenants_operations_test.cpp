#include "operations/tenants_operations.hpp"

#include "base/json.hpp"
#include "operations/keys_operations.hpp"
#include "tests/support/audit_double.hpp"
#include "tests/support/call_operation.hpp"
#include "tests/support/context.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::operations {
namespace {

// The edges of the services: they remember what they were asked.
class TenantsDouble final : public Tenants {
 public:
  Task<Tenant> create(const Context&, NewTenant request) override {
    Tenant tenant;
    tenant.id = std::move(request.id);
    tenant.name = std::move(request.name);
    co_return tenant;
  }
  Task<Tenant> get(const Context&, std::string) override { co_return fail(not_found("tenant")); }
  Task<TenantPage> list(const Context&, std::size_t, std::string) override {
    co_return TenantPage{};
  }
  Task<Tenant> disable(const Context&, std::string id) override {
    Tenant tenant;
    tenant.id = std::move(id);
    tenant.enabled = false;
    tenant.disabled_at = WallTime{1'800'000'000'000};
    co_return tenant;
  }
  Task<Tenant> enable(const Context&, std::string) override { co_return Tenant{}; }
};

class ApiKeysDouble final : public ApiKeys {
 public:
  std::optional<Result<CallerPtr>> authenticate_now(std::string_view) override {
    return std::nullopt;
  }
  Task<CallerPtr> authenticate(std::string) override { co_return CallerPtr(); }
  Task<IssuedApiKey> create(const Context&, NewApiKey request) override {
    asked = request;
    IssuedApiKey issued;
    issued.token = "rdk_the_token";
    issued.key.name = request.name;
    issued.key.role = request.role;
    issued.key.areas = request.areas;
    co_return issued;
  }
  Task<ApiKeyPage> list(const Context&, std::size_t limit, std::string cursor) override {
    asked_limit = limit;
    asked_cursor = std::move(cursor);
    ApiKeyPage page;
    page.keys.emplace_back().areas = kAllAreas;
    page.next_cursor = "next";
    co_return page;
  }
  Task<void> revoke(const Context&, std::string id) override {
    if (refuse) co_return fail(not_found("api_key"));
    asked_cursor = std::move(id);
    co_return Result<void>{};
  }
  Task<IssuedApiKey> rotate(const Context&, std::string) override { co_return IssuedApiKey{}; }
  Task<void> flush_uses() override { co_return Result<void>{}; }
  Task<std::int64_t> sweep(std::size_t) override { co_return 0; }

  bool refuse = false;
  NewApiKey asked;
  std::size_t asked_limit = 0;
  std::string asked_cursor;
};

class EncryptionKeysDouble final : public EncryptionKeys {
 public:
  Task<KeyRingStatus> status(const Context&) override { co_return KeyRingStatus{}; }
  Task<KeyRingStatus> rotate(const Context&) override {
    KeyRingStatus status;
    status.source = KeyRingSource::file;
    status.keys.resize(2);
    status.keys[0].primary = true;
    status.resealing = true;
    co_return status;
  }
};

class TenantsOperations : public testing::Test {
 protected:
  void SetUp() override {
    register_tenants(registry, tenants, keys);
    register_keys(registry, encryption);
    register_audit(registry, audit);
  }
  OperationOutput call(std::string_view id, std::string_view body, std::string_view query = "",
                       std::vector<PathParam> path = {}) {
    const Caller caller = test::admin_of("default");
    const Context context = test::context_of(caller);
    OperationInput input;
    input.path = path;
    input.query = query;
    input.body = body;
    input.content_type = "application/json";
    OperationOutput output;
    test::call_operation(registry, context, id, input, output);
    return output;
  }

  TenantsDouble tenants;
  ApiKeysDouble keys;
  EncryptionKeysDouble encryption;
  test::AuditDouble audit;
  Registry registry;
};

TEST_F(TenantsOperations, ScopesBecomeAreasAndComeBackByName) {
  const OperationOutput out = call(
      "api_keys.create",
      R"({"name":"ci","role":"read_only","scopes":["cache","health"],"ttl":"1h","tenant":"acme"})");

  ASSERT_FALSE(out.error) << out.error->message;
  EXPECT_EQ(keys.asked.areas,
            static_cast<AreaSet>(Area::cache) | static_cast<AreaSet>(Area::health));
  EXPECT_EQ(keys.asked.role, Role::read_only);
  EXPECT_EQ(keys.asked.ttl, Duration(3'600'000));
  EXPECT_EQ(keys.asked.tenant, "acme");
  EXPECT_EQ(out.status, 201);
  EXPECT_NE(out.headers.find("Cache-Control: no-store"), std::string::npos);
  const json::object reply = parse_json(out.body).value().as_object();
  EXPECT_EQ(reply.at("token").as_string(), "rdk_the_token");
  EXPECT_EQ(to_json(reply.at("key").at("scopes")), R"(["cache","health"])");
  EXPECT_EQ(reply.at("key").at("role").as_string(), "read_only");
}

TEST_F(TenantsOperations, AKeyIsAServiceKeyOfEveryScopeUnlessSaidOtherwise) {
  ASSERT_FALSE(call("api_keys.create", R"({"name":"x"})").error);
  EXPECT_EQ(keys.asked.role, Role::service);
  EXPECT_EQ(keys.asked.areas, 0x1ffU);
  EXPECT_EQ(keys.asked.ttl, std::nullopt);
  EXPECT_EQ(keys.asked.tenant, "");
}

TEST_F(TenantsOperations, WaitForEveryInstanceWhenAskedTo) {
  int waited = 0;
  registry = Registry();
  registry.set_barrier([&waited]() -> Task<void> {
    ++waited;
    co_return Result<void>{};
  });
  register_tenants(registry, tenants, keys);
  const auto revoke = [this](std::string_view query) {
    return call("api_keys.revoke", "", query, {{"id", "some-key"}});
  };

  EXPECT_EQ(revoke("").status, 204);
  EXPECT_EQ(revoke("wait=self").status, 204);
  EXPECT_EQ(waited, 0);
  EXPECT_EQ(revoke("wait=all").status, 204);
  EXPECT_EQ(waited, 1);

  const OperationOutput bad = revoke("wait=some");
  ASSERT_TRUE(bad.error);
  ASSERT_EQ(bad.error->fields.size(), 1U);
  EXPECT_EQ(bad.error->fields[0].location, "query.wait");
  keys.refuse = true;
  EXPECT_TRUE(revoke("wait=all").error);
  EXPECT_EQ(waited, 1) << "nothing has changed that others could hear of";
}

TEST_F(TenantsOperations, BadKeyRequestsPointAtTheField) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {R"({})", "/name"},
      {R"({"name":""})", "/name"},
      {R"({"name":"x","role":"root"})", "/role"},
      {R"({"name":"x","scopes":[]})", "/scopes"},
      {R"({"name":"x","scopes":["everything"]})", "/scopes/0"},
      {R"({"name":"x","ttl":"1s"})", "/ttl"},
      {R"({"name":"x","tennant":"acme"})", "/tennant"},
  };
  for (const auto& [body, pointer] : table) {
    const OperationOutput out = call("api_keys.create", body);
    ASSERT_TRUE(out.error) << body;
    EXPECT_EQ(out.error->code, Errc::invalid_argument);
    ASSERT_EQ(out.error->fields.size(), 1U) << body;
    EXPECT_EQ(out.error->fields[0].pointer, pointer);
  }
}

TEST_F(TenantsOperations, ListsTakeTheirPageFromTheQuery) {
  const OperationOutput out = call("api_keys.list", "", "limit=7&cursor=abc");
  ASSERT_FALSE(out.error);
  EXPECT_EQ(keys.asked_limit, 7U);
  EXPECT_EQ(keys.asked_cursor, "abc");
  const json::object reply = parse_json(out.body).value().as_object();
  EXPECT_EQ(reply.at("keys").as_array().size(), 1U);
  EXPECT_EQ(reply.at("keys").at(0).at("scopes").as_array().size(), 9U);
  EXPECT_FALSE(reply.at("keys").at(0).as_object().contains("expires_at"));
  EXPECT_EQ(reply.at("next_cursor").as_string(), "next");
  EXPECT_TRUE(call("api_keys.list", "", "limit=1001").error);
  EXPECT_TRUE(call("tenants.list", "", "limit=0").error);
}

TEST_F(TenantsOperations, StatusesSayWhatHappened) {
  const OperationOutput revoked = call("api_keys.revoke", "", "", {{"id", "the-id"}});
  EXPECT_EQ(revoked.status, 204);
  EXPECT_EQ(revoked.body, "");
  EXPECT_EQ(keys.asked_cursor, "the-id");
  EXPECT_EQ(call("tenants.create", R"({"id":"acme","name":"Acme"})").status, 201);
  const OperationOutput disabled = call("tenants.disable", "", "", {{"id", "acme"}});
  EXPECT_EQ(parse_json(disabled.body).value().at("enabled").as_bool(), false);
  const OperationOutput absent = call("tenants.get", "", "", {{"id", "nobody"}});
  ASSERT_TRUE(absent.error);
  EXPECT_EQ(absent.error->slug, "tenant_not_found");
  const OperationOutput rotated = call("keyring.rotate", "");
  EXPECT_EQ(rotated.status, 202);
  EXPECT_EQ(parse_json(rotated.body).value().at("source").as_string(), "file");
  const OperationOutput trail = call("audit.list", "", "limit=1");
  EXPECT_EQ(parse_json(trail.body).value().at("entries").at(0).at("action").as_string(),
            "tenant.created");
}

TEST_F(TenantsOperations, NothingHereIsForLessThanAnAdmin) {
  Caller service = test::admin_of("default");
  service.role = Role::service;
  const Caller admin = test::admin_of("acme");
  const std::vector<std::string_view> own_tenant = {
      "api_keys.create", "api_keys.list", "api_keys.revoke", "api_keys.rotate", "audit.list"};
  EXPECT_EQ(registry.all().size(), 13U);
  for (const Operation& operation : registry.all()) {
    EXPECT_FALSE(authorize(operation.info, service)) << operation.info.id;
    const bool own = std::ranges::find(own_tenant, operation.info.id) != own_tenant.end();
    EXPECT_EQ(authorize(operation.info, admin).has_value(), own) << operation.info.id;
    EXPECT_TRUE(authorize(operation.info, test::admin_of("default"))) << operation.info.id;
  }
}

}  // namespace
}  // namespace redoubt::operations
