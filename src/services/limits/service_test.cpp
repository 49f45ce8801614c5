#include "services/limits/service.hpp"

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "tests/support/context.hpp"
#include "tests/support/limit_policies.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace redoubt::limits {
namespace {

using namespace std::chrono_literals;
using test::policy_of;
using test::strict_policy_of;

std::vector<LimitPolicy> policies() {
  return {policy_of("default", LimitAlgorithm::gcra, 60, 60s, 10),
          policy_of("narrow", LimitAlgorithm::fixed_window, 2, 60s),
          strict_policy_of("login", LimitAlgorithm::gcra, 60, 60s, 5),
          strict_policy_of("log", LimitAlgorithm::sliding_log, 5, 60s),
          strict_policy_of("slide", LimitAlgorithm::sliding_window, 5, 60s),
          strict_policy_of("fixed", LimitAlgorithm::fixed_window, 5, 60s),
          strict_policy_of("month", LimitAlgorithm::calendar_window, 5, 60s)};
}
constexpr std::array<std::string_view, 5> kStrict{"login", "log", "slide", "fixed", "month"};

// A record that answers as the real one does until told to be away.
class Unreliable final : public record::Record {
 public:
  explicit Unreliable(record::Record& real) : real_(real) {}

  enum class Fault { none, before, after, again } fault = Fault::none;

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    if (fault == Fault::before) co_return away();
    if (fault == Fault::none) co_return co_await real_.write_unit(std::move(work));
    // The work is done and the commit fails.
    std::function<Task<void>(record::Unit&)> undone = [&work](record::Unit& unit) -> Task<void> {
      RD_CO_CHECK(co_await work(unit));
      co_return away();
    };
    if (fault != Fault::again) co_return co_await real_.write_unit(std::move(undone));
    // It lost against another transaction, and is run a second time.
    co_await real_.write_unit(undone);
    co_return co_await real_.write_unit(std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    if (fault != Fault::none) co_return away();
    co_return co_await real_.read_snapshot(std::move(work));
  }
  void subscribe(record::JournalListener listener) override {
    real_.subscribe(std::move(listener));
  }
  record::Status status() const override { return real_.status(); }
  void stop() override { real_.stop(); }

 private:
  static Unexpected away() { return fail(unavailable("record_unavailable", "disk full")); }
  record::Record& real_;
};

class LimitsTest : public testing::Test {
 protected:
  LimitsTest() { open(); }
  ~LimitsTest() override { close(); }

  void open() {
    real_record_ = home_.open(clock_, metrics_);
    record_ = std::make_unique<Unreliable>(*real_record_);
    engine_ = std::make_unique<local::LimitEngine>(clock_, random_, local::LimitEngineOptions{},
                                                   metrics_);
    auto made = make_limits(*engine_, *record_, clock_, policies(), metrics_);
    ASSERT_TRUE(made) << made.error().message;
    limits_ = std::move(*made);
  }
  void close() {
    limits_.reset();
    engine_.reset();
    if (real_record_) real_record_->stop();
    real_record_.reset();
  }

  Result<LimitDecision> check(std::vector<LimitCheck> checks, const Caller& caller) {
    const Context context = test::context_of(caller);
    if (auto now = limits_->check_now(context, checks)) return std::move(*now);
    return test::run(limits_->check(context, checks));
  }
  Result<LimitDecision> check(std::vector<LimitCheck> checks) {
    return check(std::move(checks), acme_);
  }
  bool allowed(std::vector<LimitCheck> checks) {
    const auto decision = check(std::move(checks));
    EXPECT_TRUE(decision) << decision.error().message << decision.error().cause;
    return decision && decision->allowed;
  }
  std::int64_t remaining(std::string_view policy, std::string_view subject = "x") {
    const Context context = test::context_of(acme_);
    const LimitCheck one{.policy = policy, .subject = subject};
    const auto decision = test::run(limits_->peek(context, {&one, 1}));
    EXPECT_TRUE(decision) << decision.error().message << decision.error().cause;
    return decision ? decision->states[0].remaining : -1;
  }
  Result<LimitDecision> refund(std::vector<LimitCheck> checks) {
    const Context context = test::context_of(acme_);
    return test::run(limits_->refund(context, checks));
  }
  Result<void> reset(std::string policy, std::string subject) {
    const Context context = test::context_of(acme_);
    return test::run(limits_->reset(context, std::move(policy), std::move(subject)));
  }
  std::uint64_t decisions(std::string_view policy, std::string_view result) {
    return metrics_
        .counter("redoubt_ratelimit_decisions_total", "What each limit of a check said, by policy.",
                 {{"policy", policy}, {"result", result}})
        .value();
  }

