#include "services/sessions/memory.hpp"
#include "tests/support/refusing_record.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

// While uses wait to be recorded, as they do when the disk is full, a row looks idle whose session
// is in use. What is acknowledged about such a session must hold all the same.
class UnrecordedUsesTest : public test::SessionsFixture {
 protected:
  IssuedSession used_without_record() {
    const IssuedSession issued = create();
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(valid(issued.token));
      clock_.advance(40min);
    }
    EXPECT_TRUE(valid(issued.token));
    return issued;
  }
};

TEST_F(UnrecordedUsesTest, ARevokedUserStaysRevokedWhenTheyArrive) {
  const IssuedSession issued = used_without_record();

  ASSERT_TRUE(test::run(sessions_->revoke_all(acme_, issued.session->user, "")));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));

  EXPECT_FALSE(valid(issued.token));
  const auto restarted = worker();
  EXPECT_FALSE(valid(*restarted, issued.token));
}

TEST_F(UnrecordedUsesTest, ARevokedSessionStaysRevokedWhenTheyArrive) {
  const IssuedSession issued = used_without_record();

  EXPECT_TRUE(test::run(sessions_->revoke(acme_, issued.session->id)));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));

  EXPECT_FALSE(valid(issued.token));
  const auto restarted = worker();
  EXPECT_FALSE(valid(*restarted, issued.token));
}

TEST_F(UnrecordedUsesTest, ASweptSessionIsGoneFromEveryMemory) {
  const IssuedSession issued = used_without_record();

  EXPECT_EQ(*test::run(sessions_->sweep(10)), 1);

  EXPECT_FALSE(valid(issued.token));
  EXPECT_EQ(error_of(test::run(sessions_->revoke(acme_, issued.session->id))), "session_not_found");
}

TEST_F(UnrecordedUsesTest, NoIdleRowIsSweptBeforeTheyHadTimeToArrive) {
  const IssuedSession issued = used_without_record();
  close();
  open();  // The record is back since now.

  EXPECT_EQ(*test::run(sessions_->sweep(10)), 0);
  clock_.advance(61s);
  EXPECT_EQ(*test::run(sessions_->sweep(10)), 1);
}

TEST_F(UnrecordedUsesTest, NoIdleRowIsSweptWhileTheyAreRefusedBecauseTheQueueIsFull) {
  test::RefusingRecord overloaded(*record_);
  const auto sweeper = worker();  // Whose own writes find a place.
  sessions_ = worker(overloaded);
  overloaded.overload(true);
  const IssuedSession issued = [this] {
    const auto creator = worker();
    NewSession request;
    request.user = "alice";
    return *test::run(creator->create(acme_, request));
  }();
  for (int i = 0; i < 4; ++i) {
    clock_.advance(40min);
    ASSERT_TRUE(valid(issued.token));
    ASSERT_FALSE(test::run(sessions_->flush_uses()));
    EXPECT_EQ(*test::run(sweeper->sweep(10)), 0);
  }

  overloaded.overload(false);
  ASSERT_TRUE(valid(issued.token));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  clock_.advance(61s);
  EXPECT_EQ(*test::run(sweeper->sweep(10)), 0);
  EXPECT_TRUE(valid(*worker(), issued.token));
  clock_.advance(2h);
  EXPECT_EQ(*test::run(sweeper->sweep(10)), 1) << "idle in earnest";
  sessions_.reset();
}

TEST_F(UnrecordedUsesTest, RowsThatLookIdleHoldBackNoDeadOnes) {
  for (int i = 0; i < 5; ++i) create();
  clock_.advance(2h);
  const IssuedSession ended = create();
  ASSERT_TRUE(test::run(sessions_->revoke(acme_, ended.session->id)));
  close();
  open();  // From now on, and for a minute, what looks idle is kept.

  EXPECT_EQ(*test::run(sessions_->sweep(2)), 1);

  clock_.advance(61s);
  for (std::int64_t left = 5; left > 0;) {
    const std::int64_t deleted = *test::run(sessions_->sweep(2));
    ASSERT_GT(deleted, 0);
    left -= deleted;
  }
}

class WaitingUsesTest : public UnrecordedUsesTest {
 protected:
  static Use use_of(std::uint8_t session, std::int64_t at) {
    return {{}, Id128{session}, WallTime{at}};
  }
  SessionMemory memory_{vault_, invalidations_, 1 << 20, 3};
};

TEST_F(WaitingUsesTest, AreBounded) {
  for (std::uint8_t i = 0; i < 3; ++i) EXPECT_TRUE(memory_.note(use_of(i, i)));
  EXPECT_TRUE(memory_.full());
  EXPECT_FALSE(memory_.note(use_of(9, 9)));

  EXPECT_EQ(memory_.take_uses().size(), 3u);
  EXPECT_FALSE(memory_.full());
}

TEST_F(WaitingUsesTest, ThatComeBackMakeRoomForLaterOnes) {
  for (std::uint8_t i = 0; i < 3; ++i) memory_.note(use_of(i, i));
  const std::vector<Use> taken = memory_.take_uses();
  for (std::uint8_t i = 1; i < 4; ++i) memory_.note(use_of(i, 10 + i));

  memory_.put_back(taken);

  std::vector<std::int64_t> kept;
  for (const Use& use : memory_.take_uses()) kept.push_back(use.at.ms);
  std::ranges::sort(kept);
  EXPECT_EQ(kept, (std::vector<std::int64_t>{11, 12, 13}));
}

TEST_F(WaitingUsesTest, AUseThatFoundNoRoomIsNotedByTheNextOne) {
  for (std::uint8_t i = 0; i < 3; ++i) memory_.note(use_of(i, i));
  const IssuedSession issued = create();
  SessionMemory::Entry entry;
  entry.session = issued.session;
  entry.idle_ttl = options_.idle_ttl;
  entry.noted = clock_.wall();
  entry.note_after = Duration(1000);
  clock_.advance(2s);
  memory_.use({}, entry, clock_.wall());
  EXPECT_TRUE(SessionMemory::worth_noting(entry, clock_.wall()));

  std::ignore = memory_.take_uses();
  memory_.use({}, entry, clock_.wall());
  EXPECT_FALSE(SessionMemory::worth_noting(entry, clock_.wall()));
}

TEST_F(WaitingUsesTest, AReadThatIsOvertakenReplacesNothingNewer) {
  const IssuedSession issued = create();
  const auto entry_of = [&](std::int64_t version) {
    auto session = std::make_shared<Session>(*issued.session);
    session->version = version;
    SessionMemory::Entry entry;
    entry.absolute_expires_at = session->absolute_expires_at;
    entry.idle_ttl = session->idle_ttl;
    entry.last_seen = session->last_seen_at;
    entry.stamps = read_stamps(invalidations_, Dependencies(*session));
    entry.session = std::move(session);
    return entry;
  };
  const Hash128 key = memory_.key_of(issued.token);
  memory_.keep(key, entry_of(2));
  memory_.keep(key, entry_of(1));
  ASSERT_NE(memory_.find(key, clock_.wall()), nullptr);
  EXPECT_EQ(memory_.find(key, clock_.wall())->session->version, 2);
  memory_.keep(key, entry_of(3));
  EXPECT_EQ(memory_.find(key, clock_.wall())->session->version, 3);
}

}  // namespace
}  // namespace redoubt::sessions
