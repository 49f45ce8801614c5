#include "services/sessions/service.hpp"

#include "record/audit.hpp"

#include "services/sessions/token.hpp"

#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using test::ring_key;
using SessionsTest = test::SessionsFixture;

void rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

// ---- Creating and verifying ----

TEST_F(SessionsTest, CreatesASessionThatItsTokenProves) {
  NewSession request;
  request.user = "alice";
  request.agent = "agent:7";
  request.device = "Firefox on Linux";
  request.address = "203.0.113.7";
  request.data = R"({ "plan": "pro" })";

  const IssuedSession issued = create(request);
  const auto verified = authenticate(issued.token);

  ASSERT_TRUE(verified);
  const Session& session = *verified->session;
  EXPECT_TRUE(session.id.starts_with("ses_"));
  EXPECT_EQ(session.id.size(), 26u);
  EXPECT_EQ(session.tenant, "acme");
  EXPECT_EQ(session.user, "alice");
  EXPECT_EQ(session.agent, "agent:7");
  EXPECT_EQ(session.device, "Firefox on Linux");
  EXPECT_EQ(session.address, "203.0.113.7");
  EXPECT_EQ(session.data, R"({"plan":"pro"})");
  EXPECT_EQ(session.version, 1);
  EXPECT_EQ(verified->expires_at, clock_.wall() + options_.idle_ttl);
  EXPECT_EQ(session.absolute_expires_at, clock_.wall() + options_.absolute_ttl);
}

TEST_F(SessionsTest, ReadsWhatAnotherWorkerCreated) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"a":1})";
  const IssuedSession issued = create(request);
  const auto other = worker();

  EXPECT_FALSE(other->authenticate_now(issued.token).has_value());
  const auto verified = authenticate(*other, issued.token);

  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->session->data, R"({"a":1})");
  EXPECT_EQ(verified->session->id, issued.session->id);
}

TEST_F(SessionsTest, AnswersFromMemoryOnceItKnowsASession) {
  const IssuedSession issued = create();
  const std::uint64_t before = record_lookups();

  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(sessions_->authenticate_now(issued.token).has_value());
  }

  EXPECT_EQ(record_lookups(), before);
}

TEST_F(SessionsTest, RefusesAForgedTokenWithoutAskingTheRecord) {
  std::string forged = create().token;
  forged[40] = forged[40] == 'a' ? 'b' : 'a';

  const auto answer = sessions_->authenticate_now(forged);

  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(error_of(*answer), "session_invalid");
}

TEST_F(SessionsTest, RefusesEveryFlippedBitOfATokenThatIsInMemory) {
  const std::string token = create().token;
  ASSERT_TRUE(valid(token));

  for (std::size_t i = 0; i < token.size() * 8; ++i) {
    std::string flipped = token;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    const auto answer = sessions_->authenticate_now(flipped);
    ASSERT_TRUE(answer.has_value()) << "bit " << i << " reached the record";
    ASSERT_FALSE(answer->has_value()) << "bit " << i;
  }
}

TEST_F(SessionsTest, RefusesATokenWithARightTagAndAWrongSecret) {
  const IssuedSession issued = create();
  const TokenCodec codec(vault_);
  TokenParts parts = *codec.authenticate(issued.token);
  parts.secret[0] ^= 1;

  EXPECT_FALSE(valid(codec.write(parts)));
}

TEST_F(SessionsTest, GivesAnotherTenantOneAnswerForEverything) {
  const IssuedSession issued = create();
  const std::string id = issued.session->id;
  const auto other = worker();

  EXPECT_EQ(error_of(*sessions_->verify_now(globex_, issued.token)), "session_invalid");
  EXPECT_EQ(error_of(test::run(other->verify(globex_, issued.token))), "session_invalid");
  EXPECT_EQ(error_of(test::run(sessions_->get(globex_, id))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->update(globex_, id, "{}", {}))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->extend(globex_, id, 60s))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->rotate(globex_, id))), "session_not_found");
  EXPECT_EQ(error_of(test::run(sessions_->revoke(globex_, id))), "session_not_found");
  EXPECT_TRUE(test::run(sessions_->list(globex_, "alice", 10, ""))->sessions.empty());
  EXPECT_EQ(*test::run(sessions_->revoke_all(globex_, "alice", "")), 0);
  EXPECT_TRUE(test::run(sessions_->verify(acme_, issued.token)));
  EXPECT_TRUE(valid(issued.token));
}

// ---- Input ----

