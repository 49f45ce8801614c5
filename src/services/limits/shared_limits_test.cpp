// Soft limits whose memory is in a real Redis: the script against the arithmetic, and the service
// over it, by itself and as one of several instances.
#include "services/limits/service.hpp"
#include "services/limits/shared_part.hpp"

#include "base/random.hpp"
#include "record/sqlite_record.hpp"
#include "shared/limits.hpp"
#include "shared/state.hpp"
#include "tests/support/context.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>

namespace redoubt::limits {
namespace {

using local::LimitMemory;
using local::LimitRule;
using local::Nanos;
using test::RedisLoop;
using test::RedisServer;
using test::standalone;

constexpr Nanos kNanosPerUs = 1'000;

LimitPolicy policy_of(std::string name, LimitAlgorithm algorithm, std::int64_t limit,
                      Duration period, std::int64_t burst = 1,
                      LimitClass limit_class = LimitClass::soft) {
  LimitPolicy policy;
  policy.name = std::move(name);
  policy.algorithm = algorithm;
  policy.limit_class = limit_class;
  policy.limit = limit;
  policy.period = period;
  policy.burst = burst;
  policy.unit = CalendarUnit::month;
  return policy;
}

// What one instance has: a connection, what it knows of Redis, its engine.
struct Site {
  Site(RedisLoop& loop, std::uint16_t port)
      : loop(loop),
        client(loop.client(standalone(port))),
        // A loaded machine is no failure.
        state(loop.clock, metrics, {Duration(2'000), Duration(2'000)}),
        shared(shared::make_shared_limits({*client, state, loop.clock})),
        engine(loop.clock, loop.random, {}, metrics) {
    state.learned(1, loop.clock.boot());
    state.canary_answered(true, {});
  }
  void keep_usable() { state.learned(1, loop.clock.boot()); }
  void lose_redis() { state.refuse("test"); }

  RedisLoop& loop;
  Metrics metrics;
  std::unique_ptr<redis::Client> client;
  shared::SharedState state;
  std::unique_ptr<shared::SharedLimits> shared;
  local::LimitEngine engine;
};

// ---- The script against the arithmetic ----

struct Modelled {
  LimitPolicy policy;
  LimitRule rule;
  LimitMemory memory;
  std::string subject;
};

shared::LimitUse use_of(const Modelled& limit, std::int64_t cost) {
  return {.policy = limit.policy.name,
          .identity = "0",
          .subject = limit.subject,
          .algorithm = limit.rule.algorithm,
          .limit = limit.rule.limit,
          .burst = limit.rule.burst,
          .period_us = limit.rule.period / kNanosPerUs,
          .cost = cost};
}

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

// ---- The service ----

class SharedService : public testing::Test {
 protected:
  SharedService() { add_instance(1); }

  struct One {
    One(RedisLoop& loop, std::uint16_t port) : site(loop, port) {}
    Site site;
    std::unique_ptr<Limits> limits;
  };

  // `share`: what it believes the number of instances to be.
  One& add_instance(std::int64_t share) {
    if (!record_) {
      auto record = record::open_sqlite_record({.path = std::string(record::kTemporary)},
                                               loop_.clock, null_log(), loop_.metrics);
      EXPECT_TRUE(record);
      record_ = std::move(*record);
    }
    auto& one = *all_.emplace_back(std::make_unique<One>(loop_, redis_.port()));
    const SharedTier tier{.limits = one.site.shared.get(),
                          .instances = [share] { return share; },
                          .off = [&state = one.site.state] { return state.off(); }};
    auto made =
        make_limits(one.site.engine, *record_, loop_.clock, policies(), one.site.metrics, tier);
    EXPECT_TRUE(made);
    one.limits = std::move(*made);
    return one;
  }

  static std::vector<LimitPolicy> policies() {
    using enum LimitAlgorithm;
    const Duration hour(3'600'000);
    LimitPolicy refuse = policy_of("refuse", gcra, 10, hour, 10);
    refuse.without_redis = WithoutRedis::refuse;
    LimitPolicy open = policy_of("open", gcra, 3, hour, 3);
    open.without_redis = WithoutRedis::open;
    return {refuse,
            open,
            policy_of("default", gcra, 10, hour, 10),
            policy_of("other", gcra, 10, hour, 10),
            policy_of("window", fixed_window, 4, std::chrono::hours(24)),
            policy_of("log", sliding_log, 4, hour),
            policy_of("strict", gcra, 3, hour, 3, LimitClass::strict)};
  }

