// Stopping keys and tenants while the record cannot be written, and after.
#include "tests/support/refusing_record.hpp"
#include "tests/support/tenants_fixture.hpp"

#include "record/tenant_rows.hpp"
#include "record/unsaved_stops.hpp"

#include <gtest/gtest.h>

namespace redoubt::tenants {
namespace {

class UnsavedStopsTest : public TenantsTest {
 protected:
  void SetUp() override {
    TenantsTest::SetUp();
    refusing = std::make_unique<test::RefusingRecord>(*record);
    tenants = make_tenants(refusing_parts());
    keys = make_api_keys(refusing_parts());
    other = make_api_keys(refusing_parts());
  }
  TenantParts refusing_parts() {
    return {*refusing, vault, clock, random, invalidations, refusals, stops};
  }
  bool accepted_anywhere(const std::string& token) {
    if (authenticate(token)) return true;
    auto known = other->authenticate_now(token);
    return known ? known->has_value() : test::run(other->authenticate(token)).has_value();
  }
  // As after a restart: nothing is known but what is recorded.
  bool recorded_as_good(const std::string& token) {
    record::UnsavedStops none(metrics);
    const TenantParts fresh{*record, vault, clock, random, invalidations, refusals, none};
    return test::run(make_api_keys(fresh)->authenticate(token)).has_value();
  }
  IssuedApiKey key_in(std::string tenant) {
    NewApiKey request;
    request.tenant = std::move(tenant);
    return make_key(std::move(request));
  }

  std::unique_ptr<test::RefusingRecord> refusing;
  std::unique_ptr<ApiKeys> other;
};

TEST_F(UnsavedStopsTest, ARevokedKeyIsRefusedAtOnceAndRecordedLater) {
  const IssuedApiKey doomed = make_key({});
  const IssuedApiKey kept = make_key({});
  ASSERT_TRUE(accepted_anywhere(doomed.token));
  refusing->refuse(true);

  const auto answer = test::run(keys->revoke(context(), doomed.key.id));

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().slug, "record_unavailable");
  EXPECT_NE(answer.error().message.find("refuses"), std::string::npos);
  EXPECT_FALSE(accepted_anywhere(doomed.token));
  EXPECT_TRUE(accepted_anywhere(kept.token));
  EXPECT_TRUE(recorded_as_good(doomed.token));

  EXPECT_FALSE(test::run(keys->flush_uses())) << "the record is still away";
  EXPECT_FALSE(accepted_anywhere(doomed.token));
  refusing->refuse(false);
  ASSERT_TRUE(test::run(keys->flush_uses()));

  EXPECT_FALSE(stops.any());
  EXPECT_FALSE(recorded_as_good(doomed.token));
  EXPECT_FALSE(accepted_anywhere(doomed.token));
  EXPECT_TRUE(accepted_anywhere(kept.token));
}

TEST_F(UnsavedStopsTest, ADisabledTenantIsLockedOutAtOnceAndRecordedLater) {
  make_tenant("acme");
  const IssuedApiKey theirs = key_in("acme");
  ASSERT_TRUE(accepted_anywhere(theirs.token));
  refusing->refuse(true);

  EXPECT_FALSE(test::run(tenants->disable(context(), "acme")));

  EXPECT_TRUE(stops.covers_tenant("acme"));
  EXPECT_FALSE(accepted_anywhere(theirs.token));
  EXPECT_TRUE(accepted_anywhere(first.token));
  refusing->refuse(false);
  ASSERT_TRUE(test::run(keys->flush_uses()));
  EXPECT_FALSE(stops.any());
  EXPECT_FALSE(accepted_anywhere(theirs.token));
  EXPECT_FALSE(test::run(tenants->get(context(), "acme"))->enabled);
}

TEST_F(UnsavedStopsTest, EnablingATenantRecordsItsEndFirst) {
  make_tenant("acme");
  const IssuedApiKey theirs = key_in("acme");
  refusing->refuse(true);
  ASSERT_FALSE(test::run(tenants->disable(context(), "acme")));
  EXPECT_FALSE(test::run(tenants->enable(context(), "acme")));
  EXPECT_FALSE(accepted_anywhere(theirs.token));
  refusing->refuse(false);

  ASSERT_TRUE(test::run(tenants->enable(context(), "acme")));

  EXPECT_FALSE(stops.any());
  EXPECT_TRUE(accepted_anywhere(theirs.token));
  ASSERT_TRUE(test::run(keys->flush_uses()));
  EXPECT_TRUE(test::run(tenants->get(context(), "acme"))->enabled) << "it is not disabled again";
  std::function<Task<record::TenantStanding>(sql::Transaction&)> read = [](sql::Transaction& tx) {
    return record::tenant_standing(tx, "acme");
  };
  EXPECT_EQ(test::run(record->read(read))->epoch, 1) << "its sessions have ended";
}

TEST_F(UnsavedStopsTest, TheLastAdminKeyIsNotStopped) {
  refusing->refuse(true);

  EXPECT_EQ(test::run(keys->revoke(context(), first.key.id)).error().slug, "last_admin_key");

  EXPECT_TRUE(accepted_anywhere(first.token));
}

// Two were revoked while nothing could be written; one of them must stay.
TEST_F(UnsavedStopsTest, WhatTheRecordRefusesForGoodWorksAgain) {
  NewApiKey admin;
  admin.role = Role::admin;
  const IssuedApiKey second = make_key(std::move(admin));
  refusing->refuse(true);
  ASSERT_FALSE(test::run(keys->revoke(context(), first.key.id)));
  ASSERT_FALSE(test::run(keys->revoke(context(), second.key.id)));
  EXPECT_FALSE(accepted_anywhere(first.token) || accepted_anywhere(second.token));
  refusing->refuse(false);

  ASSERT_TRUE(test::run(keys->flush_uses()));

  EXPECT_FALSE(stops.any());
  EXPECT_NE(accepted_anywhere(first.token), accepted_anywhere(second.token));
}

TEST_F(UnsavedStopsTest, NamesOfNothingAndOfOtherTenantsTakeNoRoom) {
  make_tenant("acme");
  const IssuedApiKey mine = make_key({});
  refusing->refuse(true);

  EXPECT_FALSE(test::run(keys->revoke(context_in("acme"), mine.key.id)));
  EXPECT_FALSE(test::run(keys->revoke(context(), std::string(22, '0'))));
  EXPECT_FALSE(test::run(tenants->disable(context(), "nobody")));

  EXPECT_FALSE(stops.any());
  EXPECT_TRUE(accepted_anywhere(mine.token));
}

TEST(UnsavedStops, AreBounded) {
  Metrics metrics;
  record::UnsavedStops stops(metrics, 2);
  const auto stop = [](std::string id) {
    return record::UnsavedStop{record::UnsavedStop::Kind::api_key, std::move(id), {}, {}};
  };

  EXPECT_TRUE(stops.add(stop("a")));
  EXPECT_TRUE(stops.add(stop("b")));
  EXPECT_TRUE(stops.add(stop("a"))) << "it has room already";
  EXPECT_FALSE(stops.add(stop("c")));
}

}  // namespace
}  // namespace redoubt::tenants
