// Sessions while this instance is cut off from the record: copies answer for the grace, and say so;
// then nothing does.
#include "record/copy_trust.hpp"
#include "services/sessions/service.hpp"

#include "tests/support/refusing_record.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

class AuthGraceTest : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    away_ = std::make_unique<test::RefusingRecord>(*record_);
    sessions_ = graced();
  }
  void TearDown() override {
    sessions_.reset();
    SessionsFixture::TearDown();
  }

  std::unique_ptr<Sessions> graced() {
    SessionParts parts = this->parts(*away_);
    parts.grace = &grace_;
    return make_sessions(parts, options_);
  }

  // Heard everything until now, and nothing from now on.
  void lose_record() { away_->cut_off(clock_.boot() + record::kCopiesTrustedFor); }

  // "record", "grace", or why not.
  std::string verdict(const std::string& token) {
    const auto verified = authenticate(token);
    if (!verified) return std::string(slug_of(verified.error()));
    return verified->by_grace ? "grace" : "record";
  }

  record::AuthGrace grace_{30s};
  std::unique_ptr<test::RefusingRecord> away_;
};

TEST_F(AuthGraceTest, CopiesAnswerForTheGraceSayItAndThenNothingDoes) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  lose_record();

  clock_.advance(record::kCopiesTrustedFor - 1ms);
  EXPECT_EQ(verdict(issued.token), "record") << "fresh: what was revoked would be known";
  clock_.advance(1ms);
  EXPECT_EQ(verdict(issued.token), "grace");
  clock_.advance(30s - record::kCopiesTrustedFor - 1ms);
  EXPECT_EQ(verdict(issued.token), "grace");
  clock_.advance(1ms);
  EXPECT_EQ(verdict(issued.token), "record_unavailable");

  away_->reconnect();
  EXPECT_EQ(verdict(issued.token), "record");
}

TEST_F(AuthGraceTest, OfNothingIsStrict) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  grace_.set(0s);
  lose_record();
  clock_.advance(record::kCopiesTrustedFor);

  EXPECT_EQ(verdict(issued.token), "record_unavailable");
  grace_.set(30s);
  EXPECT_EQ(verdict(issued.token), "grace") << "it may be changed at any time";
}

TEST_F(AuthGraceTest, IsNotForAnInstanceThatHasTheRecordInReach) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  // As after this process was stopped: the copies are old, and nobody knows of an outage.
  away_->stop_following(clock_.boot());
  const std::uint64_t before = record_lookups();

  EXPECT_EQ(verdict(issued.token), "record");
  EXPECT_EQ(record_lookups(), before + 1) << "and the record was asked";
}

TEST_F(AuthGraceTest, IsForTheOneWhoFindsOutThatTheRecordIsAwayToo) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  away_->stop_following(clock_.boot());
  away_->cut_off_at_next_read();

  EXPECT_EQ(verdict(issued.token), "grace");
}

TEST_F(AuthGraceTest, DoesNotLetInWhatOnlyTheRecordKnows) {
  NewSession request;
  request.user = "alice";
  const auto elsewhere = worker();
  const auto issued = test::run(elsewhere->create(acme_, request));
  ASSERT_TRUE(issued);
  lose_record();
  clock_.advance(record::kCopiesTrustedFor);

  EXPECT_EQ(verdict(issued->token), "record_unavailable") << "no copy of it is here";
  EXPECT_EQ(verdict("rds_garbage"), "session_invalid");
}

TEST_F(AuthGraceTest, ARevocationHereHoldsHereAtOnce) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  lose_record();
  clock_.advance(record::kCopiesTrustedFor);

  EXPECT_EQ(error_of(test::run(sessions_->revoke(acme_, issued.session->id))),
            "record_unavailable");

  EXPECT_EQ(verdict(issued.token), "session_invalid");
  away_->reconnect();
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  EXPECT_TRUE(ends_.take(1).empty()) << "recorded";
  EXPECT_FALSE(valid(*worker(), issued.token));
}

TEST_F(AuthGraceTest, WritesAreRefused) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  lose_record();
  clock_.advance(record::kCopiesTrustedFor);

  NewSession another;
  another.user = "bob";
  EXPECT_EQ(error_of(test::run(sessions_->create(acme_, another))), "record_unavailable");
  EXPECT_EQ(error_of(test::run(sessions_->update(acme_, issued.session->id, "{}", {}))),
            "record_unavailable");
}

TEST_F(AuthGraceTest, ExpiryGoesOn) {
  NewSession request;
  request.user = "alice";
  request.idle_ttl = 10s;
  const IssuedSession idle = create(request);
  request.idle_ttl = 1h;
  request.absolute_ttl = 12s;
  const IssuedSession old = create(request);
  ASSERT_EQ(verdict(idle.token), "record");
  ASSERT_EQ(verdict(old.token), "record");
  lose_record();

  clock_.advance(6s);
  EXPECT_EQ(verdict(idle.token), "grace") << "its use waits for the record, its bearer does not";
  clock_.advance(6s);
  EXPECT_EQ(verdict(idle.token), "grace");
  EXPECT_NE(verdict(old.token), "grace") << "no session outlives its absolute lifetime";
  clock_.advance(10s);
  EXPECT_NE(verdict(idle.token), "grace");
}

TEST_F(AuthGraceTest, IsForSealedTokensToo) {
  options_.storage = SessionStorage::token;
  sessions_ = graced();
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  lose_record();

  clock_.advance(record::kCopiesTrustedFor);
  EXPECT_EQ(verdict(issued.token), "grace");
  clock_.advance(30s);
  EXPECT_EQ(verdict(issued.token), "record_unavailable")
      << "what memory knows of epochs is a copy, too";
}

TEST_F(AuthGraceTest, IsNotedInTheAnswer) {
  const IssuedSession issued = create();
  ASSERT_EQ(verdict(issued.token), "record");
  Downgrades downgrades;
  Context context = acme_;
  context.downgrades = &downgrades;
  ASSERT_TRUE(*sessions_->verify_now(context, issued.token));
  EXPECT_FALSE(downgrades.any());

  lose_record();
  clock_.advance(record::kCopiesTrustedFor);
  ASSERT_TRUE(*sessions_->verify_now(context, issued.token));
  EXPECT_TRUE(downgrades.has(Downgrade::sessions_grace));
}

}  // namespace
}  // namespace redoubt::sessions