  test::RecordHome home_;
  const Caller acme_ = test::admin_of("acme");
  const Caller other_ = test::admin_of("other");
  ManualClock clock_;
  SeededRandom random_{1};
  Metrics metrics_;
  std::unique_ptr<record::Record> real_record_;
  std::unique_ptr<Unreliable> record_;
  std::unique_ptr<local::LimitEngine> engine_;
  std::unique_ptr<Limits> limits_;
};

// ---- Soft ----

TEST_F(LimitsTest, ASoftCheckIsDecidedAtOnceAndSaysWhatIsLeft) {
  const Context context = test::context_of(acme_);
  const LimitCheck one{.policy = "default", .subject = "user:1", .cost = 4};

  const auto decision = limits_->check_now(context, {&one, 1});

  ASSERT_TRUE(decision && *decision);
  EXPECT_TRUE((*decision)->allowed);
  ASSERT_EQ((*decision)->states.size(), 1u);
  const LimitState& state = (*decision)->states[0];
  EXPECT_EQ(state.policy, limits_->find_policy("default"));
  EXPECT_EQ(state.remaining, 6);
  EXPECT_EQ(state.reset_after, 4s);
  EXPECT_EQ(state.retry_after, 0s);
}

TEST_F(LimitsTest, ARefusalSaysWhenAndCountsPerPolicy) {
  ASSERT_TRUE(allowed({{"default", "x", 10}}));

  const auto decision = check({{"default", "x", 3}, {"narrow", "x"}});

  ASSERT_TRUE(decision);
  EXPECT_FALSE(decision->allowed);
  EXPECT_FALSE(decision->states[0].allowed);
  EXPECT_EQ(decision->states[0].retry_after, 3s);
  EXPECT_TRUE(decision->states[1].allowed);
  EXPECT_EQ(decision->states[1].remaining, 2);
  EXPECT_EQ(decisions("default", "allowed"), 1u);
  EXPECT_EQ(decisions("default", "denied"), 1u);
  EXPECT_EQ(decisions("narrow", "allowed"), 1u);
}

TEST_F(LimitsTest, SubjectsPoliciesAndTenantsAreSeparate) {
  for (const std::string_view policy : {"default", "login"}) {
    const std::int64_t all = capacity(*limits_->find_policy(policy));
    ASSERT_TRUE(allowed({{policy, "x", all}}));

    EXPECT_FALSE(allowed({{policy, "x"}}));
    EXPECT_TRUE(allowed({{policy, "y"}}));
    EXPECT_TRUE(check({{policy, "x"}}, other_)->allowed);
  }
  EXPECT_TRUE(allowed({{"narrow", "x"}}));
}

TEST_F(LimitsTest, SubjectsOfAnyBytesAreTheirOwn) {
  using namespace std::string_view_literals;
  const std::vector<std::string_view> subjects{
      "a:b", "a", "a\0b"sv, "a\0"sv, "A", "\xff\xfe", "a%3Ab", "{a}:*", "'; DROP TABLE rd_limit"};
  for (const std::string_view policy : {"narrow", "fixed"}) {
    const std::int64_t all = capacity(*limits_->find_policy(policy));
    for (const std::string_view subject : subjects) {
      EXPECT_TRUE(allowed({{policy, subject, all}})) << subject;
    }
    for (const std::string_view subject : subjects) {
      EXPECT_FALSE(allowed({{policy, subject}})) << subject;
    }
  }
}

TEST_F(LimitsTest, BadChecksAreRefusedWithTheFieldAndChargeNothing) {
  const std::string long_subject(513, 'x');
  struct Case {
    LimitCheck check;
    std::string_view pointer;
    std::string_view detail;
  };
  const std::vector<Case> cases{
      {{"defualt", "x"},
       "/limits/1/policy",
       "no policy is named 'defualt'; did you mean 'default'?"},
      {{"default", ""}, "/limits/1/subject", "must be 1 to 512 bytes"},
      {{"default", long_subject}, "/limits/1/subject", "must be 1 to 512 bytes"},
      {{"default", "x", 0}, "/limits/1/cost", "must be 1 to 1000000"},
      {{"default", "x", -5}, "/limits/1/cost", "must be 1 to 1000000"},
      {{"default", "x", 1'000'001}, "/limits/1/cost", "must be 1 to 1000000"},
      {{"narrow", "x"}, "/limits/1/subject", "is named twice for this policy; add the costs up"}};
  for (const Case& c : cases) {
    const auto decision = check({{"narrow", "x"}, c.check});
    ASSERT_FALSE(decision) << c.detail;
    EXPECT_EQ(decision.error().code, Errc::invalid_argument);
    EXPECT_EQ(decision.error().fields.at(0).pointer, c.pointer);
    EXPECT_EQ(decision.error().fields.at(0).detail, c.detail);
  }
  EXPECT_FALSE(check(std::vector<LimitCheck>(17, {"default", "x"})));
  EXPECT_EQ(remaining("narrow"), 2);
  EXPECT_EQ(reset("nope", "x").error().fields.at(0).pointer, "/policy");
}

TEST_F(LimitsTest, ACheckOfNoLimitIsAllowed) {
  EXPECT_TRUE(allowed({}));
}

TEST_F(LimitsTest, PeekChargesNothing) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(remaining("default"), 10);
    EXPECT_EQ(remaining("login"), 5);
  }
}

