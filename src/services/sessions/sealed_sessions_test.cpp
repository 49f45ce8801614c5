// SESSION_STORAGE=token: sessions that are their tokens.
#include "services/sessions/sealed_token.hpp"
#include "services/sessions/service.hpp"

#include "tests/support/refusing_record.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using SessionsTest = test::SessionsFixture;

class SealedSessionsTest : public SessionsTest {
 protected:
  SealedSessionsTest() { options_.storage = SessionStorage::token; }
};

TEST_F(SealedSessionsTest, CarryEverythingInTheToken) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"plan":"pro"})";
  const IssuedSession issued = create(request);
  EXPECT_TRUE(issued.token.starts_with("rdt_"));
  EXPECT_LE(issued.token.size(), kSealedTokenMax);
  const auto other = worker();

  const auto verified = authenticate(*other, issued.token);

  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->session->user, "alice");
  EXPECT_EQ(verified->session->data, R"({"plan":"pro"})");
  EXPECT_TRUE(other->authenticate_now(issued.token).has_value());
  EXPECT_EQ(error_of(*other->verify_now(globex_, issued.token)), "session_invalid");
}

TEST_F(SealedSessionsTest, EndAtAFixedTime) {
  const IssuedSession issued = create();
  clock_.advance(options_.idle_ttl - 1ms);
  ASSERT_TRUE(valid(issued.token));
  EXPECT_EQ(authenticate(issued.token)->expires_at, issued.expires_at);
  clock_.advance(1ms);

  EXPECT_FALSE(valid(issued.token));
}

TEST_F(SealedSessionsTest, EndForEveryWorkerWhenAllOfTheUserAreEnded) {
  const IssuedSession alices = create();
  const IssuedSession bobs = create("bob");
  const auto other = worker();
  ASSERT_TRUE(valid(*other, alices.token));

  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", "")));

  EXPECT_FALSE(valid(*other, alices.token));
  EXPECT_FALSE(valid(alices.token));
  EXPECT_TRUE(valid(bobs.token));
  EXPECT_TRUE(valid(create().token));
}

TEST_F(SealedSessionsTest, StayEndedAndStayGoodWhenTheEpochOfTheirUserIsForgotten) {
  const auto forget = [this](Duration keep) {
    std::int64_t forgotten = 0;
    const WallTime cutoff = clock_.wall() - keep;
    write([&](record::Unit& unit) -> Task<void> {
      RD_CO_TRY(count, co_await record::forget_user_epochs(unit, cutoff, 10));
      forgotten = count;
      co_return Result<void>{};
    });
    return forgotten;
  };
  NewSession longest;
  longest.user = "alice";
  longest.idle_ttl = longest.absolute_ttl = 365 * 24h;
  const IssuedSession before = create(longest);
  clock_.advance(1h);
  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", "")));
  clock_.advance(364 * 24h);
  const IssuedSession after = create(longest);
  EXPECT_EQ(forget(366 * 24h), 0);
  EXPECT_FALSE(valid(before.token));

  clock_.advance(49h);
  EXPECT_EQ(forget(366 * 24h), 1);
  EXPECT_FALSE(valid(*worker(), before.token));
  EXPECT_TRUE(valid(*worker(), after.token));

  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", "")));
  EXPECT_FALSE(valid(after.token));
  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", ""))) << "in the same millisecond";
  EXPECT_TRUE(valid(create().token));
}

TEST_F(SealedSessionsTest, EndWithTheirTenantAndDoNotComeBack) {
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(issued.token));
  set_tenant("acme", false);
  EXPECT_FALSE(valid(issued.token));
  set_tenant("acme", true);

  EXPECT_FALSE(valid(issued.token));
}

class SealedSessionsKeyTest : public SealedSessionsTest {
 protected:
  WallTime claimed_until() {
    std::function<Task<std::vector<record::NotedKey>>(sql::Transaction&)> read =
        [](sql::Transaction& tx) { return record::noted_keys(tx); };
    return test::run(record_->read(read))->at(0).sealed_until;
  }
};

TEST_F(SealedSessionsKeyTest, ClaimTheirKeyUntilTheyEndBeforeTheyAreGivenAway) {
  const IssuedSession issued = create();
  EXPECT_GE(claimed_until(), issued.expires_at);

  NewSession request;
  request.user = "alice";
  request.idle_ttl = 12h;
  const IssuedSession longer = create(request);
  EXPECT_GE(claimed_until(), longer.expires_at);
  clock_.advance(1h);
  create();
  EXPECT_GE(claimed_until(), longer.expires_at) << "never taken back";
}

TEST_F(SealedSessionsKeyTest, ClaimItAheadSoThatFewOfThemWrite) {
  create();
  const std::int64_t before = record_->status().writes;
  for (int i = 0; i < 60; ++i) {
    clock_.advance(1min);
    const IssuedSession issued = create();
    EXPECT_GE(claimed_until(), issued.expires_at);
  }
  EXPECT_LE(record_->status().writes - before, 6);
}

TEST_F(SealedSessionsKeyTest, AreNotGivenAwayWhenTheirKeyCannotBeClaimed) {
  test::RefusingRecord refusing(*record_);
  sessions_ = worker(refusing);
  refusing.refuse(true);
  NewSession request;
  request.user = "alice";

  EXPECT_EQ(error_of(test::run(sessions_->create(acme_, request))), "record_unavailable");
  sessions_.reset();
}

TEST_F(SealedSessionsTest, SayWhyTheyCannotDoWhatNeedsARow) {
  const std::string id = create().session->id;
  const auto expect_refused = [](const auto& result) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::conflict);
    EXPECT_EQ(slug_of(result.error()), "session_not_stored");
    EXPECT_NE(result.error().message.find("SESSION_STORAGE"), std::string::npos);
  };

  expect_refused(test::run(sessions_->get(acme_, id)));
  expect_refused(test::run(sessions_->update(acme_, id, "{}", {})));
  expect_refused(test::run(sessions_->extend(acme_, id, 1h)));
  expect_refused(test::run(sessions_->rotate(acme_, id)));
  expect_refused(test::run(sessions_->revoke(acme_, id)));
  expect_refused(test::run(sessions_->list(acme_, "alice", 10, "")));
  expect_refused(test::run(sessions_->revoke_all(acme_, "alice", id)));
}

TEST_F(SealedSessionsTest, RefuseMoreDataThanAHeaderCarries) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"a":")" + std::string(kSealedDataMax, 'x') + R"("})";

  const auto issued = test::run(sessions_->create(acme_, request));

  ASSERT_FALSE(issued);
  EXPECT_EQ(issued.error().fields.at(0).location, "body.data");
}

}  // namespace
}  // namespace redoubt::sessions
