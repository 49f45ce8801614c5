// What is in the file: after a restart, to somebody who reads it, and under a new key.
#include "services/sessions/service.hpp"

#include "services/sessions/token.hpp"

#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;

using test::ring_key;
using SessionsTest = test::SessionsFixture;

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

}  // namespace
}  // namespace redoubt::sessions
