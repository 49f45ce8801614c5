// When a session ends by itself, and what uses of it do to that.
#include "services/sessions/service.hpp"

#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using SessionsTest = test::SessionsFixture;

TEST_F(SessionsTest, NeverEndsIdleSessionsEarlyAndEndsThemWithinTheSlack) {
  const std::string token = create().token;

  clock_.advance(options_.idle_ttl - 1ms);
  ASSERT_TRUE(valid(token));
  clock_.advance(options_.idle_ttl - 1ms);
  ASSERT_TRUE(valid(token));
  clock_.advance(options_.idle_ttl + 60s);

  EXPECT_FALSE(valid(token));
}

TEST_F(SessionsTest, SlidesForEveryWorkerOnceUsesAreFlushed) {
  const std::string token = create().token;
  const auto other = worker();
  for (int i = 0; i < 6; ++i) {  // Only this worker sees it, for twice its idle lifetime.
    clock_.advance(20min);
    ASSERT_TRUE(valid(token));
    ASSERT_TRUE(test::run(sessions_->flush_uses()));
  }

  EXPECT_TRUE(valid(*other, token));
}

TEST_F(SessionsTest, AsksTheRecordBeforeItCallsASessionIdle) {
  const std::string token = create().token;
  const auto other = worker();
  clock_.advance(40min);
  ASSERT_TRUE(valid(*other, token));
  ASSERT_TRUE(test::run(other->flush_uses()));

  clock_.advance(40min);  // Idle for 80 minutes here, for 40 there.

  EXPECT_TRUE(valid(token));
}

TEST_F(SessionsTest, EndsAtTheAbsoluteExpiryHoweverOftenItIsUsed) {
  NewSession request;
  request.user = "alice";
  request.absolute_ttl = 2h;
  const IssuedSession issued = create(request);

  for (int i = 0; i < 3; ++i) {
    clock_.advance(30min);
    ASSERT_TRUE(valid(issued.token));
  }
  EXPECT_EQ(authenticate(issued.token)->expires_at, issued.session->absolute_expires_at);
  clock_.advance(30min);

  EXPECT_FALSE(valid(issued.token));
}

TEST_F(SessionsTest, RecordsUsesOfShortSessionsBeforeItAnswers) {
  NewSession request;
  request.user = "alice";
  request.idle_ttl = 2s;
  const std::string token = create(request).token;
  const auto other = worker();

  for (int i = 0; i < 5; ++i) {  // Never flushed.
    clock_.advance(1900ms);
    ASSERT_TRUE(valid(i % 2 == 0 ? *sessions_ : *other, token)) << i;
  }
  clock_.advance(2500ms);

  EXPECT_FALSE(valid(token));
}

TEST_F(SessionsTest, WritesUsesForwardOnlyAndShowsThem) {
  const IssuedSession issued = create();
  const auto other = worker();
  clock_.advance(5min);
  ASSERT_TRUE(valid(*other, issued.token));
  clock_.advance(5min);
  const WallTime last_use = clock_.wall();
  ASSERT_TRUE(valid(issued.token));

  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  ASSERT_TRUE(test::run(other->flush_uses()));  // Its use is older.

  const auto read = test::run(sessions_->get(acme_, issued.session->id));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->session->last_seen_at, last_use);
  EXPECT_EQ(sessions_->authenticate_now(issued.token)->value().session->last_seen_at, last_use);
}

TEST_F(SessionsTest, ExtendsTheIdleLifetimeButNotTheAbsoluteOne) {
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(issued.token));

  const auto extended = test::run(sessions_->extend(acme_, issued.session->id, 5h));

  ASSERT_TRUE(extended);
  EXPECT_EQ(extended->expires_at, clock_.wall() + 5h);
  EXPECT_EQ(extended->session->absolute_expires_at, issued.session->absolute_expires_at);
  clock_.advance(4h);
  EXPECT_TRUE(valid(issued.token));
  EXPECT_EQ(error_of(test::run(sessions_->extend(acme_, issued.session->id, 0s))),
            "invalid_argument");
}

TEST_F(SessionsTest, ShortensTheIdleLifetimeToo) {
  const IssuedSession issued = create();

  ASSERT_TRUE(test::run(sessions_->extend(acme_, issued.session->id, 10s)));
  clock_.advance(13s);

  EXPECT_FALSE(valid(issued.token));
  clock_.advance(1min);
  EXPECT_EQ(*test::run(sessions_->sweep(10)), 1);
}

}  // namespace
}  // namespace redoubt::sessions
