// The scripts against their twins: the same calls to a real Redis and to the model, whose clock is
// set to the instant that the real one says it decided at.
#include "tests/sim/twins.hpp"

#include "base/random.hpp"
#include "redis/script.hpp"
#include "shared_scripts.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace redoubt::sim {
namespace {

using redis::Command;
using redis::Script;
using redis::Value;

TEST(Twins, AreThoseOfTheScriptsAsTheyAre) {
  for (const auto& file : shared::scripts::all) {
    const Script script{std::string(file.text)};
    const Twin* const twin = twin_of(script.sha());
    ASSERT_NE(twin, nullptr)
        << file.name << " was changed (its SHA-1 is " << script.sha()
        << "): change its twin in tests/sim/twins.cpp as well, then the SHA-1 there";
    EXPECT_EQ(twin->name, file.name);
  }
  EXPECT_EQ(twins().size(), shared::scripts::all.size());
}

class TwinsAndRedis : public testing::Test {
 protected:
  static constexpr std::size_t kLast = SIZE_MAX;
  // `clock_at`: where the answer has the clock. What both answer, and what is then under each key, must be the same.
  void call(const Script& script, std::vector<std::string> keys,
            std::vector<std::string> arguments, std::size_t clock_at) {
    const std::vector<std::string_view> k(keys.begin(), keys.end());
    const std::vector<std::string_view> a(arguments.begin(), arguments.end());
    const Result<Value> real = loop_.run(client_->script(script, k, a));
    ASSERT_TRUE(real) << real.error().message << real.error().cause;
    if (clock_at == kLast) clock_at = real->items().size() - 1;
    now_us_ = real->items()[clock_at].as_integer();
    ScriptCall model{keyspace_, now_us_, k, a};
    const Value twin = twin_of(script.sha())->run(model);
    ASSERT_TRUE(*real == twin) << "the answers differ";
    for (const std::string& key : keys) expect_same(key);
  }

  void expect_same(const std::string& key) {
    const std::int64_t now_ms = now_us_ / 1000;
    const std::string* const text = keyspace_.text(key, now_ms);
    const Keyspace::List* const list = keyspace_.list(key, now_ms);
    if (list != nullptr) {
      const Result<Value> real = loop_.run(client_->run(
          Command("LRANGE").key(key).arg(std::int64_t{0}).arg(std::int64_t{-1})));
      ASSERT_TRUE(real);
      ASSERT_EQ(real->items().size(), list->size());
      for (std::size_t i = 0; i < list->size(); ++i) {
        EXPECT_EQ(real->items()[i].text(), (*list)[i]);
      }
    } else {
      const Result<Value> real = loop_.run(client_->run(Command("GET").key(key)));
      ASSERT_TRUE(real) << real.error().cause;
      EXPECT_EQ(real->text(), text != nullptr ? *text : std::string());
    }
    if (text == nullptr && list == nullptr) return;
    const Result<Value> ends = loop_.run(client_->run(Command("PEXPIRETIME").key(key)));
    ASSERT_TRUE(ends);
    // The instant of TIME and the one that a TTL counts from are two looks at the clock.
    EXPECT_LE(std::abs(ends->as_integer() - *keyspace_.ends(key)), 50);
  }

  std::string number(std::uint64_t below) { return fmt::format("{}", random_.below(below)); }

  // The arguments of one limit; short periods, so that time matters.
  std::vector<std::string> limit(char kind) {
    const auto cost = fmt::format("{}", 1 + random_.below(3));
    const auto most = fmt::format("{}", 1 + random_.below(6));
    const auto period = fmt::format("{}", 20'000 + random_.below(80'000));
    switch (kind) {
      case 'g':
        return {"g", number(30'000), number(3), number(90'000), number(3), "3",
                number(30'000), number(40'000), number(2)};
      case 's':
        return {"s", cost, most, period, number(2)};
      default:
        return {std::string(1, kind), cost, most, period};
    }
  }

  test::RedisServer redis_;
  test::RedisLoop loop_;
  std::unique_ptr<redis::Client> client_ = loop_.client(test::standalone(redis_.port()));
  SeededRandom random_{5};
  Keyspace keyspace_;
  std::int64_t now_us_ = 0;
};

TEST_F(TwinsAndRedis, LimitsOfEveryKindAnswerTheSame) {
  const Script script{std::string(shared::scripts::f_limits_lua)};
  constexpr std::string_view kKinds = "gslw";
  constexpr std::array<std::string_view, 3> kOperations{"take", "peek", "refund"};
  std::uint64_t round = 0;
  for (int i = 0; i < 600 && !HasFatalFailure(); ++i) {
    if (i % 20 == 0) ++round;
    const auto operation = random_.below(5);
    std::vector<std::string> keys;
    std::vector<std::string> arguments{
        std::string(kOperations[operation > 1 ? 0 : operation + 1])};
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      const char kind = kKinds[random_.below(kKinds.size())];
      const std::string key = fmt::format("{{x}}:{}:{}:{}", kind, round, n);
      if (std::ranges::find(keys, key) != keys.end()) continue;
      keys.push_back(key);
      for (std::string& text : limit(kind)) arguments.push_back(std::move(text));
    }
    call(script, keys, arguments, 1);
    if (random_.below(8) == 0) loop_.pass(std::chrono::milliseconds(random_.below(12)));
  }
}

