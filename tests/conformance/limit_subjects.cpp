#include "tests/conformance/limit_subjects.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <variant>

namespace redoubt::conformance {
namespace {

using local::Nanos;

constexpr Nanos kNanosPerUs = 1'000;

class Engine final : public LimiterUnderTest {
 public:
  Answer ask(Ask what, const std::string& tenant, const std::vector<Modelled>& limits,
             const std::vector<std::int64_t>& costs) override {
    std::vector<local::LimitCharge> charges;
    for (std::size_t i = 0; i < limits.size(); ++i) {
      charges.push_back(charge_of(tenant, limits[i], costs[i]));
    }
    verdicts_.assign(limits.size(), {});
    Answer answer;
    if (what == Ask::take) {
      answer.charged = engine_.take(charges, verdicts_);
    } else if (what == Ask::peek) {
      engine_.peek(charges, verdicts_);
    } else {
      engine_.refund(charges, verdicts_);
    }
    for (std::size_t i = 0; i < limits.size(); ++i) {
      answer.admits.push_back(verdicts_[i].allowed);
      answer.now.push_back(now_of(limits[i]));
    }
    return answer;
  }

  Answer withdraw(const std::string& tenant, const std::vector<Modelled>& limits,
                  const std::vector<std::int64_t>& costs) override {
    return ask(Ask::refund, tenant, limits, costs);
  }

  void expect_memory(std::size_t i, const Modelled& limit, bool charged,
                     std::int64_t cost) override {
    const Nanos now = now_of(limit);
    const auto reading = local::read_limit(limit.rule, limit.memory, now, cost);
    const auto wanted =
        charged ? local::charged_verdict_of(reading, now) : local::verdict_of(reading, now);
    EXPECT_EQ(verdicts_[i].allowed, wanted.allowed);
    EXPECT_EQ(verdicts_[i].remaining, wanted.remaining);
    EXPECT_EQ(verdicts_[i].reset_after, wanted.reset_after);
    EXPECT_EQ(verdicts_[i].retry_after, wanted.retry_after);
  }

  void reset(const std::string& tenant, const Modelled& limit) override {
    engine_.reset(charge_of(tenant, limit, 1).key);
  }
  void pass(Duration duration) override { clock_.advance(duration); }

 private:
  local::LimitCharge charge_of(const std::string& tenant, const Modelled& limit,
                               std::int64_t cost) const {
    return {
        .rule = &limit.rule, .key = engine_.key(tenant, limit.rule, limit.subject), .cost = cost};
  }
  Nanos now_of(const Modelled& limit) const {
    return local::follows_calendar(limit.rule) ? clock_.wall().ms * local::kNanosPerMs
                                               : clock_.boot().ns;
  }

  ManualClock clock_;
  SeededRandom random_{3};
  Metrics metrics_;
  local::LimitEngine engine_{clock_, random_, {}, metrics_};
  std::vector<local::LimitVerdict> verdicts_;
};

class Scripts final : public LimiterUnderTest {
 public:
  Scripts(test::RedisLoop& loop, redis::Client& client, shared::SharedState& state)
      : loop_(loop), limits_(shared::make_shared_limits({client, state, loop.clock})) {}

  Answer ask(Ask what, const std::string& tenant, const std::vector<Modelled>& limits,
             const std::vector<std::int64_t>& costs) override {
    const std::vector<shared::LimitUse> uses = uses_of(limits, costs);
    if (what == Ask::peek) return answer(limits_->peek(tenant, uses));
    if (what == Ask::refund) return answer(limits_->refund(tenant, uses));
    if (!std::ranges::all_of(uses, shared::can_withdraw))
      return answer(limits_->take(tenant, uses));
    // take() need not say when it was decided, and the arithmetic must be told.
    const auto sent = limits_->send_take(tenant, uses);
    return answer(sent->reply());
  }

  Answer withdraw(const std::string& tenant, const std::vector<Modelled>& limits,
                  const std::vector<std::int64_t>& costs) override {
    const shared::LimitsReply taken = reply_;
    return answer(limits_->withdraw(tenant, uses_of(limits, costs), taken));
  }

  void expect_memory(std::size_t i, const Modelled& limit, bool, std::int64_t cost) override {
    const Nanos now = reply_.now_us * kNanosPerUs;
    const auto& numbers = reply_.limits[i].numbers;
    if (const auto* gcra = std::get_if<local::GcraMemory>(&limit.memory)) {
      const auto tat =
          (static_cast<local::Int128>(numbers[0]) * limit.rule.limit + numbers[1]) * kNanosPerUs;
      const auto floor = static_cast<local::Int128>(now) * limit.rule.limit;
      EXPECT_TRUE(tat == std::max(gcra->tat(), floor));
    } else if (const auto* slide = std::get_if<local::SlidingWindowMemory>(&limit.memory)) {
      EXPECT_EQ(numbers[0] * kNanosPerUs, slide->start);
      EXPECT_EQ(numbers[1], slide->current);
      EXPECT_EQ(numbers[2], slide->previous);
    } else if (const auto* window = std::get_if<local::WindowMemory>(&limit.memory)) {
      EXPECT_EQ(numbers[0] * kNanosPerUs, window->start);
      EXPECT_EQ(numbers[1], window->used);
    } else {
      expect_log(numbers, limit, now, cost);
    }
  }

  void reset(const std::string& tenant, const Modelled& limit) override {
    EXPECT_TRUE(loop_.run(limits_->reset(tenant, use_of(limit, 1))));
  }
  void pass(Duration duration) override { loop_.pass(duration); }

 private:
  static void expect_log(const std::array<std::int64_t, 3>& numbers, const Modelled& limit,
                         Nanos now, std::int64_t cost) {
    const auto reading = local::read_limit(limit.rule, limit.memory, now, cost);
    EXPECT_EQ(limit.rule.limit - numbers[0], reading.remaining);
    if (numbers[0] > 0) EXPECT_EQ(numbers[2] * kNanosPerUs + limit.rule.period, reading.full_at);
  }

  static std::vector<shared::LimitUse> uses_of(const std::vector<Modelled>& limits,
                                               const std::vector<std::int64_t>& costs) {
    std::vector<shared::LimitUse> uses;
    for (std::size_t i = 0; i < limits.size(); ++i) uses.push_back(use_of(limits[i], costs[i]));
    return uses;
  }

  Answer answer(Task<shared::LimitsReply> task) {
    auto reply = loop_.run(std::move(task));
    if (!reply) throw std::runtime_error(reply.error().message + ": " + reply.error().cause);
    reply_ = std::move(*reply);
    if (reply_.now_us == 0) throw std::runtime_error("it does not say when");
    Answer answer{.charged = reply_.charged, .admits = {}, .now = {}};
    for (const shared::LimitMemory& memory : reply_.limits) {
      answer.admits.push_back(memory.admits);
      answer.now.push_back(reply_.now_us * kNanosPerUs);
    }
    return answer;
  }

  test::RedisLoop& loop_;
  std::unique_ptr<shared::SharedLimits> limits_;
  shared::LimitsReply reply_;
};

}  // namespace

std::unique_ptr<LimiterUnderTest> engine_under_test() {
  return std::make_unique<Engine>();
}

std::unique_ptr<LimiterUnderTest> scripts_under_test(test::RedisLoop& loop, redis::Client& client,
                                                     shared::SharedState& state) {
  return std::make_unique<Scripts>(loop, client, state);
}

}  // namespace redoubt::conformance
