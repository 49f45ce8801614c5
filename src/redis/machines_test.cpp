// The decisions that need no connection: commands, options, backoff, handshake, Sentinels' votes,
// slots.
#include "base/random.hpp"
#include "redis/backoff.hpp"
#include "redis/handshake.hpp"
#include "redis/sentinel.hpp"
#include "redis/slot_map.hpp"
#include "redis/url.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::redis {
namespace {

std::string text_of(const Command& command, bool whole = false) {
  std::string out;
  command.append_to(out, whole);
  return out;
}

Endpoint at(std::uint16_t port) {
  return {.host = "127.0.0.1", .port = port, .socket_path = {}};
}

TEST(Command, IsEncodedAsItIsBuilt) {
  const Command command = Command("SET").key("k").arg("a b").arg("PX").arg(-5);
  EXPECT_EQ(text_of(command),
            "*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na b\r\n$2\r\nPX\r\n$2\r\n-5\r\n");
  EXPECT_EQ(command.name(), "SET");
  EXPECT_EQ(command.arguments(), 5U);
  EXPECT_LE(text_of(command).size(), command.size());
}

TEST(Command, KnowsItsSlotAndWhetherItsKeysShareIt) {
  EXPECT_FALSE(Command("PING").slot());
  EXPECT_EQ(Command("GET").key("foo").slot(), 12182);
  EXPECT_FALSE(Command("MGET").key("{a}1").key("{a}2").crosses_slots());
  EXPECT_TRUE(Command("MGET").key("a").key("b").crosses_slots());
}

TEST(Command, IsRepeatedOnlyWhenItSaysSo) {
  EXPECT_FALSE(Command("INCR").key("a").is_repeatable());
  EXPECT_TRUE(Command("DEL").key("a").repeatable().is_repeatable());
  EXPECT_TRUE(Command("GET").key("a").read_only().is_repeatable());
}

TEST(Script, IsSentByItsShaOrWhole) {
  const Script script("return 1", Script::Effect::read_only);
  EXPECT_EQ(script.sha(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");  // As SCRIPT LOAD says.
  const std::vector<std::string_view> keys{"k"};
  const std::vector<std::string_view> arguments{"a"};
  const Command command = script.command(keys, arguments);
  const std::string tail = "$1\r\n1\r\n$1\r\nk\r\n$1\r\na\r\n";
  EXPECT_EQ(text_of(command),
            "*5\r\n$7\r\nEVALSHA\r\n$40\r\n" + std::string(script.sha()) + "\r\n" + tail);
  EXPECT_EQ(text_of(command, true), "*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n" + tail);
  EXPECT_TRUE(command.is_read_only());
  EXPECT_LE(text_of(command, true).size(), command.size());
}

TEST(RedisUrl, SaysWhereAndHow) {
  const auto plain = parse_redis_url("redis://example");
  ASSERT_TRUE(plain);
  EXPECT_EQ(std::get<Standalone>(plain->topology).endpoint.text(), "example:6379");
  EXPECT_FALSE(plain->tls.enabled);

  const auto full = parse_redis_url("rediss://al%40ice:p%3Aw@[::1]:7000/5?protocol=2");
  ASSERT_TRUE(full);
  EXPECT_EQ(std::get<Standalone>(full->topology).endpoint.text(), "[::1]:7000");
  EXPECT_TRUE(full->tls.enabled);
  EXPECT_EQ(full->credentials.user, "al@ice");
  EXPECT_EQ(full->credentials.password.reveal(), "p:w");
  EXPECT_EQ(full->database, 5);
  EXPECT_FALSE(full->allow_resp3);

  const auto socket = parse_redis_url("unix:///run/redis.sock?db=2");
  ASSERT_TRUE(socket);
  EXPECT_EQ(std::get<Standalone>(socket->topology).endpoint.socket_path, "/run/redis.sock");
  EXPECT_EQ(socket->database, 2);
  EXPECT_EQ(parse_redis_url("redis://:pw@h")->credentials.password.reveal(), "pw");
}

TEST(RedisUrl, TellsWhatItSaysFromWhatIsADefault) {
  const auto silent = read_redis_url("redis://h");
  ASSERT_TRUE(silent);
  EXPECT_FALSE(silent->database);
  EXPECT_FALSE(silent->timeout);

  const auto said = read_redis_url("redis://h/0?protocol=3&timeout=5s");
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(said->database, 0);
  EXPECT_EQ(said->timeout, Duration(5'000));
  EXPECT_EQ(said->options.timeouts.operation, Duration(5'000));
  EXPECT_TRUE(read_redis_url("redis://h/2?db=2"));
}

TEST(RedisUrl, RefusesWithoutRepeatingTheUrl) {
  for (const char* bad :
       {"", "example:6379", "http://x", "redis://", "redis://h:99999", "redis://h:0", "redis://h/x",
        "redis://h/-1", "redis://h?nope=1", "redis://h?protocol=4", "redis://h?timeout=soon",
        "redis://h?timeout=0", "redis://h?timeout=2m", "redis://h/1?db=2", "redis://:hush@h/x",
        "unix://", "redis://h#f"}) {
    const auto options = parse_redis_url(bad);
    ASSERT_FALSE(options) << bad;
    EXPECT_EQ(options.error().slug, "redis_options");
    EXPECT_FALSE(options.error().message.contains("hush"));
  }
}

TEST(RedisOptions, RefusesWhatCannotWork) {
  Options good;
  good.topology = Standalone{at(1)};
  EXPECT_TRUE(check_options(good));

  Options options = good;
  options.topology = Cluster{{at(1)}};
  EXPECT_TRUE(check_options(options));
  options.database = 1;
  EXPECT_FALSE(check_options(options));
  options = good;
  options.topology =
      Sentinel{.sentinels = {at(1)}, .master_name = {}, .credentials = {}, .tls = {}};
  EXPECT_FALSE(check_options(options));
  options.topology = Sentinel{.sentinels = {}, .master_name = "m", .credentials = {}, .tls = {}};
  EXPECT_FALSE(check_options(options));
  options = good;
  options.topology = Standalone{};
  EXPECT_FALSE(check_options(options));
  options = good;
  options.tls.certificate_file = "x";
  EXPECT_FALSE(check_options(options));
  options = good;
  options.credentials.user = "u";
  EXPECT_FALSE(check_options(options));
  options = good;
  options.timeouts.operation = Duration(0);
  EXPECT_FALSE(check_options(options));
}

TEST(BackoffMachine, WaitsAtRandomUpToADoublingCeiling) {
  SeededRandom random(1);
  const Backoff policy{.first = Duration(50), .max = Duration(5000), .refused = Duration(5000)};
  std::int64_t longest[10] = {};
  for (int run = 0; run < 2000; ++run) {
    BackoffMachine machine(policy);
    for (int i = 0; i < 10; ++i) {
      const Duration wait = machine.lost(Duration(0), random);
      ASSERT_GE(wait.count(), 0);
      longest[i] = std::max(longest[i], wait.count());
    }
  }
  const std::int64_t ceilings[10] = {50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
  for (int i = 0; i < 10; ++i) {
    EXPECT_LE(longest[i], ceilings[i]);
    EXPECT_GE(longest[i], ceilings[i] * 9 / 10);
  }
}

TEST(BackoffMachine, ForgetsFailuresOnlyAfterAConnectionThatLived) {
  SeededRandom random(1);
  BackoffMachine machine({.first = Duration(50), .max = Duration(5000), .refused = Duration(5000)});
  for (int i = 0; i < 5; ++i) machine.lost(Duration(0), random);
  machine.lost(Duration(10), random);
  EXPECT_EQ(machine.failures(), 6);
  machine.lost(Duration(5000), random);
  EXPECT_EQ(machine.failures(), 1);
}

TEST(BackoffMachine, RefusedCredentialsWaitLong) {
  SeededRandom random(1);
  BackoffMachine machine({.first = Duration(50), .max = Duration(5000), .refused = Duration(5000)});
  for (int i = 0; i < 100; ++i) {
    const Duration wait = machine.refused(random);
    EXPECT_GE(wait, Duration(2500));
    EXPECT_LE(wait, Duration(5000));
  }
}

Handshake::Plan plan() {
  Handshake::Plan plan;
  plan.credentials = {.user = "u", .password = Secret("p")};
  plan.client_name = "me";
  plan.identity_key = "id";
  plan.database = 2;
  return plan;
}

Value ok() {
  return Value::simple("OK");
}
Value role(std::string_view what) {
  return Value::array({Value::bulk(std::string(what))});
}
std::vector<Value> introduction(Value select, Value role, Value info, Value identity) {
  return {std::move(select), std::move(role), std::move(info),
          Value::bulk(""),   Value::bulk(""), std::move(identity)};
}

TEST(Handshake, SaysHelloAndReadsTheFacts) {
  Handshake handshake(plan());
  const auto hello = handshake.next();
  ASSERT_EQ(hello.size(), 1U);
  EXPECT_EQ(text_of(hello[0]),
            "*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n"
            "$7\r\nSETNAME\r\n$2\r\nme\r\n");
  ASSERT_TRUE(handshake.replies({Value::aggregate(wire::resp::Kind::map, {})}));
  const auto rest = handshake.next();
  ASSERT_EQ(rest.size(), 6U);
  EXPECT_EQ(rest[0].name(), "SELECT");
  ASSERT_TRUE(handshake.replies(introduction(
      ok(), role("master"), Value::bulk("# Server\r\nredis_version:7.0.15\r\nrun_id:abc\r\n"),
      Value::bulk("gen"))));
  EXPECT_TRUE(handshake.next().empty());
  EXPECT_EQ(handshake.facts().protocol, 3);
  EXPECT_EQ(handshake.facts().version, "7.0.15");
  EXPECT_EQ(handshake.facts().run_id, "abc");
  EXPECT_EQ(handshake.facts().identity, "gen");
}

TEST(Handshake, FallsBackToResp2WhereHelloIsRefused) {
  for (const char* refusal : {"NOPROTO unsupported protocol version", "ERR unknown command `HELLO`",
                              "NOPERM this user has no permissions to run the 'hello' command"}) {
    Handshake handshake(plan());
    handshake.next();
    ASSERT_TRUE(handshake.replies({Value::error(refusal)})) << refusal;
    const auto rest = handshake.next();
    ASSERT_EQ(rest.size(), 8U);
    EXPECT_EQ(text_of(rest[0]), "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n");
    EXPECT_EQ(rest[1].name(), "CLIENT");
    EXPECT_EQ(handshake.facts().protocol, 2);
  }
}

TEST(Handshake, SaysWhyAServerIsNotUsed) {
  const auto slug = [](Value hello, std::vector<Value> rest) -> std::string {
    Handshake handshake(plan());
    handshake.next();
    const auto greeted = handshake.replies({std::move(hello)});
    if (!greeted) return greeted.error().slug;
    handshake.next();
    const auto introduced = handshake.replies(std::move(rest));
    return introduced ? "" : introduced.error().slug;
  };
  const Value welcome = Value::aggregate(wire::resp::Kind::map, {});
  EXPECT_EQ(slug(Value::error("WRONGPASS invalid username-password pair"), {}), "redis_denied");
  EXPECT_EQ(
      slug(Value::error("NOAUTH HELLO must be called with the client already authenticated"), {}),
      "redis_denied");
  EXPECT_EQ(slug(Value::error("LOADING Redis is loading the dataset in memory"), {}),
            "redis_refused");
  EXPECT_EQ(slug(welcome, introduction(ok(), role("slave"), Value::bulk(""), Value())),
            "redis_read_only");
  EXPECT_EQ(slug(welcome, introduction(Value::error("ERR DB index is out of range"), role("master"),
                                       Value::bulk(""), Value())),
            "redis_error");
  EXPECT_EQ(slug(welcome, introduction(ok(), role("master"), Value::bulk(""),
                                       Value::error("LOADING Redis is loading"))),
            "redis_refused");
  // A managed service keeps its facts to itself: no reason to refuse it.
  EXPECT_EQ(slug(welcome, introduction(ok(), Value::error("ERR unknown command 'ROLE'"),
                                       Value::error("NOPERM info"), Value())),
            "");
}

TEST(SentinelVote, TakesWhatMostName) {
  SentinelVote vote(3);
  vote.answer(at(1));
  EXPECT_FALSE(vote.is_settled());
  vote.answer(at(2));
  EXPECT_FALSE(vote.is_settled());
  vote.answer(at(2));
  EXPECT_TRUE(vote.is_settled());
  EXPECT_EQ(vote.winner(), at(2));
}

TEST(SentinelVote, IsSettledByAMajorityOrWhenAllHaveAnswered) {
  SentinelVote early(3);
  early.answer(at(1));
  early.answer(at(1));
  EXPECT_TRUE(early.is_settled());

  SentinelVote one(3);
  one.answer(std::nullopt);
  one.answer(at(1));
  EXPECT_FALSE(one.is_settled());
  one.answer(std::nullopt);
  EXPECT_TRUE(one.is_settled());
  EXPECT_EQ(one.winner(), at(1));

  SentinelVote none(1);
  none.answer(std::nullopt);
  EXPECT_TRUE(none.is_settled());
  EXPECT_FALSE(none.winner());
}

TEST(Sentinel, ReadsAddressesAndSwitches) {
  EXPECT_EQ(master_address(Value::array({Value::bulk("127.0.0.1"), Value::bulk("1")})), at(1));
  EXPECT_FALSE(master_address(Value()));
  EXPECT_FALSE(master_address(Value::error("IDONTKNOW")));
  EXPECT_FALSE(master_address(Value::array({Value::bulk("h"), Value::bulk("x")})));
  EXPECT_EQ(switched_master("main 127.0.0.1 9 127.0.0.1 1", "main"), at(1));
  EXPECT_FALSE(switched_master("other 127.0.0.1 9 127.0.0.1 1", "main"));
  EXPECT_FALSE(switched_master("main 127.0.0.1", "main"));
}

Value range(int first, int last, std::string_view host, int port) {
  return Value::array(
      {Value::integer(first), Value::integer(last),
       Value::array({Value::bulk(std::string(host)), Value::integer(port), Value::bulk("id")}),
       Value::array({Value::bulk("replica"), Value::integer(9), Value::bulk("id")})});
}

TEST(SlotMap, KnowsTheOwnersOfARepliesRanges) {
  const auto map = SlotMap::parse(
      Value::array({range(0, 100, "127.0.0.1", 1), range(101, 16383, "", 2)}), at(7));
  ASSERT_TRUE(map);
  EXPECT_EQ(*map->owner(0), at(1));
  EXPECT_EQ(*map->owner(100), at(1));
  EXPECT_EQ(*map->owner(101), at(2));  // The host that was asked.
  EXPECT_TRUE(map->is_complete());
  EXPECT_EQ(map->masters().size(), 2U);
}

TEST(SlotMap, TakesHolesAndMoves) {
  auto map = SlotMap::parse(Value::array({range(0, 100, "127.0.0.1", 1)}), at(7));
  ASSERT_TRUE(map);
  EXPECT_EQ(map->owner(101), nullptr);
  EXPECT_FALSE(map->is_complete());
  map->move(101, at(2));
  EXPECT_EQ(*map->owner(101), at(2));
  EXPECT_TRUE(map->has_master(at(2)));
}

TEST(SlotMap, RefusesWhatIsNoMap) {
  for (const Value& bad :
       {Value(), Value::error("ERR This instance has cluster support disabled"),
        Value::array({Value::integer(1)}), Value::array({range(0, 16384, "h", 1)}),
        Value::array({range(5, 4, "h", 1)}), Value::array({range(-1, 4, "h", 1)}),
        Value::array({range(0, 4, "h", 0)}), Value::array({range(0, 4, "h", 70000)})}) {
    EXPECT_FALSE(SlotMap::parse(bad, at(1)));
  }
}

TEST(RedirectMachine, FollowsEachKindWithinItsBounds) {
  using Action = RedirectMachine::Action;
  RedirectMachine machine;
  EXPECT_EQ(machine.after("MOVED 5 127.0.0.1:1"), Action::move);
  EXPECT_EQ(machine.redirect().endpoint, at(1));
  EXPECT_EQ(machine.after("ASK 5 127.0.0.1:2"), Action::ask);
  EXPECT_EQ(machine.after("ERR no"), Action::done);
  EXPECT_EQ(machine.after("MOVED nonsense"), Action::done);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(machine.after("TRYAGAIN x"), Action::pause);
  EXPECT_EQ(machine.after("TRYAGAIN x"), Action::done);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(machine.after("MOVED 5 127.0.0.1:1"), Action::move);
  EXPECT_EQ(machine.after("MOVED 5 127.0.0.1:1"), Action::done);  // In circles.
}

TEST(RefreshMachine, RunsOneAtATimeAndOneASecond) {
  SeededRandom random(1);
  RefreshMachine machine;
  const BootTime start{0};
  EXPECT_TRUE(machine.request(at(1)));
  EXPECT_FALSE(machine.request(at(2)));
  EXPECT_EQ(machine.take_preferred(), at(2));
  EXPECT_EQ(machine.pause(start, random), Duration(0));
  machine.finished(start, true);
  EXPECT_TRUE(machine.again());

  EXPECT_TRUE(machine.request(std::nullopt));
  EXPECT_GE(machine.pause(start, random), Duration(1000));
  EXPECT_LE(machine.pause(start, random), Duration(1250));
  EXPECT_EQ(machine.pause(start + Duration(1000), random), Duration(0));
  machine.finished(start, true);
  EXPECT_FALSE(machine.again());
  EXPECT_TRUE(machine.request(std::nullopt));
  machine.finished(start, false);
  EXPECT_TRUE(machine.again());
}

}  // namespace
}  // namespace redoubt::redis