TEST_F(LimitsTest, RefundNeverGoesBeyondFull) {
  for (const std::string_view policy : {"default", "login", "log", "slide", "fixed", "month"}) {
    const std::int64_t all = capacity(*limits_->find_policy(policy));
    ASSERT_TRUE(allowed({{policy, "x", 4}}));

    ASSERT_TRUE(refund({{policy, "x", 1}}));
    EXPECT_EQ(remaining(policy), all - 3) << policy;
    const auto given = refund({{policy, "x", 1000}});
    ASSERT_TRUE(given);
    EXPECT_EQ(given->states[0].remaining, all) << policy;
    EXPECT_EQ(remaining(policy), all) << policy;
  }
}

TEST_F(LimitsTest, ResetMakesOneSubjectFull) {
  for (const std::string_view policy : {"default", "login"}) {
    const std::int64_t all = capacity(*limits_->find_policy(policy));
    ASSERT_TRUE(allowed({{policy, "x", all}, {policy, "y", all}}));

    ASSERT_TRUE(reset(std::string(policy), "x"));

    EXPECT_EQ(remaining(policy, "x"), all);
    EXPECT_EQ(remaining(policy, "y"), 0);
  }
}

TEST_F(LimitsTest, PoliciesThatAreWrongStopTheStart) {
  std::vector<LimitPolicy> wrong = policies();
  wrong[3].limit = 0;

  const auto made = make_limits(*engine_, *record_, clock_, wrong, metrics_);

  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "limits.log.limit must be 1 to 1000000000, got 0");
}

// ---- Strict ----

TEST_F(LimitsTest, AStrictCheckNeedsTheRecord) {
  const Context context = test::context_of(acme_);
  const LimitCheck one{.policy = "login", .subject = "x"};

  EXPECT_FALSE(limits_->check_now(context, {&one, 1}).has_value());
  EXPECT_TRUE(allowed({{"login", "x"}}));
}

TEST_F(LimitsTest, StrictLimitsSurviveARestart) {
  for (const std::string_view policy : kStrict) ASSERT_TRUE(allowed({{policy, "x", 5}})) << policy;
  ASSERT_TRUE(allowed({{"default", "x", 10}}));

  close();
  open();

  for (const std::string_view policy : kStrict) EXPECT_FALSE(allowed({{policy, "x"}})) << policy;
  EXPECT_TRUE(allowed({{"default", "x", 10}}));
  clock_.advance(1s);
  EXPECT_TRUE(allowed({{"login", "x"}}));
  EXPECT_FALSE(allowed({{"login", "x"}}));
}

TEST_F(LimitsTest, RetryOfAStrictLimitIsTheFirstMillisecondOfAdmission) {
  for (const std::string_view policy : kStrict) {
    ASSERT_TRUE(allowed({{policy, "x", 3}}));
    clock_.advance(317ms);
    ASSERT_TRUE(allowed({{policy, "x", 2}}));
    const auto refused = check({{policy, "x", 2}});
    ASSERT_TRUE(refused);
    ASSERT_FALSE(refused->allowed) << policy;

    clock_.advance(refused->states[0].retry_after - 1ms);
    EXPECT_FALSE(allowed({{policy, "x", 2}})) << policy;
    clock_.advance(1ms);
    EXPECT_TRUE(allowed({{policy, "x", 2}})) << policy;
  }
}

TEST_F(LimitsTest, AWallClockThatGoesBackNeitherOpensAStrictLimitNorShutsItForLong) {
  for (const std::string_view policy : {"login", "log", "fixed"}) {
    ASSERT_TRUE(allowed({{policy, "x", 5}}));
  }

  clock_.jump_wall(-24h * 365);

  for (const std::string_view policy : {"login", "log", "fixed"}) {
    EXPECT_FALSE(allowed({{policy, "x"}})) << policy;
  }
  // The corrections were kept although nothing was charged: time counts from the jump.
  clock_.advance(2s);
  EXPECT_TRUE(allowed({{"login", "x"}}));
  clock_.advance(58s);
  EXPECT_TRUE(allowed({{"log", "x"}}));
  clock_.advance(60s);
  EXPECT_TRUE(allowed({{"fixed", "x"}}));
}