  One& first() { return *all_.front(); }

  // The first instance uses Redis again.
  void come_back() {
    shared::SharedState& state = first().site.state;
    state.canary_answered(true, {});
    for (int i = 0; i < 100 && !state.usable(); ++i) {
      first().site.keep_usable();
      state.canary_answered(true, {});
      loop_.pass(std::chrono::milliseconds(50));
    }
    ASSERT_TRUE(state.usable());
  }

  LimitDecision check(One& one, std::vector<LimitCheck> checks) {
    one.site.keep_usable();
    const Context context = test::context_of(acme_);
    if (auto now = one.limits->check_now(context, checks)) {
      EXPECT_TRUE(*now);
      return **now;
    }
    auto decision = loop_.run(one.limits->check(context, checks));
    EXPECT_TRUE(decision) << decision.error().message << decision.error().cause;
    return decision ? *decision : LimitDecision{};
  }
  LimitDecision check(One& one, std::string_view policy, std::int64_t cost = 1) {
    return check(one, {{.policy = policy, .subject = "u", .cost = cost}});
  }
  std::int64_t remaining(One& one, std::string_view policy) {
    one.site.keep_usable();
    const Context context = test::context_of(acme_);
    const LimitCheck check{.policy = policy, .subject = "u"};
    auto decision = loop_.run(one.limits->peek(context, {&check, 1}));
    EXPECT_TRUE(decision);
    return decision->states.front().remaining;
  }
  void refund(One& one, std::string_view policy, std::int64_t cost) {
    one.site.keep_usable();
    const Context context = test::context_of(acme_);
    const LimitCheck check{.policy = policy, .subject = "u", .cost = cost};
    EXPECT_TRUE(loop_.run(one.limits->refund(context, {&check, 1})));
  }

  const Caller acme_ = test::admin_of("acme");
  const Caller umbrella_ = test::admin_of("umbrella");
  RedisServer redis_;
  RedisLoop loop_;
  std::unique_ptr<record::Record> record_;
  std::vector<std::unique_ptr<One>> all_;
};

TEST_F(SharedService, IsOneLimitForAllInstances) {
  One& second = add_instance(2);
  One& third = add_instance(3);

  int admitted = 0;
  for (int i = 0; i < 10; ++i) {
    for (One* one : {&first(), &second, &third}) admitted += check(*one, "default").allowed ? 1 : 0;
  }

  EXPECT_EQ(admitted, 10);
  const LimitDecision refused = check(second, "default");
  EXPECT_FALSE(refused.allowed);
  EXPECT_FALSE(refused.degraded);
  EXPECT_EQ(refused.states[0].remaining, 0);
  EXPECT_NEAR(static_cast<double>(refused.states[0].retry_after.count()), 360'000, 5'000);
}

TEST_F(SharedService, AnswersAsTheEngineWouldForEveryAlgorithm) {
  for (const std::string_view policy : {"default", "window", "log"}) {
    const LimitDecision admitted = check(first(), policy, 3);
    EXPECT_TRUE(admitted.allowed) << policy;
    EXPECT_EQ(admitted.states[0].remaining, capacity(*admitted.states[0].policy) - 3) << policy;
    EXPECT_GT(admitted.states[0].reset_after.count(), 0) << policy;
    const LimitDecision refused = check(first(), policy, capacity(*admitted.states[0].policy) - 2);
    EXPECT_FALSE(refused.allowed) << policy;
    EXPECT_GT(refused.states[0].retry_after.count(), 0) << policy;
    EXPECT_EQ(check(first(), policy, 11).states[0].retry_after, Duration::max()) << policy;
  }
}

TEST_F(SharedService, ChargesAllOrNone) {
  check(first(), "window", 4);

  const LimitDecision decision =
      check(first(), {{.policy = "default", .subject = "u"}, {.policy = "window", .subject = "u"}});

  EXPECT_FALSE(decision.allowed);
  EXPECT_TRUE(decision.states[0].allowed);
  EXPECT_FALSE(decision.states[1].allowed);
  EXPECT_EQ(remaining(first(), "default"), 10);
}

TEST_F(SharedService, GivesBackWhatAStrictLimitRefuses) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(check(first(), "strict").allowed);

  const LimitDecision decision =
      check(first(), {{.policy = "default", .subject = "u"}, {.policy = "strict", .subject = "u"}});

