// Soft limits whose memory is in a real Redis: the service by itself and as one of several
// instances.
#include "services/limits/service.hpp"
#include "services/limits/shared_part.hpp"

#include "record/sqlite_record.hpp"
#include "tests/support/context.hpp"
#include "tests/support/limit_policies.hpp"
#include "tests/support/limits_site.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::limits {
namespace {

using local::LimitRule;
using local::Nanos;
using test::policy_of;
using test::RedisLoop;
using test::RedisServer;
using test::strict_policy_of;

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
            strict_policy_of("strict", gcra, 3, hour, 3)};
  }

  One& first() { return *all_.front(); }

  // The first instance uses Redis again.
  void come_back() { come_back(first()); }
  void come_back(One& one) {
    shared::SharedState& state = one.site.state;
    state.canary_answered(true, {});
    for (int i = 0; i < 100 && !state.usable(); ++i) {
      one.site.keep_usable();
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

TEST_F(SharedService, AResetIsRefusedWhileRedisIsAway) {
  check(first(), "default", 10);
  first().site.lose_redis();
  Downgrades downgrades;
  Context context = test::context_of(acme_);
  context.downgrades = &downgrades;

  const auto done = loop_.run(first().limits->reset(context, "default", "u"));

  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().slug, "limits_unavailable");
  EXPECT_TRUE(downgrades.has(Downgrade::limits_refused));
  EXPECT_FALSE(check(first(), "default").allowed) << "what is known here still counts";
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

TEST_F(SharedService, UntilThereIsARedisLimitsAreThoseOfTheProcessAndThenGoOnThere) {
  One& alone = add_instance(2);
  bool others = false;
  const SharedTier tier{.limits = alone.site.shared.get(),
                        .instances = [] { return 2; },
                        .off = [&others] { return !others; },
                        .others = [&others] { return others; }};
  alone.site.state.turn_off("none");
  auto made =
      make_limits(alone.site.engine, *record_, loop_.clock, policies(), alone.site.metrics, tier);
  ASSERT_TRUE(made);
  alone.limits = std::move(*made);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(check(alone, "default").allowed) << "not the half";
  EXPECT_FALSE(check(alone, "default").allowed);

  others = true;
  alone.site.state.turn_on();
  come_back(alone);

  EXPECT_FALSE(check(alone, "default").allowed) << "what was admitted is owed";
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
