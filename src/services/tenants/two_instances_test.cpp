// API keys of two instances over one record, whose units are committed side by side. On SQLite
// there is one instance, and nothing to show.
#include "record/audit.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace redoubt::tenants {
namespace {

class TwoInstances : public TenantsTest {
 protected:
  void SetUp() override {
    if (!test::RecordHome::is_postgres()) GTEST_SKIP() << "one instance";
    TenantsTest::SetUp();
    second_record = home.open(clock, metrics);
    second = make_api_keys({*second_record, vault, clock, random, invalidations, refusals, stops});
  }
  void TearDown() override {
    if (second_record) second_record->stop();
    TenantsTest::TearDown();
  }
  IssuedApiKey admin_key() {
    NewApiKey request;
    request.role = Role::admin;
    return make_key(std::move(request));
  }

  std::unique_ptr<record::Record> second_record;
  std::unique_ptr<ApiKeys> second;
};

TEST_F(TwoInstances, NeverEndTheLastAdminKeyTogether) {
  IssuedApiKey last = std::move(first);
  for (int i = 0; i < 20; ++i) {
    IssuedApiKey other_admin = admin_key();
    Result<void> ended;
    Result<void> other_ended;
    {
      std::jthread thread(
          [&] { other_ended = test::run(second->revoke(context(), other_admin.key.id)); });
      ended = test::run(keys->revoke(context(), last.key.id));
    }

    ASSERT_NE(ended.has_value(), other_ended.has_value()) << "one of them has to stay";
    const Error& refusal = ended ? other_ended.error() : ended.error();
    EXPECT_EQ(refusal.slug, "last_admin_key");
    if (ended) last = std::move(other_admin);
  }
  const auto verdict = test::run(record::verify_audit(*record));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->intact) << verdict->problem;
}

TEST_F(TwoInstances, ReplaceAKeyOnce) {
  for (int i = 0; i < 20; ++i) {
    const IssuedApiKey old = make_key({});
    Result<IssuedApiKey> one = fail(internal("not run"));
    Result<IssuedApiKey> two = fail(internal("not run"));
    {
      std::jthread thread([&] { two = test::run(second->rotate(context(), old.key.id)); });
      one = test::run(keys->rotate(context(), old.key.id));
    }
    EXPECT_NE(one.has_value(), two.has_value());
  }
}

TEST_F(TwoInstances, RefuseAKeyOnceTheyHaveSaidThatItHasEndedWhoeverEndedIt) {
  const IssuedApiKey key = make_key({});
  ASSERT_TRUE(test::run(keys->authenticate(key.token)));
  ASSERT_TRUE(test::run(second->revoke(context(), key.key.id)));
  // The first may not have heard of it yet; from its own answer on, it has.
  ASSERT_TRUE(test::run(keys->revoke(context(), key.key.id)));
  const auto known = keys->authenticate_now(key.token);
  EXPECT_FALSE(known && known->has_value());
}

}  // namespace
}  // namespace redoubt::tenants
