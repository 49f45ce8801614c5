#include "services/sessions/service.hpp"

#include "record/audit.hpp"

#include "services/sessions/token.hpp"

#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using SessionsTest = test::SessionsFixture;

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

// ---- Being watched ----

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
