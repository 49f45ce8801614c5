// The limiters' script on a real Redis against the arithmetic in memory.
#include "base/random.hpp"
#include "shared/limits.hpp"
#include "tests/support/limit_policies.hpp"
#include "tests/support/limits_site.hpp"
#include "tests/support/modelled_limit.hpp"
#include "tests/support/redis_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

namespace redoubt::limits {
namespace {

using local::LimitMemory;
using local::LimitRule;
using local::Nanos;
using test::Modelled;
using test::policy_of;
using test::RedisLoop;
using test::RedisServer;

constexpr Nanos kNanosPerUs = 1'000;

Modelled random_limit(SeededRandom& random, int number) {
  constexpr std::array kKinds{LimitAlgorithm::gcra, LimitAlgorithm::sliding_window,
                              LimitAlgorithm::sliding_log, LimitAlgorithm::fixed_window,
                              LimitAlgorithm::calendar_window};
  Modelled limit;
  const auto below = [&random](std::uint64_t n) {
    return static_cast<std::int64_t>(random.below(n));
  };
  limit.policy = policy_of("p" + std::to_string(number), kKinds[random.below(kKinds.size())],
                           1 + below(30), Duration(3 + below(60)), 1 + below(20));
  limit.rule = local::make_limit_rule(limit.policy);
  limit.memory = local::fresh_memory(limit.rule);
  limit.subject = "s:" + std::to_string(number);
  return limit;
}

void expect_same(const Modelled& limit, const shared::LimitMemory& got, bool admits, Nanos now,
                 std::int64_t cost) {
  EXPECT_EQ(got.admits, admits);
  const auto reading = local::read_limit(limit.rule, limit.memory, now, cost);
  if (const auto* gcra = std::get_if<local::GcraMemory>(&limit.memory)) {
    const auto tat =
        (static_cast<local::Int128>(got.numbers[0]) * limit.rule.limit + got.numbers[1]) *
        kNanosPerUs;
    const auto floor = static_cast<local::Int128>(now) * limit.rule.limit;
    EXPECT_TRUE(tat == std::max(gcra->tat(), floor));
  } else if (const auto* slide = std::get_if<local::SlidingWindowMemory>(&limit.memory)) {
    EXPECT_EQ(got.numbers[0] * kNanosPerUs, slide->start);
    EXPECT_EQ(got.numbers[1], slide->current);
    EXPECT_EQ(got.numbers[2], slide->previous);
  } else if (const auto* window = std::get_if<local::WindowMemory>(&limit.memory)) {
    EXPECT_EQ(got.numbers[0] * kNanosPerUs, window->start);
    EXPECT_EQ(got.numbers[1], window->used);
  } else {
    EXPECT_EQ(limit.rule.limit - got.numbers[0], reading.remaining);
  }
}

class Script : public testing::Test {
 protected:
  // With the clock of Redis, which the arithmetic is to be told.
  Task<shared::LimitsReply> take(std::span<const shared::LimitUse> uses) {
    if (!std::ranges::all_of(uses, shared::can_withdraw)) return site_.shared->take("acme", uses);
    sent_ = site_.shared->send_take("acme", uses);
    return sent_->reply();
  }

  void compare_random_histories(int rounds, bool (*wanted)(const LimitRule&)) {
    int number = 1'000;
    for (int round = 0; round < rounds; ++round) {
      std::vector<Modelled> limits;
      const std::size_t count = 1 + random_.below(4);
      while (limits.size() < count) {
        Modelled limit = random_limit(random_, number++);
        if (wanted(limit.rule)) limits.push_back(std::move(limit));
      }
      for (int i = 0; i < 60 && !HasFatalFailure(); ++i) {
        step(limits);
        if (random_.below(4) == 0) loop_.pass(std::chrono::milliseconds(random_.below(4)));
      }
    }
  }

