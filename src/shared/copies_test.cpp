// The form of a copy, and its place in Redis. What copies do is in tests/conformance, on every
// backend.
#include "shared/copies.hpp"

#include "shared/state.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

namespace redoubt::shared {
namespace {

using test::RedisLoop;
using test::RedisServer;

constexpr Duration kLife{60'000};

CopyName named(std::string_view id) {
  return {.noun = Noun::session, .tenant = "acme", .id = id};
}

TEST(CopyValue, IsReadAsItWasWritten) {
  for (const std::int64_t version : {std::int64_t{0}, std::int64_t{7}, kBuried - 1}) {
    const std::string bytes("a\0\r\n\xff", 5);
    const auto copy = decode_copy(encode_copy(version, bytes));
    ASSERT_TRUE(copy);
    EXPECT_EQ(copy->version, version);
    EXPECT_EQ(copy->bytes, bytes);
  }
  EXPECT_EQ(decode_copy(encode_tombstone())->version, kBuried);
}

TEST(CopyValue, IsNothingElse) {
  for (const char* text :
       {"", "7", "0000000000000000007", "000000000000000000xc", " 000000000000000007c",
        "0000000000000000007x", "9999999999999999999c", "9223372036854775807c",
        "9223372036854775807tx", "-000000000000000007c"}) {
    EXPECT_FALSE(decode_copy(text)) << text;
  }
}

// ---- In Redis ----

class RedisCopiesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    state_.learned(3, loop_.clock.boot() + Duration(3'600'000));
    state_.canary_answered(true, {});
  }

  RedisServer server_;
  RedisLoop loop_;
  SharedState state_{loop_.clock, loop_.metrics, {Duration(2'000), Duration(2'000)}};
  std::unique_ptr<redis::Client> client_ = loop_.client(test::standalone(server_.port()));
  std::unique_ptr<Copies> copies_ = make_redis_copies(*client_, state_, loop_.metrics);
};

TEST_F(RedisCopiesTest, AreUnderTheirKeysWithALifetime) {
  Copy one{1, "one"};
  ASSERT_EQ(loop_.run(copies_->put(named("a"), one, kLife)), Stored::stored);
  ASSERT_EQ(loop_.run(copies_->put_if_newer(named("b"), one, kLife)), Stored::stored);
  ASSERT_EQ(loop_.run(copies_->bury(named("c"), kLife)), Stored::stored);
  for (const std::string id : {"a", "b", "c"}) {
    const std::string key = "'rd:3:{acme}:session:" + id + "'";
    EXPECT_GT(std::stoll(server_.cli("pttl " + key)), 0) << key;
  }
}

TEST_F(RedisCopiesTest, AreBuriedAlsoWhileTheRecordCannotBeAsked) {
  ASSERT_EQ(loop_.run(copies_->put(named("a"), {1, "one"}, kLife)), Stored::stored);
  state_.learned(3, loop_.clock.boot() - kViewLife);
  EXPECT_EQ(loop_.run(copies_->bury(named("a"), kLife)), Stored::stored);
  EXPECT_FALSE(loop_.run(copies_->get(named("a"), View::as_last_known)));
  EXPECT_EQ(server_.cli("get 'rd:3:{acme}:session:a'"), encode_tombstone() + "\n");
}

TEST_F(RedisCopiesTest, AreNotAskedForWhileTheViewOfTheRecordIsOld) {
  Copy one{1, "one"};
  ASSERT_EQ(loop_.run(copies_->put(named("a"), one, kLife)), Stored::stored);
  state_.learned(3, loop_.clock.boot() - kViewLife);
  EXPECT_FALSE(loop_.run(copies_->get(named("a"))));
  EXPECT_EQ(loop_.run(copies_->put(named("b"), one, kLife)), Stored::nowhere);
  EXPECT_EQ(server_.cli("exists 'rd:3:{acme}:session:b'"), "0\n");
}

}  // namespace
}  // namespace redoubt::shared
