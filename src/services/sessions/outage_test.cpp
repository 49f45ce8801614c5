// Sessions while writes to the record are refused, and after: uses that could not be recorded must
// not bring back what was ended, and must not end what is in use.
#include "services/sessions/service.hpp"

#include "tests/support/refusing_record.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

class SessionsOutage : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    refusing_ = std::make_unique<test::RefusingRecord>(*record_);
    sessions_ = worker(*refusing_);
  }
  void TearDown() override {
    sessions_.reset();
    SessionsFixture::TearDown();
  }

  // In use for `length` while no use can be recorded; the record then calls it idle.
  void use_during_outage(const std::string& token, Duration length) {
    refusing_->refuse(true);
    for (Duration passed{0}; passed < length; passed += 20min) {
      clock_.advance(20min);
      ASSERT_TRUE(valid(token));
      ASSERT_FALSE(test::run(sessions_->flush_uses()));
    }
    refusing_->refuse(false);
  }

  std::unique_ptr<test::RefusingRecord> refusing_;
};

TEST_F(SessionsOutage, RevokingAllEndsWhatOnlyMemoryKnowsToBeInUse) {
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(issued.token));
  use_during_outage(issued.token, 2h);

  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", "")));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));

  EXPECT_FALSE(valid(issued.token));
  EXPECT_FALSE(valid(*worker(), issued.token));
}

TEST_F(SessionsOutage, RevokingAllCountsOnlyTheLiveOnes) {
  create();
  clock_.advance(2h);
  create();

  EXPECT_EQ(*test::run(sessions_->revoke_all(acme_, "alice", "")), 1);
}

TEST_F(SessionsOutage, TheCapCountsWhatOnlyMemoryKnowsToBeInUse) {
  options_.per_user_max = 1;
  sessions_ = worker(*refusing_);
  const IssuedSession issued = create();
  use_during_outage(issued.token, 2h);

  const IssuedSession later = create();
  ASSERT_TRUE(test::run(sessions_->flush_uses()));

  EXPECT_FALSE(valid(*worker(), issued.token));
  EXPECT_TRUE(valid(later.token));
}

}  // namespace
}  // namespace redoubt::sessions
