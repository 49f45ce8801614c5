// What changes a session or ends it, and when everybody sees that.
#include "services/sessions/service.hpp"

#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <functional>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using SessionsTest = test::SessionsFixture;

void rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

// ---- Changing ----

TEST_F(SessionsTest, MergesAPatchAndShowsItToEveryWorkerAtOnce) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"keep":1,"drop":2,"deep":{"a":1,"b":2}})";
  const IssuedSession issued = create(request);
  const auto other = worker();
  ASSERT_TRUE(valid(*other, issued.token));

  const auto updated = test::run(sessions_->update(
      acme_, issued.session->id, R"({"drop":null,"deep":{"b":null,"c":3},"new":"x"})", 1));

  ASSERT_TRUE(updated);
  const std::string merged = R"({"keep":1,"deep":{"a":1,"c":3},"new":"x"})";
  EXPECT_EQ((*updated)->data, merged);
  EXPECT_EQ((*updated)->version, 2);
  EXPECT_EQ(authenticate(issued.token)->session->data, merged);
  EXPECT_EQ(authenticate(*other, issued.token)->session->data, merged);
}

TEST_F(SessionsTest, RefusesAnUpdateOfAnOlderVersion) {
  const IssuedSession issued = create();
  const std::string& id = issued.session->id;
  ASSERT_TRUE(test::run(sessions_->update(acme_, id, R"({"a":1})", 1)));

  const auto late = test::run(sessions_->update(acme_, id, R"({"a":2})", 1));

  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::precondition_failed);
  EXPECT_EQ(slug_of(late.error()), "version_mismatch");
  EXPECT_EQ(test::run(sessions_->get(acme_, id))->session->data, R"({"a":1})");
}

TEST_F(SessionsTest, LosesNoUpdateOfMany) {
  const IssuedSession issued = create();
  boost::asio::io_context io;
  int done = 0;
  const auto update = [&](int i) -> boost::asio::awaitable<void> {
    const std::string patch = R"({"k)" + std::to_string(i) + R"(":1})";
    const auto updated = co_await sessions_->update(acme_, issued.session->id, patch, {});
    done += updated ? 1 : 0;
  };
  for (int i = 0; i < 20; ++i) boost::asio::co_spawn(io, update(i), rethrow);
  io.run();

  const auto read = test::run(sessions_->get(acme_, issued.session->id));
  EXPECT_EQ(done, 20);
  EXPECT_EQ(read->session->version, 21);
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(read->session->data.find("\"k" + std::to_string(i) + "\""), std::string::npos);
  }
}

TEST_F(SessionsTest, LetsOneOfTwoConditionalUpdatesWin) {
  const IssuedSession issued = create();
  boost::asio::io_context io;
  std::vector<std::string> outcomes;
  const auto update = [&](std::string patch) -> boost::asio::awaitable<void> {
    const auto updated = co_await sessions_->update(acme_, issued.session->id, patch, 1);
    outcomes.push_back(error_of(updated));
  };
  boost::asio::co_spawn(io, update(R"({"a":1})"), rethrow);
  boost::asio::co_spawn(io, update(R"({"a":2})"), rethrow);
  io.run();

  std::ranges::sort(outcomes);
  EXPECT_EQ(outcomes, (std::vector<std::string>{"ok", "version_mismatch"}));
}

TEST_F(SessionsTest, RefusesAPatchThatIsNoObjectOrGrowsTooLarge) {
  const IssuedSession issued = create();
  const std::string& id = issued.session->id;
  const std::string half = std::string(40 << 10, 'x');
  ASSERT_TRUE(test::run(sessions_->update(acme_, id, R"({"a":")" + half + R"("})", {})));

  for (const std::string& patch :
       {std::string("[1]"), std::string("nul"), R"({"b":")" + half + R"("})"}) {
    const auto updated = test::run(sessions_->update(acme_, id, patch, {}));
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, Errc::invalid_argument);
    EXPECT_EQ(updated.error().fields.at(0).location, "body.data");
  }
  EXPECT_EQ(test::run(sessions_->get(acme_, id))->session->version, 2);
}

TEST_F(SessionsTest, RotatesToANewTokenAndEndsTheOldOne) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"cart":[1,2]})";
  const IssuedSession old = create(request);
  ASSERT_TRUE(valid(old.token));
  clock_.advance(10min);

  const auto rotated = test::run(sessions_->rotate(acme_, old.session->id));

  ASSERT_TRUE(rotated);
  EXPECT_FALSE(valid(old.token));
  const auto verified = authenticate(rotated->token);
  ASSERT_TRUE(verified);
  EXPECT_NE(verified->session->id, old.session->id);
  EXPECT_EQ(verified->session->data, R"({"cart":[1,2]})");
  EXPECT_EQ(verified->session->absolute_expires_at, old.session->absolute_expires_at);
  EXPECT_EQ(error_of(test::run(sessions_->rotate(acme_, old.session->id))), "session_not_found");
}

// ---- Ending ----

