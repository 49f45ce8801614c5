#include "services/tenants/audit_service.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <string>
#include <vector>

namespace redoubt::tenants {
namespace {

NewTenant new_tenant(std::string id, std::string name = "") {
  NewTenant request;
  request.id = std::move(id);
  request.name = std::move(name);
  return request;
}

TEST_F(TenantsTest, CreatesAndFindsATenant) {
  const auto made = test::run(tenants->create(context(), new_tenant("acme", "Acme Inc.")));
  ASSERT_TRUE(made);
  const Tenant found = test::run(tenants->get(context(), "acme")).value();
  EXPECT_EQ(found.name, "Acme Inc.");
  EXPECT_TRUE(found.enabled);
  EXPECT_EQ(found.created_at, clock.wall());
  EXPECT_EQ(test::run(tenants->create(context(), new_tenant("acme"))).error().slug,
            "tenant_exists");
  EXPECT_EQ(test::run(tenants->get(context(), "nobody")).error().slug, "tenant_not_found");
}

TEST_F(TenantsTest, RefusesIdsAndNamesOutOfRange) {
  const std::vector<std::string> ids = {"",
                                        "-a",
                                        "_a",
                                        "A",
                                        "a b",
                                        "a:b",
                                        "a/b",
                                        "\xc3\xa4",
                                        "a\n",
                                        std::string("a\0b", 3),
                                        "*",
                                        "..",
                                        std::string(64, 'a')};
  for (const std::string& id : ids) {
    const auto made = test::run(tenants->create(context(), new_tenant(id)));
    ASSERT_FALSE(made) << id;
    EXPECT_EQ(made.error().fields.at(0).pointer, "/id");
  }
  EXPECT_TRUE(test::run(tenants->create(context(), new_tenant(std::string(63, 'a')))));
  EXPECT_FALSE(test::run(tenants->create(context(), new_tenant("x", std::string(257, 'n')))));
  EXPECT_FALSE(test::run(tenants->create(context(), new_tenant("x", "\xff"))));
}

TEST_F(TenantsTest, DisablingRefusesItsKeysAtOnceAndEnablingBringsThemBack) {
  make_tenant("acme");
  NewApiKey request;
  request.tenant = "acme";
  const IssuedApiKey issued = make_key(request);
  ASSERT_TRUE(authenticate(issued.token));
  ASSERT_TRUE(keys->authenticate_now(issued.token));

  const Tenant disabled = test::run(tenants->disable(context(), "acme")).value();

  EXPECT_FALSE(disabled.enabled);
  EXPECT_EQ(disabled.disabled_at, clock.wall());
  EXPECT_FALSE(keys->authenticate_now(issued.token)) << "memory must not answer";
  EXPECT_FALSE(authenticate(issued.token));
  EXPECT_TRUE(authenticate(first.token)) << "another tenant's";

  EXPECT_TRUE(test::run(tenants->enable(context(), "acme")).value().enabled);
  EXPECT_TRUE(authenticate(issued.token));
}

TEST_F(TenantsTest, EveryDisablingBeginsANewEpoch) {
  make_tenant("acme");
  const auto epoch = [this] {
    static constexpr sql::Statement kEpoch{"SELECT epoch FROM rd_tenant WHERE id = 'acme'"};
    std::function<Task<sql::Rows>(sql::Transaction&)> read = [](sql::Transaction& tx) {
      return tx.run(kEpoch, {});
    };
    return test::run(record->read(read)).value()[0].integer(0);
  };
  EXPECT_EQ(epoch(), 0);
  ASSERT_TRUE(test::run(tenants->disable(context(), "acme")));
  ASSERT_TRUE(test::run(tenants->disable(context(), "acme"))) << "again changes nothing";
  ASSERT_TRUE(test::run(tenants->enable(context(), "acme")));
  EXPECT_EQ(epoch(), 1);
  ASSERT_TRUE(test::run(tenants->disable(context(), "acme")));
  EXPECT_EQ(epoch(), 2);
}

TEST_F(TenantsTest, TheHomeTenantCannotBeDisabled) {
  EXPECT_EQ(test::run(tenants->disable(context(), "default")).error().slug, "home_tenant");
  EXPECT_TRUE(authenticate(first.token));
  EXPECT_EQ(test::run(tenants->disable(context(), "nobody")).error().slug, "tenant_not_found");
}

TEST_F(TenantsTest, ListsInPages) {
  for (const char* id : {"a", "b", "c", "d", "e"}) make_tenant(id);
  const TenantPage one = test::run(tenants->list(context(), 4, "")).value();
  ASSERT_EQ(one.tenants.size(), 4U);
  EXPECT_EQ(one.next_cursor, "d");
  const TenantPage two = test::run(tenants->list(context(), 4, one.next_cursor)).value();
  ASSERT_EQ(two.tenants.size(), 2U);
  EXPECT_EQ(two.tenants[1].id, "e");
  EXPECT_EQ(two.next_cursor, "");
  EXPECT_FALSE(test::run(tenants->list(context(), 4, "NOT AN ID")));
}

TEST_F(TenantsTest, AuditsEveryChangeInAChainThatVerifies) {
  const std::unique_ptr<Audit> audit = make_audit(*record, refusals);
  make_tenant("acme");
  ASSERT_TRUE(test::run(tenants->disable(context(), "acme")));
  ASSERT_TRUE(test::run(tenants->enable(context(), "acme")));
  const IssuedApiKey issued = make_key({});
  ASSERT_TRUE(test::run(keys->revoke(context(), issued.key.id)));

  std::vector<std::string> actions;
  std::string cursor;
  do {
    const AuditPage page = test::run(audit->list(context(), 2, cursor)).value();
    for (const AuditEntry& entry : page.entries) actions.push_back(entry.action);
    cursor = page.next_cursor;
  } while (!cursor.empty());
  const std::vector<std::string> expected = {"api_key.revoked", "api_key.created",
                                             "tenant.enabled",  "tenant.disabled",
                                             "tenant.created",  "api_key.created"};
  EXPECT_EQ(actions, expected);
  const AuditVerdict verdict = test::run(audit->verify(context())).value();
  EXPECT_TRUE(verdict.intact);
  EXPECT_EQ(verdict.entries, 6);
  EXPECT_EQ(verdict.head, 6);
  EXPECT_EQ(verdict.head_hash.size(), 64U);
  EXPECT_TRUE(test::run(audit->list(context_in("acme"), 10, "")).value().entries.empty());
  EXPECT_FALSE(test::run(audit->list(context(), 10, "0x12")));
}

}  // namespace
}  // namespace redoubt::tenants
