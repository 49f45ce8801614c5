// Sessions while writes to the record are refused, and after: uses that could not be recorded must
// not bring back what was ended, and must not end what is in use.
#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
#include "services/sessions/unsaved_ends.hpp"

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

  // As a record that went back: it knows no use since the session was made, and no copy is good.
  void lose_uses(const IssuedSession& issued) {
    Id128 id{};
    ASSERT_TRUE(parse_id(kIdPrefix, issued.session->id, id));
    write([id](record::Unit& unit) -> Task<void> {
      RD_CO_TRY(row, co_await record::find_session(unit, id));
      row->last_seen_at = row->created_at;
      RD_CO_CHECK(co_await record::store_session_lifetime(unit, *row));
      unit.announce({.kind = record::JournalEntry::Kind::tenant, .tenant = row->tenant, .key = {}});
      co_return Result<void>{};
    });
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

TEST_F(SessionsOutage, EndsNoSessionAsIdleThatMemoryKnowsToBeInUse) {
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(issued.token));
  use_during_outage(issued.token, 2h);

  // No copy outlives this, and the uses are still on their way.
  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, "alice", issued.session->id)));

  EXPECT_TRUE(valid(issued.token));
  clock_.advance(2h);
  EXPECT_FALSE(valid(issued.token)) << "in the end it is idle";
}

TEST_F(SessionsOutage, ARecordThatLostAUseIsToldOfTheNextOne) {
  const IssuedSession issued = create();
  clock_.advance(60min + 50s);
  ASSERT_TRUE(valid(issued.token));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  lose_uses(issued);
  clock_.advance(15s);  // Too little to note a use, if the record had the last one.

  ASSERT_TRUE(valid(issued.token));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));

  EXPECT_TRUE(valid(*worker(), issued.token));
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

class UnsavedEndsTest : public SessionsOutage {
 protected:
  void SetUp() override {
    SessionsOutage::SetUp();
    other_ = worker(*refusing_);
  }
  void TearDown() override {
    other_.reset();
    SessionsOutage::TearDown();
  }
  bool valid_anywhere(const IssuedSession& issued) {
    return valid(issued.token) || valid(*other_, issued.token) ||
           test::run(sessions_->get(acme_, issued.session->id)).has_value();
  }
  // As after a restart: nothing is known but what is recorded.
  bool recorded_as_valid(const IssuedSession& issued) {
    EXPECT_TRUE(ends_.take(1).empty());
    return valid(*worker(), issued.token);
  }

  std::unique_ptr<Sessions> other_;
};

TEST_F(UnsavedEndsTest, ARevocationThatCannotBeRecordedActsAtOnceAndIsRecordedLater) {
  const IssuedSession issued = create();
  const IssuedSession kept = create();
  ASSERT_TRUE(valid(*other_, issued.token));
  refusing_->refuse(true);

  EXPECT_EQ(error_of(test::run(sessions_->revoke(acme_, issued.session->id))),
            "record_unavailable");

  EXPECT_FALSE(valid_anywhere(issued));
  EXPECT_TRUE(valid_anywhere(kept));
  EXPECT_EQ(test::run(sessions_->list(acme_, "alice", 10, ""))->sessions.size(), 1u);
  EXPECT_FALSE(test::run(other_->flush_uses()));
  EXPECT_FALSE(valid_anywhere(issued));

  refusing_->refuse(false);
  EXPECT_EQ(error_of(test::run(sessions_->rotate(acme_, issued.session->id))), "session_not_found");
  ASSERT_TRUE(test::run(other_->flush_uses()));
  EXPECT_FALSE(valid_anywhere(issued));
  EXPECT_FALSE(recorded_as_valid(issued));
  EXPECT_TRUE(recorded_as_valid(kept));
}