TEST_F(SessionsTest, IsRefusedByEveryWorkerOnceItsRevocationIsAcknowledged) {
  const IssuedSession issued = create();
  const auto other = worker();
  ASSERT_TRUE(valid(issued.token));
  ASSERT_TRUE(valid(*other, issued.token));

  ASSERT_TRUE(test::run(sessions_->revoke(acme_, issued.session->id)));

  EXPECT_FALSE(valid(issued.token));
  EXPECT_FALSE(valid(*other, issued.token));
  EXPECT_EQ(error_of(test::run(sessions_->get(acme_, issued.session->id))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->revoke(acme_, issued.session->id))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->update(acme_, issued.session->id, "{}", {}))),
            "session_not_found");
}

// A record in which something happens between a read and its answer, once.
class RacingRecord final : public record::Record {
 public:
  RacingRecord(record::Record& record, std::function<void()> after_read)
      : record_(record), after_read_(std::move(after_read)) {}

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    return record_.write_unit(std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    auto read = co_await record_.read_snapshot(std::move(work));
    if (after_read_) std::exchange(after_read_, {})();
    co_return read;
  }
  void subscribe(record::JournalListener listener) override {
    record_.subscribe(std::move(listener));
  }
  record::Status status() const override { return record_.status(); }
  void stop() override {}

 private:
  record::Record& record_;
  std::function<void()> after_read_;
};

TEST_F(SessionsTest, DoesNotKeepACopyThatWasReadBeforeARevocation) {
  const IssuedSession issued = create();
  RacingRecord racing(
      *record_, [&] { ASSERT_TRUE(test::run(sessions_->revoke(acme_, issued.session->id))); });
  const auto other = worker(racing);

  std::ignore = test::run(other->authenticate(issued.token));

  EXPECT_FALSE(valid(*other, issued.token));
}

TEST_F(SessionsTest, EndsAllSessionsOfAUserButOne) {
  const IssuedSession kept = create();
  const IssuedSession ended = create();
  const IssuedSession also_ended = create();
  const IssuedSession bobs = create("bob");
  const auto other = worker();
  for (const auto* s : {&kept, &ended, &also_ended, &bobs}) ASSERT_TRUE(valid(*other, s->token));

  const auto count = test::run(sessions_->revoke_all(acme_, "alice", kept.session->id));

  EXPECT_EQ(*count, 2);
  EXPECT_TRUE(valid(*other, kept.token));
  EXPECT_FALSE(valid(*other, ended.token));
  EXPECT_FALSE(valid(*other, also_ended.token));
  EXPECT_TRUE(valid(*other, bobs.token));
}

TEST_F(SessionsTest, DoesNotEndWhatIsCreatedAfterRevokingAll) {
  create();
  EXPECT_EQ(*test::run(sessions_->revoke_all(acme_, "alice", "")), 1);

  const IssuedSession later = create();

  EXPECT_TRUE(valid(later.token));
  EXPECT_EQ(error_of(test::run(sessions_->revoke_all(acme_, "alice", "ses_x"))),
            "invalid_argument");
}

TEST_F(SessionsTest, EndsWithItsTenantAndDoesNotComeBack) {
  const IssuedSession issued = create();
  ASSERT_TRUE(valid(issued.token));

  set_tenant("acme", false);

  EXPECT_FALSE(valid(issued.token));
  NewSession request;
  request.user = "alice";
  EXPECT_EQ(error_of(test::run(sessions_->create(acme_, request))), "tenant_disabled");
  set_tenant("acme", true);
  EXPECT_FALSE(valid(issued.token));
  EXPECT_TRUE(test::run(sessions_->list(acme_, "alice", 10, ""))->sessions.empty());
  EXPECT_TRUE(valid(create().token));
}

TEST_F(SessionsTest, EndsTheLeastRecentlyUsedSessionAtTheCap) {
  SessionOptions options;
  options.per_user_max = 2;
  reopen_with(options);
  const IssuedSession first = create();
  clock_.advance(1min);
  const IssuedSession second = create();
  clock_.advance(1min);
  ASSERT_TRUE(valid(first.token));  // Now `second` is the least recently used.
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  clock_.advance(1s);

  const IssuedSession third = create();

  EXPECT_TRUE(valid(first.token));
  EXPECT_FALSE(valid(second.token));
  EXPECT_TRUE(valid(third.token));
  EXPECT_TRUE(valid(create("bob").token));
}

TEST_F(SessionsTest, KeepsTheCapHoweverManyLogInAtOnce) {
  SessionOptions options;
  options.per_user_max = 3;
  reopen_with(options);
  boost::asio::io_context io;
  const auto login = [&]() -> boost::asio::awaitable<void> {
    NewSession request;
    request.user = "alice";
    const auto issued = co_await sessions_->create(acme_, std::move(request));
    EXPECT_TRUE(issued);
  };
  for (int i = 0; i < 20; ++i) boost::asio::co_spawn(io, login(), rethrow);
  io.run();

  EXPECT_EQ(test::run(sessions_->list(acme_, "alice", 100, ""))->sessions.size(), 3u);
}

}  // namespace
}  // namespace redoubt::sessions
