#include "faces/upstash/rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::faces {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using wire::resp::Value;
using Words = std::vector<std::string_view>;

UpstashGrant grant(UpstashAccess access, std::string tenant = "acme") {
  return UpstashGrant{.access = access, .tenant = std::move(tenant)};
}
const UpstashGrant kReader = grant(UpstashAccess::read_only);
const UpstashGrant kWriter = grant(UpstashAccess::read_write);
const UpstashGrant kAdmin = grant(UpstashAccess::admin, "default");

// The command as it would be sent: "GET tenant:acme:k", or the refusal.
std::string sent(UpstashGatekeeper& gatekeeper, const Words& words, const UpstashGrant& by) {
  auto admitted = gatekeeper.admit(words, by);
  if (!admitted) return admitted.error();
  std::string bytes;
  admitted->command.append_to(bytes);
  wire::resp::Decoder decoder;
  std::size_t used = 0;
  Value value;
  EXPECT_EQ(decoder.decode(bytes, used, value), wire::resp::Decoder::Status::value);
  std::string text;
  for (const Value& item : value.items()) {
    text += text.empty() ? "" : " ";
    text += item.text();
  }
  return text;
}

Value texts(std::initializer_list<std::string> items) {
  std::vector<Value> values;
  for (const std::string& item : items) values.push_back(Value::bulk(item));
  return Value::array(std::move(values));
}

class UpstashRulesTest : public ::testing::Test {
 protected:
  std::string as_reader(const Words& words) { return sent(plain_, words, kReader); }
  std::string as_writer(const Words& words) { return sent(plain_, words, kWriter); }
  std::string as_admin(const Words& words) { return sent(plain_, words, kAdmin); }
  std::string as_tenant(const Words& words) { return sent(prefixing_, words, kWriter); }

  static UpstashRules with_prefix() {
    UpstashRules rules;
    rules.tenant_prefix = true;
    return rules;
  }
  UpstashGatekeeper plain_{UpstashRules{}};
  UpstashGatekeeper prefixing_{with_prefix()};
};

TEST_F(UpstashRulesTest, PassCommandsOnAsTheyAre) {
  EXPECT_EQ(as_writer({"SET", "k", "v", "EX", "10"}), "SET k v EX 10");
  EXPECT_EQ(as_admin({"some.module", "k"}), "some.module k");
  EXPECT_EQ(as_writer({"EVAL_RO", "return 1", "0"}), "EVAL_RO return 1 0");
  EXPECT_EQ(as_reader({"get", "k"}), "get k");
}

TEST_F(UpstashRulesTest, LetReadersReadOnly) {
  EXPECT_EQ(as_reader({"SET", "k", "v"}),
            "NOPERM this user has no permissions to run the 'set' command");
  for (const Words& words :
       {Words{"SCAN", "0"}, Words{"KEYS", "*"}, Words{"EVAL", "return 1", "0"},
        Words{"GEORADIUS", "k", "1", "2", "3", "km"}, Words{"FLUSHALL"}, Words{"some.module", "k"},
        Words{"PUBLISH", "c", "x"}, Words{"EVAL_RO", "return 1", "0"},
        Words{"EVALSHA_RO", "x", "0"}, Words{"FCALL_RO", "f", "0"}}) {
    EXPECT_THAT(as_reader(words), StartsWith("NOPERM")) << words.front();
  }
}

TEST_F(UpstashRulesTest, KeepTheServerForAdmins) {
  for (const Words& words :
       {Words{"CONFIG", "GET", "*"}, Words{"FLUSHALL"}, Words{"FLUSHDB"}, Words{"KEYS", "*"},
        Words{"SCRIPT", "FLUSH"}, Words{"DEBUG", "SLEEP", "1"}, Words{"FUNCTION", "LIST"},
        Words{"INFO"}, Words{"ACL", "LIST"}, Words{"SWAPDB", "0", "1"}, Words{"MODULE", "LIST"},
        Words{"REPLICAOF", "no", "one"}, Words{"MIGRATE", "h", "1", "k", "0", "5"}}) {
    EXPECT_THAT(as_writer(words), StartsWith("NOPERM")) << words.front();
    EXPECT_THAT(as_admin(words), StartsWith(words.front()));
  }
}

