// Sessions of two instances over one record, whose units are committed side by side. On SQLite
// there is one instance, and nothing to show.
#include "record/audit.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::sessions {
namespace {

class TwoInstances : public test::SessionsFixture {
 protected:
  void SetUp() override {
    if (!test::RecordHome::is_postgres()) GTEST_SKIP() << "one instance";
    SessionsFixture::SetUp();
    second_record_ = std::make_unique<test::TimelessRecord>(home_.open(clock_, metrics_));
    second_ = worker(*second_record_);
  }
  void TearDown() override {
    second_.reset();
    if (second_record_) second_record_->stop();
    SessionsFixture::TearDown();
  }

  static void together(const std::function<void()>& one, const std::function<void()>& other) {
    std::jthread thread(other);
    one();
  }
  std::size_t live(const std::string& user) {
    return test::run(sessions_->list(acme_, user, 100, ""))->sessions.size();
  }

  std::unique_ptr<record::Record> second_record_;
  std::unique_ptr<Sessions> second_;
};

// In whichever order they are committed: what a rotation makes is ended, or it is refused.
TEST_F(TwoInstances, ARotationNeverEscapesTheEndOfAllSessions) {
  for (int i = 0; i < 40; ++i) {
    const std::string user = "user-" + std::to_string(i);
    const IssuedSession issued = create(user);
    std::string rotated = "ok";
    std::string ended = "ok";

    together([&] { rotated = error_of(test::run(sessions_->rotate(acme_, issued.session->id))); },
             [&] { ended = error_of(test::run(second_->revoke_all(acme_, user, ""))); });

    EXPECT_EQ(ended, "ok");
    EXPECT_TRUE(rotated == "ok" || rotated == "session_not_found") << rotated;
    ASSERT_EQ(live(user), 0U) << i;
  }
}

TEST_F(TwoInstances, KeepTheCapHoweverManyLogInAndRotateAtOnce) {
  options_.per_user_max = 3;
  sessions_ = worker();
  second_ = worker(*second_record_);
  for (int i = 0; i < 3; ++i) create("ann");
  const auto churn = [this](Sessions& sessions) {
    for (int i = 0; i < 30; ++i) {
      NewSession request;
      request.user = "ann";
      const auto issued = test::run(sessions.create(acme_, std::move(request)));
      ASSERT_TRUE(issued);
      static_cast<void>(test::run(sessions.rotate(acme_, issued->session->id)));
    }
  };

  together([&] { churn(*sessions_); }, [&] { churn(*second_); });

  EXPECT_EQ(live("ann"), 3U);
  const auto verdict = test::run(record::verify_audit(*record_));
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->intact) << verdict->problem;
}

TEST_F(TwoInstances, LoseNoUpdateOfOneSession) {
  const IssuedSession issued = create();
  std::atomic<int> failed = 0;
  const auto update = [&](Sessions& sessions, const std::string& name) {
    for (int i = 0; i < 30; ++i) {
      std::string patch = "{\"" + name + std::to_string(i) + "\":1}";
      const auto done =
          test::run(sessions.update(acme_, issued.session->id, std::move(patch), std::nullopt));
      if (!done) ++failed;
    }
  };

  together([&] { update(*sessions_, "a"); }, [&] { update(*second_, "b"); });

  EXPECT_EQ(failed, 0);
  EXPECT_EQ(test::run(sessions_->get(acme_, issued.session->id))->session->version, 61);
}

}  // namespace
}  // namespace redoubt::sessions
