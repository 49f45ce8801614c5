#include "tests/support/sessions_fixture.hpp"

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

}  // namespace
}  // namespace redoubt::sessions