TEST_F(SessionsTest, RefusesBadFieldsAndNamesThem) {
  const std::string huge(1 << 20, 'x');
  const auto refused = [this](auto change) {
    NewSession request;
    request.user = "alice";
    change(request);
    const auto issued = test::run(sessions_->create(acme_, std::move(request)));
    if (issued) return std::string("accepted");
    EXPECT_EQ(issued.error().code, Errc::invalid_argument);
    return issued.error().fields.empty() ? std::string() : issued.error().fields[0].location;
  };

  for (const std::string& bad :
       {std::string(), huge, std::string("a\0b", 3), std::string("a\r\nb"), std::string("\xff\xfe"),
        std::string(":"), std::string("*"), std::string("{}"), std::string("a\x7f")}) {
    EXPECT_EQ(refused([&](NewSession& r) { r.user = bad; }), "body.user") << bad.substr(0, 20);
    if (bad.empty()) continue;
    EXPECT_EQ(refused([&](NewSession& r) { r.agent = bad; }), "body.agent") << bad.substr(0, 20);
  }
  EXPECT_EQ(refused([&](NewSession& r) { r.device = huge; }), "body.device");
  EXPECT_EQ(refused([&](NewSession& r) { r.device = "a\nb"; }), "body.device");
  EXPECT_EQ(refused([&](NewSession& r) { r.address = huge; }), "body.address");
  for (const std::string& bad : {std::string("[]"), std::string("{"), std::string(),
                                 R"({"a":")" + std::string(65 << 10, 'x') + R"("})"}) {
    EXPECT_EQ(refused([&](NewSession& r) { r.data = bad; }), "body.data") << bad.substr(0, 20);
  }
  EXPECT_EQ(refused([&](NewSession& r) { r.idle_ttl = 999ms; }), "body.idle_ttl");
  EXPECT_EQ(refused([&](NewSession& r) { r.absolute_ttl = 24h * 366; }), "body.absolute_ttl");
}

TEST_F(SessionsTest, KeepsUsersApartWhoseIdsLookLikeKeysOrGlobs) {
  const std::vector<std::string> users{"user:1",   "user:1:x", "user*",
                                       "{user}:1", "ユーザー", "a b"};
  for (const std::string& user : users) create(user);

  for (const std::string& user : users) {
    const auto page = test::run(sessions_->list(acme_, user, 10, ""));
    ASSERT_TRUE(page);
    ASSERT_EQ(page->sessions.size(), 1u) << user;
    EXPECT_EQ(page->sessions[0]->user, user);
  }
}

TEST_F(SessionsTest, FindsNothingUnderAnIdThatIsNone) {
  for (const std::string& id :
       {std::string(), std::string("ses_"), std::string(":*{}"), std::string("ses_\r\n\0", 7),
        std::string(1 << 20, 'x'), std::string("ses_0000000000000000000000")}) {
    EXPECT_EQ(error_of(test::run(sessions_->get(acme_, id))), "session_not_found");
    EXPECT_EQ(error_of(test::run(sessions_->revoke(acme_, id))), "session_not_found");
  }
}

// ---- Lifetime ----

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

// ---- Listing and cleaning ----

TEST_F(SessionsTest, ListsNewestFirstInPages) {
  std::vector<std::string> created;
  for (int i = 0; i < 5; ++i) {
    clock_.advance(1s);
    created.push_back(create().session->id);
  }
  ASSERT_TRUE(test::run(sessions_->revoke(acme_, created[2])));

  std::vector<std::string> listed;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = test::run(sessions_->list(acme_, "alice", 2, cursor));
    ASSERT_TRUE(page);
    for (const SessionPtr& session : page->sessions) listed.push_back(session->id);
    cursor = page->next_cursor;
    ++pages;
  } while (!cursor.empty() && pages < 10);

  EXPECT_EQ(listed, (std::vector<std::string>{created[4], created[3], created[1], created[0]}));
  EXPECT_EQ(pages, 2);
}

TEST_F(SessionsTest, RefusesBadPagesAndCursors) {
  EXPECT_EQ(error_of(test::run(sessions_->list(acme_, "alice", 0, ""))), "invalid_argument");
  EXPECT_EQ(error_of(test::run(sessions_->list(acme_, "alice", 1001, ""))), "invalid_argument");
  EXPECT_EQ(error_of(test::run(sessions_->list(acme_, "alice", 1, "%%%"))), "invalid_argument");
  EXPECT_EQ(error_of(test::run(sessions_->list(acme_, "alice", 1, "AAAA"))), "invalid_argument");
  EXPECT_EQ(error_of(test::run(sessions_->list(acme_, "*", 1, ""))), "invalid_argument");
}

