#include "wire/redis_commands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace redoubt::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Words = std::vector<std::string_view>;

// The arguments that name keys; empty when they cannot be told.
std::optional<Words> keys_of(const Words& arguments) {
  const RedisCommand* command = find_redis_command(arguments.front());
  if (command == nullptr) return std::nullopt;
  std::vector<std::size_t> positions;
  if (!key_positions(*command, arguments, positions)) return std::nullopt;
  Words keys;
  for (const std::size_t i : positions) keys.push_back(arguments.at(i));
  return keys;
}

Words known_keys_of(const Words& arguments) {
  const auto keys = keys_of(arguments);
  EXPECT_TRUE(keys.has_value()) << arguments.front();
  return keys.value_or(Words{});
}

TEST(RedisCommands, AreFoundInAnyCase) {
  ASSERT_NE(find_redis_command("get"), nullptr);
  EXPECT_EQ(find_redis_command("gEt"), find_redis_command("GET"));
  EXPECT_EQ(find_redis_command("Json.Set")->name, "JSON.SET");
  EXPECT_EQ(find_redis_command("GETT"), nullptr);
  EXPECT_EQ(find_redis_command(""), nullptr);
  EXPECT_EQ(find_redis_command(std::string(1000, 'A')), nullptr);
}

TEST(RedisCommands, EachReadsOrWritesOrIsForOperatorsOrForConnections) {
  for (const RedisCommand& command : redis_commands()) {
    SCOPED_TRACE(command.name);
    EXPECT_FALSE(command.is(CommandFlag::read) && command.is(CommandFlag::write));
    EXPECT_TRUE(command.is(CommandFlag::read) || command.is(CommandFlag::write) ||
                command.is(CommandFlag::operators) || command.is(CommandFlag::connection) ||
                command.is(CommandFlag::blocking));
  }
}

TEST(RedisCommands, KnowTheirKeys) {
  EXPECT_THAT(known_keys_of({"SET", "k", "v", "EX", "10"}), ElementsAre("k"));
  EXPECT_THAT(known_keys_of({"DEL", "a", "b", "c"}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(known_keys_of({"MSET", "a", "1", "b", "2"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"BITOP", "AND", "d", "a", "b"}), ElementsAre("d", "a", "b"));
  EXPECT_THAT(known_keys_of({"BLPOP", "a", "b", "0"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"JSON.MGET", "a", "b", "$"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"JSON.MSET", "a", "$", "1", "b", "$", "2"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"OBJECT", "ENCODING", "k"}), ElementsAre("k"));
  EXPECT_THAT(known_keys_of({"OBJECT", "HELP"}), IsEmpty());
  EXPECT_THAT(known_keys_of({"PING"}), IsEmpty());
  EXPECT_THAT(known_keys_of({"GET"}), IsEmpty());
  EXPECT_THAT(known_keys_of({"PUBLISH", "channel", "text"}), ElementsAre("channel"));
}

TEST(RedisCommands, CountTheKeysThatAreCounted) {
  EXPECT_THAT(known_keys_of({"EVAL", "return 1", "2", "a", "b", "x"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"EVALSHA", "abc", "0", "x"}), IsEmpty());
  EXPECT_THAT(known_keys_of({"ZUNION", "2", "a", "b", "WITHSCORES"}), ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2"}),
              ElementsAre("d", "a", "b"));
  EXPECT_THAT(known_keys_of({"LMPOP", "1", "a", "LEFT"}), ElementsAre("a"));
  EXPECT_THAT(known_keys_of({"BZMPOP", "0", "1", "a", "MIN"}), ElementsAre("a"));
  EXPECT_THAT(known_keys_of({"MSETEX", "2", "a", "1", "b", "2", "EX", "5"}), ElementsAre("a", "b"));
}

TEST(RedisCommands, DoNotGuessKeysFromACountThatIsWrong) {
  EXPECT_FALSE(keys_of({"EVAL", "return 1", "3", "a", "b"}));
  EXPECT_FALSE(keys_of({"EVAL", "return 1", "-1", "a"}));
  EXPECT_FALSE(keys_of({"EVAL", "return 1", "1x", "a"}));
  EXPECT_FALSE(keys_of({"EVAL", "return 1", "99999999999999999999", "a"}));
  EXPECT_FALSE(keys_of({"EVAL", "return 1"}));
  EXPECT_FALSE(keys_of({"MSETEX", "2", "a", "1", "b"}));
}

TEST(RedisCommands, FindKeysBehindWords) {
  EXPECT_THAT(known_keys_of({"XREAD", "COUNT", "2", "STREAMS", "a", "b", "0", "0"}),
              ElementsAre("a", "b"));
  EXPECT_THAT(known_keys_of({"XREADGROUP", "GROUP", "streams", "streams", "streams", "a", ">"}),
              ElementsAre("a"));
  EXPECT_FALSE(keys_of({"XREAD", "STREAMS", "a", "b", "0"}));
  EXPECT_FALSE(keys_of({"XREAD", "COUNT", "2"}));
  EXPECT_THAT(known_keys_of({"SORT", "k", "BY", "w_*", "LIMIT", "0", "5", "GET", "#", "GET", "o_*",
                             "STORE", "d"}),
              ElementsAre("k", "w_*", "o_*", "d"));
  EXPECT_THAT(known_keys_of({"SORT", "k", "BY", "nosort"}), ElementsAre("k"));
  EXPECT_FALSE(keys_of({"SORT", "k", "STORE"}));
  EXPECT_THAT(known_keys_of({"GEORADIUS", "k", "1", "2", "3", "km", "STORE", "d"}),
              ElementsAre("k", "d"));
}

TEST(RedisCommands, WaitOnlyWhenAskedTo) {
  const auto waits = [](const Words& arguments) {
    return would_block(*find_redis_command(arguments.front()), arguments);
  };
  EXPECT_TRUE(waits({"BLPOP", "a", "0"}));
  EXPECT_TRUE(waits({"WAIT", "1", "0"}));
  EXPECT_TRUE(waits({"XREAD", "BLOCK", "0", "STREAMS", "a", "$"}));
  EXPECT_TRUE(waits({"XREADGROUP", "GROUP", "g", "c", "block", "0", "STREAMS", "a", ">"}));
  EXPECT_FALSE(waits({"XREADGROUP", "GROUP", "block", "block", "STREAMS", "a", ">"}));
  EXPECT_FALSE(waits({"XREAD", "STREAMS", "block", "0"}));
  EXPECT_FALSE(waits({"LPOP", "a"}));
}

}  // namespace
}  // namespace redoubt::wire