  void step(std::vector<Modelled>& limits) {
    site_.keep_usable();
    const auto what = random_.below(8);
    std::vector<shared::LimitUse> uses;
    for (const Modelled& limit : limits) {
      uses.push_back(use_of(limit, 1 + static_cast<std::int64_t>(random_.below(4))));
    }
    auto task = what == 0   ? site_.shared->peek("acme", uses)
                : what == 1 ? site_.shared->refund("acme", uses)
                            : take(uses);
    const auto reply = loop_.run(std::move(task));
    ASSERT_TRUE(reply) << reply.error().message << reply.error().cause;
    const Nanos now = reply->now_us * kNanosPerUs;
    std::vector<bool> admits;
    bool all = true;
    for (std::size_t i = 0; i < limits.size(); ++i) {
      local::settle(limits[i].rule, limits[i].memory, now);
      admits.push_back(local::admits(limits[i].rule, limits[i].memory, now, uses[i].cost));
      all = all && admits.back();
    }
    ASSERT_EQ(reply->charged, what > 1 && all);
    for (std::size_t i = 0; i < limits.size(); ++i) {
      if (reply->charged) local::charge(limits[i].rule, limits[i].memory, now, uses[i].cost);
      if (what == 1) local::refund(limits[i].rule, limits[i].memory, now, uses[i].cost);
      expect_same(limits[i], reply->limits[i], admits[i], now, uses[i].cost);
    }
    charged_ += reply->charged ? 1 : 0;
  }

  RedisServer redis_;
  RedisLoop loop_;
  Site site_{loop_, redis_.port()};
  SeededRandom random_{20'261'121};
  std::unique_ptr<shared::SentTake> sent_;
  int charged_ = 0;
};

bool is_gcra(const LimitRule& rule) {
  return rule.algorithm == LimitAlgorithm::gcra;
}
bool is_whole(const LimitRule& rule) {
  return is_gcra(rule) && rule.period / kNanosPerUs % rule.limit == 0;
}

TEST_F(Script, DecidesAsTheArithmeticInMemory) {
  compare_random_histories(40, [](const LimitRule&) { return true; });
  EXPECT_GT(charged_, 300) << "else nothing was seen";
}

TEST_F(Script, OfGcraAloneDecidesAsTheArithmeticInMemory) {
  compare_random_histories(30, is_gcra);
  EXPECT_GT(charged_, 200) << "else nothing was seen";
}

TEST_F(Script, OfWholeIntervalsDecidesAsTheArithmeticInMemory) {
  compare_random_histories(30, is_whole);
  EXPECT_GT(charged_, 200) << "else nothing was seen";
}

// It is not told the time, so it counts from the moment of the charge.
TEST_F(Script, OfWholeIntervalsSaysWhatIsOwed) {
  Modelled limit;
  limit.policy = policy_of("p", LimitAlgorithm::gcra, 10, std::chrono::hours(1), 10);
  limit.rule = local::make_limit_rule(limit.policy);
  limit.subject = "s";
  const std::array three{use_of(limit, 3)};
  const std::array eight{use_of(limit, 8)};
  constexpr std::int64_t kInterval = 360'000'000;

  const auto charged = loop_.run(site_.shared->take("acme", three));
  const auto refused = loop_.run(site_.shared->take("acme", eight));

  ASSERT_TRUE(charged && refused);
  EXPECT_TRUE(charged->charged);
  EXPECT_EQ(charged->now_us, 0);
  EXPECT_EQ(charged->limits[0].numbers[0], 3 * kInterval);
  EXPECT_FALSE(refused->charged);
  EXPECT_FALSE(refused->limits[0].admits);
  EXPECT_LE(refused->limits[0].numbers[0], 3 * kInterval);
  EXPECT_GT(refused->limits[0].numbers[0], 2 * kInterval);
}

// Charges that are withdrawn while others come between, against a limit that never had them. What
// is owed is never less than without them, so that nobody is admitted who would not have been; nor
// more than the time for which they were held.
class Withdrawn : public Script {
 protected:
  using Int128 = local::Int128;

  void start(std::int64_t limit, Duration period, std::int64_t burst) {
    limit_.policy =
        policy_of(fmt::format("p{}", number_++), LimitAlgorithm::gcra, limit, period, burst);
    limit_.rule = local::make_limit_rule(limit_.policy);
    limit_.memory = local::fresh_memory(limit_.rule);
    limit_.subject = "s";
    kept_back_ = 0;
  }