TEST_F(UpstashRulesTest, RefuseWhatWaitsAndWhatBelongsToAConnection) {
  EXPECT_EQ(as_admin({"BLPOP", "k", "0"}),
            "ERR Command is not available: 'blpop'. It waits, and a request over REST does not.");
  for (const Words& words :
       {Words{"SELECT", "1"}, Words{"AUTH", "x"}, Words{"MULTI"}, Words{"EXEC"},
        Words{"WATCH", "k"}, Words{"SUBSCRIBE", "c"}, Words{"CLIENT", "KILL", "x"},
        Words{"HELLO", "3"}, Words{"QUIT"}, Words{"SHUTDOWN"}, Words{"SYNC"}, Words{"MONITOR"},
        Words{"WAIT", "1", "0"}, Words{"XREAD", "BLOCK", "0", "STREAMS", "k", "$"}}) {
    EXPECT_THAT(as_admin(words), StartsWith("ERR Command is not available")) << words.front();
  }
  EXPECT_THAT(as_writer({"XREAD", "STREAMS", "k", "0"}), StartsWith("XREAD"));
}

TEST_F(UpstashRulesTest, GuardTheServersOwnKeys) {
  EXPECT_THAT(as_writer({"SET", "rd:inc", "1"}), StartsWith("NOPERM"));
  EXPECT_THAT(as_writer({"DEL", "a", "rd:1:x"}), StartsWith("NOPERM"));
  EXPECT_THAT(as_writer({"EVAL", "return 1", "1", "rd:inc"}), StartsWith("NOPERM"));
  EXPECT_THAT(as_writer({"PUBLISH", "rd:events", "x"}), StartsWith("NOPERM"));
  EXPECT_EQ(as_writer({"SET", "k", "rd:inc"}), "SET k rd:inc");
  EXPECT_EQ(as_admin({"GET", "rd:inc"}), "GET rd:inc");
}

// Their keys cannot be told, and one of them may be the server's own.
TEST_F(UpstashRulesTest, KeepCommandsThatAreNotKnownForAdmins) {
  for (const Words& words : {Words{"DELEX", "rd:inc"}, Words{"COMMANDLOG", "RESET"},
                             Words{"FT.CREATE", "i"}, Words{"some.module", "k"}}) {
    EXPECT_THAT(as_writer(words), StartsWith("NOPERM")) << words.front();
    EXPECT_THAT(as_reader(words), StartsWith("NOPERM")) << words.front();
    EXPECT_THAT(as_admin(words), StartsWith(words.front()));
  }
  EXPECT_EQ(as_writer({"DELEX", "rd:inc"}),
            "NOPERM this user has no permissions to run the 'delex' command: it is not known here, "
            "and only an admin may send such");
}

TEST_F(UpstashRulesTest, ShowNoControlCharactersInErrors) {
  const std::string text = as_admin({"BLPOP", "k"}) + as_reader({"a'b\r\nc"});
  EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
  EXPECT_THAT(text, HasSubstr("'a?b??c'"));
}

TEST_F(UpstashRulesTest, PrefixEveryKeyOfATenant) {
  EXPECT_EQ(as_tenant({"SET", "k", "k"}), "SET tenant:acme:k k");
  EXPECT_EQ(as_tenant({"MSET", "a", "1", "b", "2"}), "MSET tenant:acme:a 1 tenant:acme:b 2");
  EXPECT_EQ(as_tenant({"ZUNIONSTORE", "d", "2", "a", "b"}),
            "ZUNIONSTORE tenant:acme:d 2 tenant:acme:a tenant:acme:b");
  EXPECT_EQ(as_tenant({"XREAD", "COUNT", "1", "STREAMS", "a", "0"}),
            "XREAD COUNT 1 STREAMS tenant:acme:a 0");
  EXPECT_EQ(as_tenant({"SORT", "k", "BY", "w_*", "GET", "#", "STORE", "d"}),
            "SORT tenant:acme:k BY tenant:acme:w_* GET # STORE tenant:acme:d");
  EXPECT_EQ(as_tenant({"PUBLISH", "c", "x"}), "PUBLISH tenant:acme:c x");
  EXPECT_EQ(as_tenant({"SET", "rd:inc", "1"}), "SET tenant:acme:rd:inc 1");
  EXPECT_EQ(as_tenant({"PING"}), "PING");
}

