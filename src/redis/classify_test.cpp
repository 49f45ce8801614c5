#include "redis/classify.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

struct Example {
  std::string reply;
  Meaning meaning;
  std::string slug;
};

// The texts are those of Redis 6.2, 7 and 8 and of Valkey 8.
const std::vector<Example>& examples() {
  static const std::vector<Example> all{
      {"MOVED 3999 127.0.0.1:6381", Meaning::moved, "redis_moved"},
      {"ASK 3999 127.0.0.1:6381", Meaning::ask, "redis_moved"},
      {"TRYAGAIN Multiple keys request during rehashing of slot", Meaning::try_again,
       "redis_refused"},
      {"CLUSTERDOWN The cluster is down", Meaning::no_safe_writes, "redis_refused"},
      {"CLUSTERDOWN Hash slot not served", Meaning::no_safe_writes, "redis_refused"},
      {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
       Meaning::no_safe_writes, "redis_refused"},
      {"NOREPLICAS Not enough good replicas to write.", Meaning::no_safe_writes, "redis_refused"},
      {"LOADING Redis is loading the dataset in memory", Meaning::loading, "redis_refused"},
      {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
       Meaning::busy, "redis_refused"},
      {"READONLY You can't write against a read only replica.", Meaning::read_only,
       "redis_read_only"},
      {"READONLY You can't write against a read only replica. script: 8d3, on @user_script:1.",
       Meaning::read_only, "redis_read_only"},
      {"OOM command not allowed when used memory > 'maxmemory'.", Meaning::full, "redis_full"},
      {"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
       Meaning::full, "redis_full"},
      {"NOSCRIPT No matching script. Please use EVAL.", Meaning::no_script, "redis_script_missing"},
      {"NOAUTH Authentication required.", Meaning::denied, "redis_denied"},
      {"WRONGPASS invalid username-password pair or user is disabled.", Meaning::denied,
       "redis_denied"},
      {"NOPERM this user has no permissions to run the 'get' command", Meaning::denied,
       "redis_denied"},
      {"DENIED Redis is running in protected mode", Meaning::denied, "redis_denied"},
      {"EXECABORT Transaction discarded because of previous errors.", Meaning::discarded,
       "redis_exec_abort"},
      {"CROSSSLOT Keys in request don't hash to the same slot", Meaning::cross_slot,
       "redis_cross_slot"},
      {"WRONGTYPE Operation against a key holding the wrong kind of value", Meaning::error,
       "redis_error"},
      {"ERR value is not an integer or out of range", Meaning::error, "redis_error"},
      {"ERR max number of clients reached", Meaning::error, "redis_error"},
      // Words that only begin like one of the above.
      {"BUSYGROUP Consumer Group name already exists", Meaning::error, "redis_error"},
      {"BUSYKEY Target key name already exists.", Meaning::error, "redis_error"},
      {"NOTBUSY No scripts in execution right now.", Meaning::error, "redis_error"},
      {"UNBLOCKED client unblocked via CLIENT UNBLOCK", Meaning::error, "redis_error"},
      {"", Meaning::error, "redis_error"},
      // Wrapped by Redis before 7.
      {"ERR Error running script (call to f_1b93): @user_script:1: -OOM command not allowed when "
       "used memory > 'maxmemory'.",
       Meaning::full, "redis_full"},
      {"ERR Error running script (call to f_1b93): @user_script:1: @user_script: 1: -READONLY You "
       "can't write against a read only replica.",
       Meaning::read_only, "redis_read_only"},
      {"ERR Error running script (call to f_1b93): -OOM is not what this says", Meaning::error,
       "redis_error"},
  };
  return all;
}

TEST(Classify, KnowsEveryRowOfTheTable) {
  for (const Example& example : examples()) {
    EXPECT_EQ(classify(example.reply), example.meaning) << example.reply;
    const Error error = to_error(example.reply);
    EXPECT_EQ(slug_of(error), example.slug) << example.reply;
    EXPECT_EQ(error.cause, example.reply);
  }
}

TEST(Classify, NamesEveryMeaning) {
  EXPECT_EQ(name_of(Meaning::moved), "moved");
  EXPECT_EQ(name_of(Meaning::denied), "denied");
  EXPECT_EQ(name_of(Meaning::error), "error");
  EXPECT_EQ(static_cast<std::size_t>(Meaning::error) + 1, kMeanings);
}

// Replies may carry keys and arguments of a caller: they are for the log. A discarded transaction
// is the exception, whose reply is the caller's answer.
TEST(Classify, KeepsWhatRedisSaysOutOfTheMessage) {
  const Error error = to_error("ERR unknown command 'secret', with args beginning with: 'token'");
  EXPECT_FALSE(error.message.contains("secret"));
  EXPECT_FALSE(error.message.contains("token"));
}

TEST(Classify, ReadsRedirects) {
  const auto moved = parse_redirect("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->endpoint.host, "127.0.0.1");
  EXPECT_EQ(moved->endpoint.port, 6381);
  EXPECT_EQ(parse_redirect("ASK 0 ::1:7000")->endpoint.host, "::1");
  EXPECT_EQ(parse_redirect("MOVED 16383 node.example:7000")->endpoint.host, "node.example");
  EXPECT_EQ(parse_redirect("MOVED 1 :7000")->endpoint.host, "");
  for (const char* bad : {"MOVED", "MOVED 1", "MOVED x 127.0.0.1:1", "MOVED 16384 127.0.0.1:1",
                          "MOVED -1 127.0.0.1:1", "MOVED 1 127.0.0.1", "MOVED 1 127.0.0.1:0",
                          "MOVED 1 127.0.0.1:65536", "ERR 1 127.0.0.1:1"}) {
    EXPECT_FALSE(parse_redirect(bad)) << bad;
  }
}

}  // namespace
}  // namespace redoubt::redis
