// Copies: one suite of properties, run on the twin and on a real Redis.
#include "shared/copies.hpp"

#include "base/random.hpp"
#include "shared/memory_copies.hpp"
#include "shared/state.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::shared {
namespace {

using test::RedisLoop;
using test::RedisServer;

constexpr Duration kLife{60'000};

CopyName named(std::string_view id) {
  return {.noun = Noun::session, .tenant = "acme", .id = id};
}
Copy copy_of(std::int64_t version, std::string bytes) {
  return {version, std::move(bytes)};
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

enum class Where { memory, redis };

class CopiesTest : public ::testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    if (GetParam() == Where::memory) {
      copies_ = std::make_unique<MemoryCopies>(loop_.clock, loop_.metrics);
      return;
    }
    server_ = std::make_unique<RedisServer>();
    client_ = loop_.client(test::standalone(server_->port()));
    state_ = std::make_unique<SharedState>(loop_.clock, loop_.metrics,
                                           SharedDeadlines{Duration(2'000), Duration(2'000)});
    state_->learned(3, loop_.clock.boot() + Duration(3'600'000));
    state_->canary_answered(true, {});
    copies_ = make_redis_copies(*client_, *state_, loop_.metrics);
  }

  std::optional<Copy> get(CopyName name) { return loop_.run(copies_->get(name)); }
  std::string bytes(std::string_view id) {
    const auto copy = get(named(id));
    return copy ? copy->bytes : "(none)";
  }
  Stored put(std::string_view id, Copy copy, Duration life = kLife) {
    return loop_.run(copies_->put(named(id), std::move(copy), life));
  }
  Stored put_if_newer(std::string_view id, Copy copy, Duration life = kLife) {
    return loop_.run(copies_->put_if_newer(named(id), std::move(copy), life));
  }
  Stored bury(std::string_view id) { return loop_.run(copies_->bury(named(id), kLife)); }

  RedisLoop loop_;
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<SharedState> state_;
  std::unique_ptr<Copies> copies_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, CopiesTest, ::testing::Values(Where::memory, Where::redis),
                         [](const auto& p) {
                           return p.param == Where::memory ? "Memory" : "Redis";
                         });

TEST_P(CopiesTest, AreFoundUnderTheirNameAndNoOther) {
  EXPECT_EQ(put("a", copy_of(1, std::string("x\0y", 3))), Stored::stored);

  EXPECT_EQ(bytes("a"), std::string("x\0y", 3));
  EXPECT_EQ(get(named("a"))->version, 1);
  EXPECT_FALSE(get(named("b")));
  EXPECT_FALSE(get({.noun = Noun::session, .tenant = "globex", .id = "a"}));
  EXPECT_FALSE(get({.noun = Noun::cache, .tenant = "acme", .id = "a"}));
}

TEST_P(CopiesTest, GiveWayToAnEqualOrHigherVersionOnly) {
  EXPECT_EQ(put_if_newer("a", copy_of(9, "nine")), Stored::stored);
  EXPECT_EQ(put_if_newer("a", copy_of(10, "ten")), Stored::stored);
  EXPECT_EQ(put_if_newer("a", copy_of(9, "late")), Stored::older);
  EXPECT_EQ(bytes("a"), "ten");
  EXPECT_EQ(put_if_newer("a", copy_of(10, "ten again")), Stored::stored);
  EXPECT_EQ(bytes("a"), "ten again");
}

TEST_P(CopiesTest, ATombstoneBeatsEveryLateRefill) {
  put("a", copy_of(1, "one"));
  EXPECT_EQ(bury("a"), Stored::stored);
  EXPECT_FALSE(get(named("a")));
  EXPECT_EQ(put_if_newer("a", copy_of(kBuried - 1, "late")), Stored::older);
  EXPECT_FALSE(get(named("a")));
  EXPECT_EQ(bury("a"), Stored::stored) << "twice is once";
}

TEST_P(CopiesTest, EndWithTheirLifetime) {
  put("a", copy_of(1, "one"), Duration(30));
  put_if_newer("b", copy_of(1, "one"), Duration(30));
  const auto gone = [this](std::string_view id) {
    return loop_.until([&] { return !get(named(id)); });
  };
  EXPECT_TRUE(gone("a"));
  EXPECT_TRUE(gone("b"));
}

TEST_P(CopiesTest, AreReadManyAtOnce) {
  put("a", copy_of(1, "one"));
  put("c", copy_of(3, "three"));
  bury("d");

  std::vector<CopyName> names{named("a"), named("b"), named("c"), named("d")};
  const auto copies = loop_.run(copies_->get_all(std::move(names)));

  ASSERT_EQ(copies.size(), 4U);
  EXPECT_EQ(copies[0]->bytes, "one");
  EXPECT_FALSE(copies[1]);
  EXPECT_EQ(copies[2]->version, 3);
  EXPECT_FALSE(copies[3]);
}

// The same history everywhere: what is there is what the highest version so far put.
TEST_P(CopiesTest, KeepTheHighestVersionInAnyHistory) {
  SeededRandom random(11);
  std::vector<std::optional<Copy>> model(4);
  std::vector<bool> buried(4, false);
  for (int i = 0; i < 600; ++i) {
    const std::size_t at = random.below(model.size());
    const std::string id = std::to_string(at);
    if (random.below(3) == 0) {
      const auto found = get(named(id));
      ASSERT_EQ(found.has_value(), model[at].has_value() && !buried[at]);
      if (!found) continue;
      ASSERT_EQ(found->version, model[at]->version);
      ASSERT_EQ(found->bytes, model[at]->bytes);
      continue;
    }
    if (random.below(100) == 0) {
      ASSERT_EQ(bury(id), Stored::stored);
      buried[at] = true;
      continue;
    }
    const Copy copy = copy_of(static_cast<std::int64_t>(random.below(40)), std::to_string(i));
    const bool wins = !buried[at] && (!model[at] || model[at]->version <= copy.version);
    ASSERT_EQ(put_if_newer(id, copy), wins ? Stored::stored : Stored::older);
    if (wins) model[at] = copy;
  }
}

// ---- What only a real Redis does ----

class RedisCopiesTest : public CopiesTest {};
INSTANTIATE_TEST_SUITE_P(Redis, RedisCopiesTest, ::testing::Values(Where::redis));

TEST_P(RedisCopiesTest, HaveALifetimeInRedis) {
  put("a", copy_of(1, "one"));
  put_if_newer("b", copy_of(1, "one"));
  bury("c");
  for (const std::string id : {"a", "b", "c"}) {
    const std::string key = "'rd:3:{acme}:session:" + id + "'";
    EXPECT_GT(std::stoll(server_->cli("pttl " + key)), 0) << key;
  }
}

TEST_P(RedisCopiesTest, AValueNobodyHereWroteIsAMissAndIsReplaced) {
  server_->cli("set 'rd:3:{acme}:session:a' hello");
  server_->cli("set 'rd:3:{acme}:session:b' 00000000000000000zzcbytes");
  server_->cli("lpush 'rd:3:{acme}:session:c' 1");

  EXPECT_FALSE(get(named("a")));
  EXPECT_FALSE(get(named("b")));
  EXPECT_FALSE(get(named("c")));
  EXPECT_EQ(put_if_newer("a", copy_of(0, "ours")), Stored::stored);
  EXPECT_EQ(put_if_newer("b", copy_of(0, "ours")), Stored::stored);
  EXPECT_EQ(bytes("a"), "ours");
  EXPECT_EQ(bytes("b"), "ours");
  EXPECT_EQ(put_if_newer("c", copy_of(0, "ours")), Stored::nowhere);
  EXPECT_TRUE(state_->usable()) << "a key of somebody else's does not make Redis useless";
}

TEST_P(RedisCopiesTest, OfAnotherGenerationAreOutOfReach) {
  put("a", copy_of(1, "one"));
  state_->learned(4, loop_.clock.boot());
  EXPECT_FALSE(get(named("a")));
}

TEST_P(RedisCopiesTest, AreWrittenByAScriptThatRedisForgot) {
  put_if_newer("a", copy_of(1, "one"));
  server_->cli("script flush");
  EXPECT_EQ(put_if_newer("a", copy_of(2, "two")), Stored::stored);
}

TEST_P(RedisCopiesTest, AFullRedisTakesNoneAndIsStillRead) {
  put("a", copy_of(1, "one"));
  server_->cli("config set maxmemory 1");
  EXPECT_EQ(put("b", copy_of(1, "two")), Stored::nowhere);
  EXPECT_EQ(put_if_newer("b", copy_of(1, "two")), Stored::nowhere);
  EXPECT_EQ(bytes("a"), "one");
  EXPECT_TRUE(state_->usable());
}

TEST_P(RedisCopiesTest, AreNotAskedForWhileTheViewOfTheRecordIsOld) {
  put("a", copy_of(1, "one"));
  state_->learned(3, loop_.clock.boot() - kViewLife);
  EXPECT_FALSE(get(named("a")));
  EXPECT_EQ(put("b", copy_of(1, "two")), Stored::nowhere);
  EXPECT_EQ(server_->cli("exists 'rd:3:{acme}:session:b'"), "0\n");
}

}  // namespace
}  // namespace redoubt::shared
