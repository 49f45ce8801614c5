// API keys while this instance is cut off from the record.
#include "record/copy_trust.hpp"
#include "tests/support/refusing_record.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <gtest/gtest.h>

namespace redoubt::tenants {
namespace {

using namespace std::chrono_literals;

class KeyGraceTest : public TenantsTest {
 protected:
  void SetUp() override {
    TenantsTest::SetUp();
    away_ = std::make_unique<test::RefusingRecord>(*record);
    TenantParts graced{*away_, vault, clock, random, invalidations, refusals, stops, &grace_};
    keys = make_api_keys(graced);
  }
  void TearDown() override {
    keys.reset();
    TenantsTest::TearDown();
  }

  std::string verdict(const std::string& token) {
    const auto caller = authenticate(token);
    if (!caller) return std::string(slug_of(caller.error()));
    return (*caller)->by_grace ? "grace" : "record";
  }

  record::AuthGrace grace_{30s};
  std::unique_ptr<test::RefusingRecord> away_;
};

TEST_F(KeyGraceTest, KnownKeysAreGoodForTheGraceAndThenNone) {
  ASSERT_EQ(verdict(first.token), "record");
  away_->cut_off(clock.boot() + record::kCopiesTrustedFor);

  EXPECT_EQ(verdict(first.token), "record");
  clock.advance(record::kCopiesTrustedFor);
  EXPECT_EQ(verdict(first.token), "grace");
  clock.advance(30s - record::kCopiesTrustedFor - 1ms);
  EXPECT_EQ(verdict(first.token), "grace");
  clock.advance(1ms);
  EXPECT_EQ(verdict(first.token), "record_unavailable");
  away_->reconnect();
  EXPECT_EQ(verdict(first.token), "record");
}

TEST_F(KeyGraceTest, OfNothingIsStrict) {
  ASSERT_EQ(verdict(first.token), "record");
  grace_.set(0s);
  away_->cut_off(clock.boot());

  EXPECT_EQ(verdict(first.token), "record_unavailable");
}

TEST_F(KeyGraceTest, AKeyThatWasNotUsedHereIsNotKnownHere) {
  NewApiKey request;
  request.role = Role::service;
  request.areas = static_cast<AreaSet>(Area::cache);
  const IssuedApiKey other = make_key(std::move(request));
  away_->cut_off(clock.boot());

  EXPECT_EQ(verdict(other.token), "record_unavailable");
}

TEST_F(KeyGraceTest, IsNotForAnInstanceThatHasTheRecordInReach) {
  ASSERT_EQ(verdict(first.token), "record");
  away_->stop_following(clock.boot());

  EXPECT_EQ(verdict(first.token), "record");
}

}  // namespace
}  // namespace redoubt::tenants