TEST_F(LimitsTest, ConcurrentStrictChecksNeverOverAdmit) {
  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5; ++i) admitted += allowed({{"fixed", "x"}, {"login", "x"}}) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(admitted, 5);
}

// ---- Both in one check ----

TEST_F(LimitsTest, AStrictRefusalChargesNoSoftLimit) {
  ASSERT_TRUE(allowed({{"login", "x", 5}}));

  const auto decision = check({{"default", "x"}, {"login", "x"}, {"fixed", "x"}});

  ASSERT_TRUE(decision);
  EXPECT_FALSE(decision->allowed);
  EXPECT_TRUE(decision->states[0].allowed);
  EXPECT_FALSE(decision->states[1].allowed);
  EXPECT_TRUE(decision->states[2].allowed);
  EXPECT_EQ(remaining("default"), 10);
  EXPECT_EQ(remaining("fixed"), 5);
}

TEST_F(LimitsTest, ASoftRefusalChargesNoStrictLimit) {
  ASSERT_TRUE(allowed({{"narrow", "x", 2}}));

  const auto decision = check({{"login", "x"}, {"narrow", "x"}, {"default", "x"}});

  ASSERT_TRUE(decision);
  EXPECT_FALSE(decision->allowed);
  EXPECT_TRUE(decision->states[0].allowed);
  EXPECT_EQ(decision->states[0].remaining, 5);
  EXPECT_EQ(remaining("login"), 5);
  EXPECT_EQ(remaining("default"), 10);
}

TEST_F(LimitsTest, AMixedCheckChargesAll) {
  const auto decision = check({{"login", "x", 2}, {"default", "x", 3}, {"fixed", "x", 4}});

  ASSERT_TRUE(decision && decision->allowed);
  EXPECT_EQ(decision->states[0].remaining, 3);
  EXPECT_EQ(decision->states[1].remaining, 7);
  EXPECT_EQ(decision->states[2].remaining, 1);
  EXPECT_EQ(remaining("login"), 3);
  EXPECT_EQ(remaining("default"), 7);
  EXPECT_EQ(remaining("fixed"), 1);
}

TEST_F(LimitsTest, ACommitThatFailsGivesTheSoftChargeBack) {
  for (const auto fault : {Unreliable::Fault::before, Unreliable::Fault::after}) {
    record_->fault = fault;
    const auto decision = check({{"login", "x"}, {"default", "x", 3}});
    record_->fault = Unreliable::Fault::none;

    ASSERT_FALSE(decision);
    EXPECT_EQ(decision.error().code, Errc::unavailable);
    EXPECT_EQ(remaining("login"), 5);
    EXPECT_EQ(remaining("default"), 10);
  }
  EXPECT_EQ(decisions("login", "error"), 2u);
  EXPECT_EQ(decisions("login", "allowed"), 0u);
}

TEST_F(LimitsTest, AnAttemptThatWasUndoneIsChargedOnce) {
  for (const std::string_view policy : kStrict) {
    record_->fault = Unreliable::Fault::again;
    const std::string subject = "again-" + std::string(policy);
    const auto decision = check({{policy, subject, 2}, {"default", subject, 3}});
    record_->fault = Unreliable::Fault::none;

    ASSERT_TRUE(decision && decision->allowed) << policy;
    EXPECT_EQ(decision->states[0].remaining, 3) << policy;
    EXPECT_EQ(decision->states[1].remaining, 7) << policy;
    EXPECT_EQ(check({{policy, subject, 3}})->states[0].remaining, 0) << policy;
  }
}

TEST_F(LimitsTest, WithoutTheRecordStrictIsRefusedAndSoftGoesOn) {
  record_->fault = Unreliable::Fault::before;

  EXPECT_EQ(check({{"login", "x"}}).error().code, Errc::unavailable);
  EXPECT_TRUE(allowed({{"default", "x"}}));
}

// ---- Cleaning up ----

TEST_F(LimitsTest, RowsThatHaveBeenFullForADayAreSwept) {
  ASSERT_TRUE(allowed({{"login", "x"}, {"fixed", "x"}}));
  const auto sweep = [this] { return test::run(sweep_strict_limits(*record_, clock_, 100)); };

  clock_.advance(23h);
  EXPECT_EQ(sweep().value(), 0);
  clock_.advance(2h);

  EXPECT_EQ(sweep().value(), 2);
  EXPECT_EQ(sweep().value(), 0);
  EXPECT_EQ(remaining("login"), 5);
}

}  // namespace
}  // namespace redoubt::limits
