// Rate limits: whoever decides, decides as the arithmetic does, at the instant it was decided.
#include "tests/conformance/conformance.hpp"
#include "tests/conformance/limit_subjects.hpp"

#include "base/random.hpp"
#include "services/limits/policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace redoubt::conformance {
namespace {

using local::Nanos;

constexpr std::size_t kLimitsMax = local::LimitEngine::kChargesMax;
constexpr std::array kAlgorithms{LimitAlgorithm::gcra, LimitAlgorithm::sliding_window,
                                 LimitAlgorithm::sliding_log, LimitAlgorithm::fixed_window,
                                 LimitAlgorithm::calendar_window};

// Beyond this a sliding window in Redis is rounded against the caller (limits.lua).
bool is_exact(const Modelled& limit) {
  constexpr auto kExactProductMax = static_cast<local::Int128>(1) << 52;
  return limit.rule.algorithm != LimitAlgorithm::sliding_window ||
         static_cast<local::Int128>(limit.rule.limit) * (limit.rule.period / 1'000) <
             kExactProductMax;
}

class LimitsConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (in_memory()) {
      limiter_ = engine_under_test();
      return;
    }
    client_ = connect();
    state_ = usable_state();
    limiter_ = scripts_under_test(loop_, *client_, *state_);
  }

  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low +
           static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(high - low) + 1));
  }

  // Small ones are used up and refill while the test looks on; large ones are where numbers end.
  Modelled random_limit(LimitAlgorithm algorithm, bool large) {
    Modelled limit;
    limit.policy.name = "p" + std::to_string(++made_);
    limit.policy.algorithm = algorithm;
    limit.policy.limit = between(1, 30);
    limit.policy.period = Duration(between(3, 63));
    limit.policy.burst = between(1, 20);
    limit.policy.unit = static_cast<CalendarUnit>(between(0, 3));
    if (large) {
      constexpr std::int64_t kYear = 366LL * 86'400'000;
      limit.policy.limit =
          between(1, algorithm == LimitAlgorithm::sliding_log ? 10'000 : 1'000'000'000);
      limit.policy.period = Duration(between(1, kYear));
      limit.policy.burst = between(1, std::min<std::int64_t>(limit.policy.limit, 1'000'000'000));
    }
    EXPECT_TRUE(limits::validate_policies({&limit.policy, 1}));
    limit.rule = local::make_limit_rule(limit.policy);
    limit.memory = local::fresh_memory(limit.rule);
    limit.subject = fmt::format("s:{{{}}}", made_);
    return limit;
  }

  // One more every whole number of microseconds.
  static void make_whole(Modelled& limit) {
    limit.policy.period = Duration(limit.policy.limit * 2);
    limit.rule = local::make_limit_rule(limit.policy);
    limit.memory = local::fresh_memory(limit.rule);
  }

  std::int64_t random_cost(const Modelled& limit) {
    constexpr std::int64_t kCostMax = 1'000'000;
    const std::int64_t whole = std::min(capacity(limit.policy), kCostMax);
    switch (random_.below(12)) {
      case 0:
        return whole;
      case 1:
        return std::min(whole + 1, kCostMax);
      case 2:
        return kCostMax;
      default:
        return between(1, std::max<std::int64_t>(whole / 6, 1));
    }
  }

  // The same is asked of both; what was charged, what is admitted and what is remembered agree.
  void step(const std::string& tenant, std::vector<Modelled>& limits) {
    const std::uint64_t chance = random_.below(10);
    const Ask what = chance == 0 ? Ask::peek : chance == 1 ? Ask::refund : Ask::take;
    std::vector<std::int64_t> costs;
    for (const Modelled& limit : limits) costs.push_back(random_cost(limit));
    const Answer answer = limiter_->ask(what, tenant, limits, costs);
    ASSERT_EQ(answer.admits.size(), limits.size());
    bool all = true;
    for (std::size_t i = 0; i < limits.size(); ++i) {
      local::settle(limits[i].rule, limits[i].memory, answer.now[i]);
      if (what != Ask::refund || !in_memory()) expect_admission(limits[i], answer, i, costs[i]);
      all = all && answer.admits[i];
    }
    ASSERT_EQ(answer.charged, what == Ask::take && all);
    for (std::size_t i = 0; i < limits.size(); ++i) {
      Modelled& limit = limits[i];
      if (answer.charged) local::charge(limit.rule, limit.memory, answer.now[i], costs[i]);
      if (what == Ask::refund) local::refund(limit.rule, limit.memory, answer.now[i], costs[i]);
      limiter_->expect_memory(i, limit, answer.charged, costs[i]);
    }
    charged_ += answer.charged ? 1 : 0;
    refused_ += what == Ask::take && !all ? 1 : 0;
    if (answer.charged && random_.below(4) == 0) withdraw(tenant, limits, costs);
  }

  // Nothing came between: it is as if it had never been charged.
  void withdraw(const std::string& tenant, std::vector<Modelled>& limits,
                const std::vector<std::int64_t>& costs) {
    const auto is_gcra = [](const Modelled& limit) {
      return limit.rule.algorithm == LimitAlgorithm::gcra;
    };
    if (!std::ranges::all_of(limits, is_gcra)) return;
    const Answer answer = limiter_->withdraw(tenant, limits, costs);
    for (std::size_t i = 0; i < limits.size(); ++i) {
      Modelled& limit = limits[i];
      local::settle(limit.rule, limit.memory, answer.now[i]);
      local::refund(limit.rule, limit.memory, answer.now[i], costs[i]);
      limiter_->expect_memory(i, limit, false, costs[i]);
    }
    ++withdrawn_;
  }

  void expect_admission(const Modelled& limit, const Answer& answer, std::size_t i,
                        std::int64_t cost) {
    const bool admits = local::admits(limit.rule, limit.memory, answer.now[i], cost);
    if (in_memory() || is_exact(limit)) {
      EXPECT_EQ(answer.admits[i], admits) << limit.policy.name;
    } else {
      EXPECT_TRUE(admits || !answer.admits[i]) << "more than the limit is never admitted";
    }
  }

  void history(const std::string& tenant, std::vector<Modelled> limits, int steps) {
    for (int i = 0; i < steps && !HasFailure(); ++i) {
      step(tenant, limits);
      if (random_.below(4) == 0) limiter_->pass(Duration(between(0, 4)));
      if (random_.below(40) != 0) continue;
      Modelled& one = limits[random_.below(limits.size())];
      limiter_->reset(tenant, one);
      one.memory = local::fresh_memory(one.rule);
    }
  }

  std::string random_tenant() {
    static const std::array<std::string, 5> tenants{"acme", "a{b}c", "}{", "\xC3\xA4:*", "%"};
    return tenants[random_.below(tenants.size())];
  }

  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::SharedState> state_;
  std::unique_ptr<LimiterUnderTest> limiter_;
  SeededRandom random_{20'261'121};
  int made_ = 0;
  int charged_ = 0;
  int refused_ = 0;
  int withdrawn_ = 0;
};
CONFORMANCE(LimitsConformance, all_backends());

TEST_P(LimitsConformance, EachAlgorithmDecidesAsTheArithmetic) {
  for (const LimitAlgorithm algorithm : kAlgorithms) {
    for (int round = 0; round < 6; ++round) {
      std::vector<Modelled> limits;
      limits.push_back(random_limit(algorithm, false));
      history(random_tenant(), std::move(limits), 40);
    }
  }
  EXPECT_GT(charged_, 200) << "else nothing was seen";
  EXPECT_GT(refused_, 100) << "else nothing was seen";
}

TEST_P(LimitsConformance, UpToSixteenInOneCallAreChargedAllOrNone) {
  for (int round = 0; round < 16; ++round) {
    std::vector<Modelled> limits;
    for (std::uint64_t n = 1 + random_.below(kLimitsMax); n > 0; --n) {
      limits.push_back(random_limit(kAlgorithms[random_.below(kAlgorithms.size())], false));
    }
    history(random_tenant(), std::move(limits), 30);
  }
  std::vector<Modelled> most;
  while (most.size() < kLimitsMax) most.push_back(random_limit(LimitAlgorithm::gcra, false));
  history("acme", std::move(most), 30);
  EXPECT_GT(charged_, 20) << "else nothing was seen";
  EXPECT_GT(refused_, 20) << "else nothing was seen";
}

// Charges of GCRA limits alone have scripts of their own, one of them for whole intervals; and they
// can be withdrawn.
TEST_P(LimitsConformance, OfGcraAloneAreDecidedTheSame) {
  for (int round = 0; round < 24; ++round) {
    std::vector<Modelled> limits;
    for (std::uint64_t n = 1 + random_.below(4); n > 0; --n) {
      limits.push_back(random_limit(LimitAlgorithm::gcra, round % 4 == 0));
      if (round % 4 == 1) make_whole(limits.back());
    }
    history(random_tenant(), std::move(limits), 30);
  }
  EXPECT_GT(charged_, 50) << "else nothing was seen";
  EXPECT_GT(refused_, 50) << "else nothing was seen";
  EXPECT_GT(withdrawn_, 20) << "else nothing was seen";
}

TEST_P(LimitsConformance, OfTheLargestNumbersAreDecidedAsTheArithmetic) {
  for (int round = 0; round < 40; ++round) {
    std::vector<Modelled> limits;
    for (std::uint64_t n = 1 + random_.below(3); n > 0; --n) {
      limits.push_back(random_limit(kAlgorithms[random_.below(kAlgorithms.size())], true));
    }
    history(random_tenant(), std::move(limits), 20);
  }
  EXPECT_GT(charged_, 100) << "else nothing was seen";
  EXPECT_GT(refused_, 50) << "else nothing was seen";
}

// ---- What only a Redis does ----

class LimitsInRedis : public LimitsConformance {};
CONFORMANCE(LimitsInRedis, all_but_memory());

TEST_P(LimitsInRedis, NeverAreWithoutALifetime) {
  const shared::KeySpace keys(state_->generation());
  int seen = 0;
  for (int i = 0; i < 40; ++i) {
    std::vector<Modelled> limits;
    limits.push_back(random_limit(kAlgorithms[static_cast<std::size_t>(i) % 5], false));
    step("acme", limits);
    step("acme", limits);
    const std::array<std::string_view, 3> segments{limits[0].policy.name, "0", limits[0].subject};
    auto command =
        redis::Command("PTTL").key(keys.key("acme", shared::Noun::ratelimit, segments)).read_only();
    const auto left = loop_.run(client_->run(std::move(command)));
    ASSERT_TRUE(left) << left.error().cause;
    EXPECT_NE(left->as_integer(), -1) << limits[0].policy.name;
    seen += left->as_integer() > 0 ? 1 : 0;
  }
  EXPECT_GT(seen, 10) << "else nothing was seen";
}

TEST_P(LimitsInRedis, AreDecidedByScriptsThatRedisForgot) {
  std::vector<Modelled> gcra;
  gcra.push_back(random_limit(LimitAlgorithm::gcra, false));
  std::vector<Modelled> window;
  window.push_back(random_limit(LimitAlgorithm::fixed_window, false));
  for (int i = 0; i < 6 && !HasFailure(); ++i) {
    step("acme", gcra);
    step("acme", window);
    backend().on_each_server("script flush");
  }
}

// Many at once, of two instances with connections of their own: together they admit what one would.
TEST_P(LimitsInRedis, AreOneLimitForAllThatAskAtOnce) {
  constexpr int kAsk = 40;
  const auto other_client = connect();
  const std::array limiters{shared::make_shared_limits({*client_, *state_, loop_.clock}),
                            shared::make_shared_limits({*other_client, *state_, loop_.clock})};
  for (const LimitAlgorithm algorithm : kAlgorithms) {
    Modelled limit = random_limit(algorithm, false);
    limit.policy.limit = 10;
    limit.policy.period = std::chrono::hours(24 * 365);
    limit.policy.burst = 10;
    limit.policy.unit = CalendarUnit::month;
    limit.rule = local::make_limit_rule(limit.policy);
    const std::vector<shared::LimitUse> uses{use_of(limit, 1)};
    int admitted = 0;
    int answered = 0;
    for (int i = 0; i < kAsk; ++i) {
      auto done = [&](std::exception_ptr thrown, Result<shared::LimitsReply> reply) {
        if (thrown) std::rethrow_exception(thrown);
        EXPECT_TRUE(reply) << reply.error().message << reply.error().cause;
        admitted += reply && reply->charged ? 1 : 0;
        ++answered;
      };
      auto task = limiters[static_cast<std::size_t>(i) % 2]->take("acme", uses);
      boost::asio::co_spawn(loop_.io, std::move(task), done);
    }
    ASSERT_TRUE(loop_.until([&] { return answered == kAsk; }));
    EXPECT_EQ(admitted, 10);
  }
}

}  // namespace
}  // namespace redoubt::conformance