TEST_F(UpstashRulesTest, ShowATenantItsOwnNamesOnly) {
  EXPECT_EQ(as_tenant({"SCAN", "0"}), "SCAN 0 MATCH tenant:acme:*");
  EXPECT_EQ(as_tenant({"SCAN", "0", "COUNT", "10", "match", "a*"}),
            "SCAN 0 COUNT 10 match tenant:acme:a*");
  EXPECT_EQ(sent(prefixing_, {"KEYS", "*"}, kAdmin), "KEYS tenant:default:*");
  for (const Words& words : {Words{"RANDOMKEY"}, Words{"PUBSUB", "CHANNELS"},
                             Words{"some.module", "k"}, Words{"EVAL", "return 1", "0"}}) {
    EXPECT_THAT(as_tenant(words), StartsWith("ERR Command is not available")) << words.front();
  }
}

TEST_F(UpstashRulesTest, DoNotGuessWhoseKeysTheyAre) {
  UpstashRules rules = with_prefix();
  rules.tenant_scripts = true;
  UpstashGatekeeper scripting(rules);
  EXPECT_EQ(sent(scripting, {"EVAL", "return 1", "1", "k"}, kWriter),
            "EVAL return 1 1 tenant:acme:k");
  EXPECT_EQ(sent(scripting, {"EVAL", "return 1", "2", "k"}, kWriter), "ERR syntax error");
  EXPECT_EQ(as_tenant({"XREAD", "STREAMS", "a", "b", "0"}), "ERR syntax error");
}

TEST_F(UpstashRulesTest, TakeThePrefixOffReplies) {
  const auto reply = [&](std::string_view name, Value value) {
    return prefixing_.reply(std::move(value), wire::find_redis_command(name), kWriter);
  };
  EXPECT_EQ(reply("SCAN", Value::array({Value::bulk("0"), texts({"tenant:acme:a"})})),
            Value::array({Value::bulk("0"), texts({"a"})}));
  EXPECT_EQ(reply("KEYS", texts({"tenant:acme:a", "tenant:acme:b"})), texts({"a", "b"}));
  EXPECT_EQ(reply("LMPOP", Value::array({Value::bulk("tenant:acme:a"), texts({"tenant:acme:x"})})),
            Value::array({Value::bulk("a"), texts({"tenant:acme:x"})}));
  const Value streams = Value::array({Value::array({Value::bulk("tenant:acme:s"), texts({"1"})})});
  EXPECT_EQ(reply("XREAD", streams),
            Value::array({Value::array({Value::bulk("s"), texts({"1"})})}));
  EXPECT_EQ(reply("LRANGE", texts({"tenant:acme:a"})), texts({"tenant:acme:a"}));
}

TEST_F(UpstashRulesTest, KeepChannelsApart) {
  EXPECT_EQ(prefixing_.channel("c", kWriter), "tenant:acme:c");
  EXPECT_EQ(prefixing_.shown("tenant:acme:c", kWriter), "c");
  EXPECT_FALSE(prefixing_.may_hear("tenant:globex:c", kWriter));
  EXPECT_FALSE(plain_.channel("rd:x", kWriter));
  EXPECT_TRUE(plain_.channel("rd:x", kAdmin));
  EXPECT_FALSE(plain_.may_hear("rd:x", kWriter));
  EXPECT_TRUE(plain_.may_hear("chat", kWriter));
}

}  // namespace
}  // namespace redoubt::faces