TEST_F(SessionsTest, SweepsWhatIsDeadAndNothingElse) {
  const IssuedSession idle = create();
  const IssuedSession used = create();
  const IssuedSession revoked = create();
  ASSERT_TRUE(test::run(sessions_->revoke(acme_, revoked.session->id)));
  clock_.advance(40min);
  ASSERT_TRUE(valid(used.token));
  ASSERT_TRUE(test::run(sessions_->flush_uses()));
  EXPECT_EQ(*test::run(sessions_->sweep(100)), 1);  // The revoked one.
  clock_.advance(25min);

  EXPECT_EQ(*test::run(sessions_->sweep(100)), 1);  // The idle one.

  EXPECT_FALSE(valid(idle.token));
  EXPECT_TRUE(valid(used.token));
  EXPECT_EQ(*test::run(sessions_->sweep(100)), 0);
  clock_.advance(2h);
  EXPECT_EQ(*test::run(sessions_->sweep(100)), 1);  // Its row was looked at again in time.
}

TEST_F(SessionsTest, SweepsNoMoreThanItWasAsked) {
  for (int i = 0; i < 5; ++i) create();
  clock_.advance(24h);

  EXPECT_EQ(*test::run(sessions_->sweep(2)), 2);
  EXPECT_EQ(*test::run(sessions_->sweep(2)), 2);
  EXPECT_EQ(*test::run(sessions_->sweep(2)), 1);
}

// ---- The file, the ring ----

TEST_F(SessionsTest, AreThereAfterARestart) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"a":1})";
  const IssuedSession kept = create(request);
  const IssuedSession revoked = create();
  ASSERT_TRUE(test::run(sessions_->revoke(acme_, revoked.session->id)));

  close();
  open();

  EXPECT_EQ(authenticate(kept.token)->session->data, R"({"a":1})");
  EXPECT_FALSE(valid(revoked.token));
}

TEST_F(SessionsTest, LeaveNothingUsableInTheFile) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"secret":"tall-grass-and-thunder"})";
  const IssuedSession issued = create(request);
  ASSERT_TRUE(test::run(
      sessions_->update(acme_, issued.session->id, R"({"other":"under-the-clock-tower"})", {})));
  const TokenParts parts = *TokenCodec(vault_).authenticate(issued.token);
  const std::string secret(as_text(parts.secret));
  close();

  for (const std::string& file : home_.files()) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(bytes.find("tall-grass"), std::string::npos) << file;
    EXPECT_EQ(bytes.find("clock-tower"), std::string::npos) << file;
    EXPECT_EQ(bytes.find(issued.token.substr(4, 88)), std::string::npos) << file;
    EXPECT_EQ(bytes.find(secret), std::string::npos) << file;
  }
}

TEST_F(SessionsTest, DoNotOpenWhenTheirDataIsMovedToAnotherRow) {
  NewSession request;
  request.user = "alice";
  request.data = R"({"role":"admin"})";
  const IssuedSession admin = create(request);
  const IssuedSession plain = create("mallory");
  Id128 from{};
  Id128 to{};
  ASSERT_TRUE(parse_id(kIdPrefix, admin.session->id, from));
  ASSERT_TRUE(parse_id(kIdPrefix, plain.session->id, to));
  write([&](record::Unit& unit) -> Task<void> {
    RD_CO_TRY(source, co_await record::find_session(unit, from));
    record::SessionRow moved = *source;
    moved.id = to;
    RD_CO_CHECK(co_await record::store_session_data(unit, moved));
    co_return Result<void>{};
  });

  const auto read = test::run(sessions_->get(acme_, plain.session->id));

  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::internal);
}

TEST_F(SessionsTest, AreListedThoughOneOfThemDoesNotOpen) {
  const IssuedSession good = create();
  clock_.advance(Duration(1));
  const IssuedSession bad = create();
  Id128 id{};
  ASSERT_TRUE(parse_id(kIdPrefix, bad.session->id, id));
  write([&](record::Unit& unit) -> Task<void> {
    RD_CO_TRY(row, co_await record::find_session(unit, id));
    row->data.back() ^= 1;
    co_return co_await record::store_session_data(unit, *row);
  });

  const auto page = test::run(sessions_->list(acme_, "alice", 10, ""));

  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->sessions.size(), 2u);
  EXPECT_EQ(page->sessions[0]->id, bad.session->id);
  EXPECT_FALSE(page->sessions[0]->readable);
  EXPECT_EQ(page->sessions[0]->data, "{}");
  EXPECT_EQ(page->sessions[1]->id, good.session->id);
  EXPECT_TRUE(page->sessions[1]->readable);
  EXPECT_TRUE(test::run(sessions_->revoke(acme_, bad.session->id))) << "it can still be ended";
}