  EXPECT_FALSE(decision.allowed);
  EXPECT_TRUE(decision.states[0].allowed);
  EXPECT_FALSE(decision.states[1].allowed);
  EXPECT_EQ(remaining(first(), "default"), 10);
}

TEST_F(SharedService, EnforcesItsShareFromWhereItStoodWhileRedisIsAway) {
  One& half = add_instance(2);
  check(half, "default", 6);  // 4 of 10 are left; the share of it is 2.
  half.site.lose_redis();

  EXPECT_TRUE(check(half, "default").degraded);
  EXPECT_TRUE(check(half, "default").allowed);
  EXPECT_FALSE(check(half, "default").allowed);
  EXPECT_TRUE(check(half, "other", 5).allowed) << "half of a limit that nobody has used";
  EXPECT_FALSE(check(half, "other").allowed);
}

TEST_F(SharedService, TellsRedisWhatItAdmittedMeanwhile) {
  One& second = add_instance(1);
  first().site.lose_redis();
  EXPECT_TRUE(check(first(), "default", 7).degraded);
  EXPECT_EQ(remaining(second, "default"), 10) << "nobody told it";

  come_back();
  EXPECT_EQ(check(first(), "default").states[0].remaining, 2);

  EXPECT_EQ(remaining(second, "default"), 2);
}

TEST_F(SharedService, ARefusalAfterAnOutageForgetsNothingThatWasAdmittedInIt) {
  check(first(), "default", 1);  // Redis has a memory of its own, with less in it.
  first().site.lose_redis();
  EXPECT_TRUE(check(first(), "default", 7).degraded);
  come_back();

  EXPECT_FALSE(check(first(), "default", 9).allowed);

  EXPECT_EQ(check(first(), "default").states[0].remaining, 1);
  EXPECT_EQ(remaining(add_instance(1), "default"), 1);
}

TEST_F(SharedService, RestoresWhatRedisForgot) {
  check(first(), "default", 9);
  ASSERT_TRUE(loop_.run(first().site.client->run(redis::Command("FLUSHALL"))));

  EXPECT_EQ(check(first(), "default").states[0].remaining, 0);
  EXPECT_FALSE(check(first(), "default").allowed);
}

// Unlike GCRA's, their memories are no single number that a shadow could be put back as.
TEST_F(SharedService, AWindowOrLogThatRedisForgotAdmitsItsLimitOncePerLoss) {
  constexpr int kLimit = 4;
  constexpr int kLosses = 3;
  One& second = add_instance(1);
  for (const std::string_view policy : {"window", "log"}) {
    int admitted = 0;
    for (int loss = 0; loss <= kLosses; ++loss) {
      if (loss > 0) {
        ASSERT_TRUE(loop_.run(first().site.client->run(redis::Command("FLUSHALL"))));
      }
      for (int i = 0; i < 3 * kLimit; ++i) {
        admitted += check(i % 2 == 0 ? first() : second, policy).allowed ? 1 : 0;
      }
      EXPECT_LE(admitted, (loss + 1) * kLimit) << policy << " after losses: " << loss;
    }
    EXPECT_GE(admitted, kLimit) << policy;
  }
}

TEST_F(SharedService, ARefundIsNotUndoneByAnotherInstancesMemory) {
  One& second = add_instance(2);
  check(first(), "default", 5);
  check(second, "default", 5);

  refund(first(), "default", 10);

  EXPECT_EQ(check(second, "default").states[0].remaining, 9);
}

TEST_F(SharedService, AResetIsNotUndoneByAnotherInstancesMemory) {
  One& second = add_instance(2);
  check(second, "default", 10);
  check(second, "window", 4);
  const Context context = test::context_of(acme_);

  ASSERT_TRUE(loop_.run(first().limits->reset(context, "default", "u")));
  ASSERT_TRUE(loop_.run(first().limits->reset(context, "window", "u")));

  EXPECT_EQ(check(second, "default").states[0].remaining, 9);
  EXPECT_TRUE(check(second, "window").allowed);
}

TEST_F(SharedService, KeepsTenantsApart) {
  check(first(), "default", 10);
  const Context other = test::context_of(umbrella_);
  const LimitCheck same{.policy = "default", .subject = "u"};

  EXPECT_TRUE(loop_.run(first().limits->check(other, {&same, 1}))->allowed);
}

TEST_F(SharedService, DecidesByShareWhenRedisDoesNotAnswer) {
  redis_.pause();

  const LimitDecision decision = check(first(), "default");

  EXPECT_TRUE(decision.allowed);
  EXPECT_TRUE(decision.degraded);
  redis_.resume();
}

// ---- What a policy wants while Redis is away ----

TEST_F(SharedService, ALimitThatRefusesWithoutRedisIsNotDecidedWithoutIt) {
  EXPECT_TRUE(check(first(), "refuse").allowed);
  first().site.lose_redis();
  Downgrades downgrades;
  Context context = test::context_of(acme_);
  context.downgrades = &downgrades;
  const std::vector<LimitCheck> checks{{.policy = "default", .subject = "u"},
                                       {.policy = "refuse", .subject = "u"}};

  const auto now = first().limits->check_now(context, checks);

  ASSERT_TRUE(now);
  ASSERT_FALSE(*now);
  EXPECT_EQ(now->error().slug, "limits_unavailable");
  EXPECT_EQ(now->error().code, Errc::unavailable);
  EXPECT_TRUE(downgrades.has(Downgrade::limits_refused));
  EXPECT_TRUE(check(first(), "default", 10).allowed) << "nothing was charged";
}

TEST_F(SharedService, ALimitThatRefusesDoesSoTooWhenRedisDoesNotAnswer) {
  redis_.pause();
  const Context context = test::context_of(acme_);
  const LimitCheck one{.policy = "refuse", .subject = "u"};
  first().site.keep_usable();

  const auto decision = loop_.run(first().limits->check(context, {&one, 1}));

  redis_.resume();
  ASSERT_FALSE(decision);
  EXPECT_EQ(decision.error().slug, "limits_unavailable");
}

TEST_F(SharedService, ALimitThatIsOpenAdmitsWithoutRedisAndOthersBesideItDoNot) {
  One& half = add_instance(2);
  half.site.lose_redis();
  for (int i = 0; i < 20; ++i) {
    const LimitDecision decision = check(half, "open");
    EXPECT_TRUE(decision.allowed);
    EXPECT_TRUE(decision.degraded);
  }
  const std::vector<LimitCheck> both{{.policy = "open", .subject = "u"},
                                     {.policy = "default", .subject = "u", .cost = 5}};
  EXPECT_TRUE(check(half, both).allowed);
  const LimitDecision refused = check(half, both);
  EXPECT_FALSE(refused.allowed);
  EXPECT_TRUE(refused.states[0].allowed);
  EXPECT_FALSE(refused.states[1].allowed);
}

TEST_F(SharedService, SharesAreNothingToReportWhenRedisIsTurnedOff) {
  One& half = add_instance(2);
  half.site.state.turn_off("by the configuration");
  Downgrades downgrades;
  Context context = test::context_of(acme_);
  context.downgrades = &downgrades;
  const LimitCheck one{.policy = "default", .subject = "u", .cost = 5};

  const auto decision = half.limits->check_now(context, {&one, 1});

  ASSERT_TRUE(decision && *decision);
  EXPECT_TRUE((**decision).allowed);
  EXPECT_FALSE((**decision).degraded);
  EXPECT_FALSE(downgrades.any());
  EXPECT_FALSE(check(half, "default").allowed) << "it is a share nevertheless";
  EXPECT_TRUE(check(half, "refuse").allowed);
  EXPECT_FALSE(check(half, "open", 3).allowed) << "half of 3, rounded up, is 2";
}

TEST_F(SharedService, PoliciesAreReplacedWhileItRuns) {
  EXPECT_TRUE(check(first(), "default").allowed);
  std::vector<LimitPolicy> changed = policies();
  std::erase_if(changed, [](const LimitPolicy& p) { return p.name == "other"; });
  for (LimitPolicy& p : changed) {
    if (p.name == "default") p.limit = p.burst = 2;
  }

  ASSERT_TRUE(first().limits->replace_policies(changed));

  EXPECT_EQ(first().limits->find_policy("other"), nullptr);
  EXPECT_TRUE(check(first(), "default", 2).allowed);
  EXPECT_FALSE(check(first(), "default").allowed);
  changed.front().limit = 0;
  EXPECT_FALSE(first().limits->replace_policies(changed));
  EXPECT_EQ(first().limits->find_policy("default")->limit, 2) << "nothing changed";
}

}  // namespace
}  // namespace redoubt::limits
