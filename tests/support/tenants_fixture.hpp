// A record in memory, the parts of the services over it, and the journal wired to the
// invalidations.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "local/invalidation_names.hpp"
#include "local/invalidations.hpp"
#include "services/tenants/service.hpp"
#include "tests/support/context.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::tenants {

class TenantsTest : public testing::Test {
 protected:
  void SetUp() override {
    record = home.open(clock, metrics);
    record->subscribe([this](const record::JournalEntry& entry) {
      if (entry.kind == record::JournalEntry::Kind::tenant) {
        invalidations.bump(local::invalidation::tenant(entry.tenant));
      }
      if (entry.kind == record::JournalEntry::Kind::api_key) {
        invalidations.bump(local::invalidation::api_key(entry.key));
      }
    });
    Key256 pepper;
    random.fill(pepper);
    vault.set_pepper(pepper);
    tenants = make_tenants(parts());
    keys = make_api_keys(parts());
    auto made = test::run(make_home_tenant(parts()));
    ASSERT_TRUE(made) << made.error().message << made.error().cause;
    first = std::move(made->value());
  }
  void TearDown() override {
    if (record) record->stop();
  }

  TenantParts parts() { return {*record, vault, clock, random, invalidations, refusals, stops}; }
  Context context() const { return test::context_of(caller); }
  Context context_in(const std::string& tenant) {
    other = test::admin_of(tenant);
    return test::context_of(other);
  }
  void make_tenant(std::string id) {
    NewTenant request;
    request.id = std::move(id);
    ASSERT_TRUE(test::run(tenants->create(context(), request)));
  }
  IssuedApiKey make_key(NewApiKey request) {
    if (request.name.empty()) request.name = "a key";
    auto issued = test::run(keys->create(context(), std::move(request)));
    EXPECT_TRUE(issued) << issued.error().message;
    return std::move(*issued);
  }
  // As the edge does: memory first, then the record.
  Result<CallerPtr> authenticate(const std::string& token) {
    if (auto now = keys->authenticate_now(token)) return *now;
    return test::run(keys->authenticate(token));
  }

  test::RecordHome home;
  ManualClock clock;
  SeededRandom random{11};
  Metrics metrics;
  local::Invalidations invalidations;
  record::LaterAudit refusals{clock, metrics};
  record::UnsavedStops stops{metrics};
  std::unique_ptr<record::Record> record;
  Vault vault{
      parse_key_ring(Secret("8f1d0c6b5a4e39278160f2e3d4c5b6a7988a7b6c5d4e3f201122b3c4d5e6f708"))
          .value(),
      random};
  std::unique_ptr<Tenants> tenants;
  std::unique_ptr<ApiKeys> keys;
  IssuedApiKey first;
  Caller caller = test::admin_of("default");
  Caller other;
};

}  // namespace redoubt::tenants