TEST_F(UnsavedEndsTest, RevokingAllThatCannotBeRecordedActsAtOnceAndSparesWhatIsMadeLater) {
  const IssuedSession issued = create();
  const IssuedSession kept = create();
  const IssuedSession bobs = create("bob");
  refusing_->refuse(true);

  EXPECT_EQ(error_of(test::run(sessions_->revoke_all(acme_, "alice", kept.session->id))),
            "record_unavailable");
  EXPECT_FALSE(valid_anywhere(issued));
  EXPECT_TRUE(valid_anywhere(kept));
  EXPECT_TRUE(valid_anywhere(bobs));

  refusing_->refuse(false);
  clock_.advance(1s);
  const IssuedSession later = create();
  EXPECT_TRUE(valid_anywhere(later));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  EXPECT_FALSE(recorded_as_valid(issued));
  for (const IssuedSession& live : {kept, bobs, later}) EXPECT_TRUE(recorded_as_valid(live));
}

TEST_F(UnsavedEndsTest, SealedTokensOfAUserEndAtOnceToo) {
  options_.storage = SessionStorage::token;
  sessions_ = worker(*refusing_);
  other_ = worker(*refusing_);
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(*other_, issued.token));
  refusing_->refuse(true);

  EXPECT_FALSE(test::run(sessions_->revoke_all(acme_, "alice", "")));
  EXPECT_FALSE(valid(issued.token));
  EXPECT_FALSE(valid(*other_, issued.token));
  refusing_->refuse(false);
  ASSERT_TRUE(test::run(other_->flush_uses()));
  EXPECT_FALSE(recorded_as_valid(issued));
}

TEST_F(UnsavedEndsTest, NamesOfNothingAndOfOtherTenantsTakeNoRoom) {
  const IssuedSession issued = create();
  refusing_->refuse(true);

  EXPECT_FALSE(test::run(sessions_->revoke(acme_, format_id(kIdPrefix, Id128{1}))));
  EXPECT_FALSE(test::run(sessions_->revoke(globex_, issued.session->id)));

  EXPECT_TRUE(ends_.take(10).empty());
  EXPECT_TRUE(valid_anywhere(issued));
}

UnsavedEnd end_of(std::string user, std::optional<Id128> id) {
  return {"acme", std::move(user), id, WallTime{1000}, {}};
}

TEST(UnsavedEnds, AreBoundedAndUsersLeaveRoomForSessions) {
  Metrics metrics;
  const record::UnsavedStops stops(metrics);
  UnsavedEnds ends(metrics, stops, 8);
  for (std::uint8_t i = 0; i < 20; ++i) {
    EXPECT_EQ(ends.add(end_of("user-" + std::to_string(i), std::nullopt)), i < 2);
  }
  for (std::uint8_t i = 0; i < 20; ++i) EXPECT_EQ(ends.add(end_of("", Id128{i})), i < 6);
  EXPECT_TRUE(ends.add(end_of("", Id128{0}))) << "known already";

  ends.saved(ends.take(100));
  EXPECT_TRUE(ends.add(end_of("user-9", std::nullopt)));
}

TEST(UnsavedEnds, WhatIsAddedAgainWhileItIsWrittenIsWrittenAgain) {
  Metrics metrics;
  const record::UnsavedStops stops(metrics);
  UnsavedEnds ends(metrics, stops);
  ends.add(end_of("ada", std::nullopt));
  const auto taken = ends.take(10);
  EXPECT_TRUE(ends.take(10).empty()) << "nobody else writes it";
  UnsavedEnd again = end_of("ada", std::nullopt);
  again.at = WallTime{2000};
  ends.add(again);
  ends.saved(taken);

  EXPECT_TRUE(ends.cover({"acme", "ada", Id128{1}, WallTime{1500}}));
  EXPECT_FALSE(ends.cover({"acme", "ada", Id128{1}, WallTime{2500}}));
  EXPECT_FALSE(ends.cover({"globex", "ada", Id128{1}, WallTime{1500}}));
  ASSERT_EQ(ends.take(10).size(), 1u);
}

}  // namespace
}  // namespace redoubt::sessions