TEST_F(SessionsTest, AreSealedAgainUnderANewKeyInBatchesAndKeepTheirVersion) {
  std::vector<IssuedSession> issued;
  for (int i = 0; i < 5; ++i) issued.push_back(create());
  ASSERT_TRUE(test::run(sessions_->update(acme_, issued[0].session->id, R"({"a":1})", {})));
  const RingKey primary = ring_key(9);
  vault_.reload({primary, ring_key(7)});
  const auto resealer = make_session_resealer(*record_, vault_);
  EXPECT_EQ(*test::run(resealer->rows_needing(ring_key(7).id)), 5);
  EXPECT_EQ(*test::run(resealer->keys_in_use()), std::vector{ring_key(7).id});

  std::int64_t resealed = 0;
  record::ResealStep step{ring_key(7).id, primary.id, {}, 2};
  for (bool done = false; !done;) {
    const auto progress = test::run(resealer->reseal_some(step));
    ASSERT_TRUE(progress);
    EXPECT_LE(progress->resealed, 2);
    resealed += progress->resealed;
    step.after = progress->last;
    done = progress->done;
  }

  EXPECT_EQ(resealed, 5);
  EXPECT_EQ(*test::run(resealer->rows_needing(ring_key(7).id)), 0);
  EXPECT_EQ(*test::run(resealer->rows_needing(primary.id)), 5);
  vault_.reload({primary});
  const auto read = test::run(sessions_->get(acme_, issued[0].session->id));
  EXPECT_EQ(read->session->data, R"({"a":1})");
  EXPECT_EQ(read->session->version, 2);
}

TEST_F(SessionsTest, AreSealedAgainPastOneThatDoesNotOpen) {
  std::vector<IssuedSession> issued;
  for (int i = 0; i < 5; ++i) issued.push_back(create());
  Id128 damaged{};
  ASSERT_TRUE(parse_id(kIdPrefix, issued[1].session->id, damaged));
  write([&](record::Unit& unit) -> Task<void> {
    RD_CO_TRY(row, co_await record::find_session(unit, damaged));
    row->data.back() ^= 1;
    co_return co_await record::store_session_data(unit, *row);
  });
  const RingKey primary = ring_key(9);
  vault_.reload({primary, ring_key(7)});
  const auto resealer = make_session_resealer(*record_, vault_);

  std::int64_t resealed = 0;
  std::int64_t unreadable = 0;
  std::string example;
  record::ResealStep step{ring_key(7).id, primary.id, {}, 2};
  for (bool done = false; !done;) {
    const auto progress = test::run(resealer->reseal_some(step));
    ASSERT_TRUE(progress);
    resealed += progress->resealed;
    unreadable += progress->unreadable;
    example += progress->example;
    step.after = progress->last;
    done = progress->done;
  }

  EXPECT_EQ(resealed, 4);
  EXPECT_EQ(unreadable, 1);
  EXPECT_EQ(example, issued[1].session->id);
  EXPECT_EQ(*test::run(resealer->rows_needing(ring_key(7).id)), 1) << "its key is kept";
}

TEST_F(SessionsTest, ReachingForAnotherTenantsIsAuditedWithinABound) {
  const std::string id = create().session->id;
  EXPECT_FALSE(test::run(sessions_->get(globex_, id)));
  EXPECT_FALSE(test::run(sessions_->update(globex_, id, "{}", {})));
  EXPECT_FALSE(test::run(sessions_->extend(globex_, id, 1h)));
  EXPECT_FALSE(test::run(sessions_->rotate(globex_, id)));
  EXPECT_FALSE(test::run(sessions_->get(globex_, format_id(kIdPrefix, Id128{1}))));  // Nobody's.
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(test::run(sessions_->revoke(globex_, id)));

  ASSERT_TRUE(test::run(refusals_.flush(*record_)));
  std::function<Task<record::AuditPage>(sql::Transaction&)> read = [](sql::Transaction& tx) {
    return record::list_audit(tx, {.tenant = "globex", .limit = 100});
  };
  const auto trail = test::run(record_->read(read));
  ASSERT_EQ(trail->entries.size(), 10u);
  EXPECT_EQ(trail->entries.back().event.action, "session.read");
  EXPECT_EQ(trail->entries.front().event.action, "session.revoked");
  for (const record::AuditEntry& entry : trail->entries) {
    EXPECT_EQ(entry.event.outcome, "denied");
    EXPECT_EQ(entry.event.target, id);
  }
  EXPECT_TRUE(test::run(sessions_->get(acme_, id)));
}

TEST_F(SessionsTest, CountWhatHappened) {
  const IssuedSession issued = create();
  create();
  ASSERT_TRUE(test::run(sessions_->revoke(acme_, issued.session->id)));
  clock_.advance(24h);
  ASSERT_TRUE(test::run(sessions_->sweep(10)));

  const SessionMetrics counted(metrics_);
  EXPECT_EQ(counted.created.value(), 2u);
  EXPECT_EQ(counted.revoked.value(), 1u);
  EXPECT_EQ(counted.expired.value(), 1u);
}

}  // namespace
}  // namespace redoubt::sessions