  // What is owed there at `now`, in 1/limit us.
  Int128 owed(const shared::LimitsReply& reply) const {
    const auto& n = reply.limits[0].numbers;
    return static_cast<Int128>(n[0] - reply.now_us) * limit_.rule.limit + n[1];
  }
  Int128 owed_without(const shared::LimitsReply& reply) {
    const Nanos now = reply.now_us * kNanosPerUs;
    local::settle(limit_.rule, limit_.memory, now);
    const auto tat = std::get<local::GcraMemory>(limit_.memory).tat();
    return std::max<Int128>(tat - static_cast<Int128>(now) * limit_.rule.limit, 0) / kNanosPerUs;
  }

  void charge_for_good(std::int64_t cost) {
    const std::array uses{use_of(limit_, cost)};
    const auto sent = site_.shared->send_take("acme", uses);
    const auto reply = loop_.run(sent->reply());
    ASSERT_TRUE(reply);
    if (!reply->charged) return;
    const Nanos now = reply->now_us * kNanosPerUs;
    local::settle(limit_.rule, limit_.memory, now);
    EXPECT_TRUE(local::admits(limit_.rule, limit_.memory, now, cost))
        << "admitted, and would not have been";
    local::charge(limit_.rule, limit_.memory, now, cost);
    ++charged_;
  }

  void charge_and_withdraw(std::int64_t cost, std::uint64_t between) {
    const std::array uses{use_of(limit_, cost)};
    const auto sent = site_.shared->send_take("acme", uses);
    const auto taken = loop_.run(sent->reply());
    ASSERT_TRUE(taken);
    for (std::uint64_t i = 0; i < between; ++i) charge_for_good(1 + number_below(2));
    if (random_.below(2) == 0) loop_.pass(std::chrono::milliseconds(random_.below(3)));
    if (!taken->charged) return;
    const auto back = loop_.run(site_.shared->withdraw("acme", uses, *taken));
    ASSERT_TRUE(back) << back.error().message << back.error().cause;
    const Int128 more = owed(*back) - owed_without(*back);
    EXPECT_GE(more, 0) << "less than without the charge";
    if (between == 0) {
      EXPECT_LE(more, kept_back_) << "nothing came between";
    }
    kept_back_ += static_cast<Int128>(back->now_us - taken->now_us + 2) * limit_.rule.limit;
    EXPECT_LE(more, kept_back_);
    kept_back_ = std::max<Int128>(more, 0);
    ++withdrawn_;
  }

  std::int64_t number_below(std::uint64_t n) { return static_cast<std::int64_t>(random_.below(n)); }

  Modelled limit_;
  Int128 kept_back_ = 0;  // Of all so far.
  int number_ = 0;
  int withdrawn_ = 0;
};

TEST_F(Withdrawn, ChargesLeaveALimitAsIfTheyHadNeverBeen) {
  for (int round = 0; round < 40 && !HasFailure(); ++round) {
    start(1 + number_below(30), Duration(3 + number_below(60)), 2 + number_below(20));
    for (int i = 0; i < 30 && !HasFailure(); ++i) {
      site_.keep_usable();
      if (random_.below(2) == 0) {
        charge_for_good(1 + number_below(3));
      } else {
        charge_and_withdraw(1 + number_below(4), random_.below(3));
      }
    }
  }
  EXPECT_GT(charged_, 200) << "else nothing was seen";
  EXPECT_GT(withdrawn_, 200) << "else nothing was seen";
}

TEST_F(Script, NeverLeavesAKeyWithoutATtl) {
  for (int i = 0; i < 40; ++i) {
    std::vector<Modelled> limits;
    limits.push_back(random_limit(random_, i));
    step(limits);
    step(limits);
  }
  const auto keys = loop_.run(site_.client->run(redis::Command("KEYS").arg("*")));
  ASSERT_TRUE(keys);
  EXPECT_GT(keys->items().size(), 10u);
  for (const auto& key : keys->items()) {
    const auto ttl = loop_.run(site_.client->run(redis::Command("PTTL").key(key.text())));
    EXPECT_GT(ttl->as_integer(), 0) << key.text();
  }
}

}  // namespace
}  // namespace redoubt::limits