TEST_F(TwinsAndRedis, LimitsOfAMonthAnswerTheSame) {
  const Script script{std::string(shared::scripts::f_limits_lua)};
  const Result<Value> time = loop_.run(client_->run(Command("TIME")));
  ASSERT_TRUE(time);
  const std::int64_t now = std::stoll(std::string(time->items()[0].text())) * 1'000'000;
  constexpr std::int64_t kDay = 86'400'000'000;
  for (const std::int64_t offset : {-kDay, kDay, 40 * kDay}) {
    for (int i = 0; i < 5; ++i) {
      std::vector<std::string> arguments{"take", "m", "1", "3"};
      for (int month = -1; month <= 2; ++month) {
        arguments.push_back(fmt::format("{}", now + offset + month * 30 * kDay));
      }
      call(script, {fmt::format("month:{}", offset)}, arguments, 1);
    }
  }
}

TEST_F(TwinsAndRedis, GcraAloneAnswersTheSame) {
  const Script script{std::string(shared::scripts::f_limits_gcra_lua)};
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    std::vector<std::string> keys;
    std::vector<std::string> arguments;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      keys.push_back(fmt::format("{{x}}:{}:{}", i / 20, n));
      const std::vector<std::string> one = limit('g');
      arguments.insert(arguments.end(), one.begin() + 1, one.end());
    }
    call(script, keys, arguments, 1);
    if (random_.below(8) == 0) loop_.pass(std::chrono::milliseconds(random_.below(12)));
  }
}

TEST_F(TwinsAndRedis, GcraInWholeMicrosecondsAnswersTheSame) {
  const Script script{std::string(shared::scripts::f_limits_gcra_whole_lua)};
  for (int i = 0; i < 400 && !HasFatalFailure(); ++i) {
    std::vector<std::string> keys;
    std::vector<std::string> arguments;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      keys.push_back(fmt::format("{{x}}:whole:{}:{}", i / 20, n));
      const auto debt = static_cast<std::int64_t>(random_.below(80'000)) - 40'000;
      for (std::string text : {number(30'000), number(90'000), number(30'000),
                               fmt::format("{}", debt)}) {
        arguments.push_back(std::move(text));
      }
    }
    arguments.push_back("1");
    call(script, keys, arguments, kLast);
    if (random_.below(8) == 0) loop_.pass(std::chrono::milliseconds(random_.below(12)));
  }
}

TEST_F(TwinsAndRedis, WithdrawnChargesAnswerTheSame) {
  const Script script{std::string(shared::scripts::f_limits_lua)};
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
    const std::string key = fmt::format("withdraw:{}", i / 10);
    const std::vector<std::string> numbers = limit('g');
    std::vector<std::string> take{"take"};
    take.insert(take.end(), numbers.begin(), numbers.end());
    call(script, {key}, take, 1);
    const std::string* const kept = keyspace_.text(key, now_us_ / 1000);
    const std::string tat = kept != nullptr ? kept->substr(0, kept->find(':')) : "0";
    std::vector<std::string> withdraw{"withdraw"};
    withdraw.insert(withdraw.end(), numbers.begin(), numbers.end());
    withdraw.push_back(random_.below(2) == 0 ? tat : fmt::format("{}", now_us_ + 5'000));
    withdraw.push_back("0");
    if (random_.below(4) == 0) loop_.pass(std::chrono::milliseconds(random_.below(12)));
    call(script, {key}, withdraw, 1);
  }
}

TEST_F(TwinsAndRedis, ClaimsAreGivenBackTheSame) {
  const Script script{std::string(shared::scripts::f_give_back_lua)};
  for (const std::string_view token : {"other", "mine", "mine"}) {
    const std::vector<std::string_view> keys{"claim"};
    const std::vector<std::string_view> arguments{token};
    if (token == "other") {
      ASSERT_TRUE(loop_.run(client_->run(Command("SET").key("claim").arg("mine"))));
      keyspace_.set("claim", "mine", 0);
    }
    const Result<Value> real = loop_.run(client_->script(script, keys, arguments));
    ASSERT_TRUE(real);
    ScriptCall model{keyspace_, now_us_, keys, arguments};
    EXPECT_TRUE(*real == twin_of(script.sha())->run(model)) << token;
  }
}

TEST_F(TwinsAndRedis, CopiesAnswerTheSame) {
  const Script script{std::string(shared::scripts::f_set_if_newer_lua)};
  const Result<Value> time = loop_.run(client_->run(Command("TIME")));
  ASSERT_TRUE(time);
  now_us_ = std::stoll(std::string(time->items()[0].text())) * 1'000'000;
  for (int i = 0; i < 200 && !HasFatalFailure(); ++i) {
    const std::string value = fmt::format("{:019}c{}", random_.below(6), i);
    const std::string key = fmt::format("copy:{}", random_.below(4));
    const std::vector<std::string_view> keys{key};
    const std::vector<std::string_view> arguments{"600000", value};
    const Result<Value> real = loop_.run(client_->script(script, keys, arguments));
    ASSERT_TRUE(real);
    ScriptCall model{keyspace_, now_us_, keys, arguments};
    EXPECT_TRUE(*real == twin_of(script.sha())->run(model));
    const Result<Value> kept = loop_.run(client_->run(Command("GET").key(key)));
    EXPECT_EQ(kept->text(), *keyspace_.text(key, now_us_ / 1000));
  }
}

}  // namespace
}  // namespace redoubt::sim
