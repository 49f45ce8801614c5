// The gate over real sessions and limits: what it admits, what it refuses, and what a refusal
// costs.
#include "services/gate/service.hpp"

#include "local/limit_engine.hpp"
#include "services/limits/service.hpp"
#include "tests/support/sessions_fixture.hpp"

namespace redoubt {
namespace {

class GateTest : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    std::vector<LimitPolicy> policies(3);
    policies[0] = {.name = "chat", .limit = 60, .burst = 2};
    policies[1] = {.name = "knock", .limit = 60, .burst = 3};
    policies[2] = {.name = "spend", .limit_class = LimitClass::strict, .limit = 60, .burst = 1};
    auto limits = limits::make_limits(engine_, *record_, clock_, policies, metrics_);
    ASSERT_TRUE(limits) << limits.error().message;
    limits_ = std::move(*limits);
    gate_ = gate::make_gate(*sessions_, *limits_);
  }

  GateVerdict decide(const GateRequest& request) {
    auto verdict = test::run(gate_->decide(context_, request));
    EXPECT_TRUE(verdict) << verdict.error().message;
    return verdict ? *verdict : GateVerdict{};
  }

  std::string new_token(std::string user, std::string agent = "") {
    NewSession wanted;
    wanted.user = std::move(user);
    wanted.agent = std::move(agent);
    auto issued = test::run(sessions_->create(context_, std::move(wanted)));
    EXPECT_TRUE(issued);
    return issued->token;
  }

  static GateRequest ask(std::string token, std::vector<GateLimit> limits = {}) {
    GateRequest request;
    request.token = std::move(token);
    request.limits = std::move(limits);
    return request;
  }

  std::int64_t left(std::string policy, std::string_view subject) {
    const std::array checks{LimitCheck{.policy = policy, .subject = subject}};
    auto decision = test::run(limits_->peek(context_, checks));
    EXPECT_TRUE(decision);
    return decision->states[0].remaining;
  }

  const Caller caller_ = test::admin_of("acme");
  const Context context_ = test::context_of(caller_);
  local::LimitEngine engine_{clock_, random_, {}, metrics_};
  std::unique_ptr<Limits> limits_;
  std::unique_ptr<Gate> gate_;
};

const GateLimit kChat{.policy = "chat", .by = LimitBy::user, .subject = "", .cost = 1};
const GateLimit kKnock{.policy = "knock", .by = LimitBy::address, .subject = "", .cost = 1};
const GateLimit kSpend{.policy = "spend", .by = LimitBy::user, .subject = "", .cost = 1};

TEST_F(GateTest, SaysWhoItIsAndWhatIsLeft) {
  const GateVerdict verdict = decide(ask(new_token("ada", "planner"), {kChat, kKnock}));

  EXPECT_EQ(verdict.outcome, GateOutcome::allowed);
  EXPECT_EQ(verdict.tenant, "acme");
  EXPECT_EQ(verdict.principal, "user:ada");
  ASSERT_TRUE(verdict.session);
  EXPECT_EQ(verdict.session->session->agent, "planner");
  ASSERT_EQ(verdict.decision.states.size(), 2u);
  EXPECT_EQ(verdict.decision.states[0].remaining, 1);
  EXPECT_EQ(verdict.decision.states[1].remaining, 2);
}

TEST_F(GateTest, AnswersAKnownSessionWithoutWaiting) {
  const GateRequest request = ask(new_token("ada"), {kChat});
  decide(request);

  const auto verdict = gate_->decide_now(context_, request);

  ASSERT_TRUE(verdict);
  ASSERT_TRUE(*verdict);
  EXPECT_EQ((*verdict)->outcome, GateOutcome::allowed);
}

TEST_F(GateTest, LeavesAStrictLimitToTheRecord) {
  const GateRequest request = ask(new_token("ada"), {kChat, kSpend});
  decide(request);

  EXPECT_FALSE(gate_->decide_now(context_, request));
  EXPECT_EQ(decide(request).outcome, GateOutcome::limited);
  EXPECT_EQ(left("chat", "user:ada"), 1);  // Only the first call was charged: all or nothing.
}

TEST_F(GateTest, ChargesABadSessionToItsAddressOnly) {
  const GateRequest request = ask("rds_forged", {kKnock, kChat});

  for (int i = 0; i < 3; ++i) EXPECT_EQ(decide(request).outcome, GateOutcome::session_invalid);

  EXPECT_EQ(decide(request).outcome, GateOutcome::limited);
  EXPECT_EQ(left("chat", "user:ada"), 2);
}

TEST_F(GateTest, RefusesAnotherAgentAndAnotherTenant) {
  GateRequest request = ask(new_token("ada", "planner"), {kChat});
  request.agent = "coder";
  EXPECT_EQ(decide(request).outcome, GateOutcome::agent_mismatch);
  EXPECT_EQ(left("chat", "user:ada"), 2);

  const Caller other = test::admin_of("globex");
  const auto verdict = test::run(gate_->decide(test::context_of(other), ask(request.token)));
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->outcome, GateOutcome::session_invalid);
  EXPECT_TRUE(verdict->principal.empty());
}

TEST_F(GateTest, NamesALimitThatHasNobodyToCount) {
  GateLimit by_route = kChat;
  by_route.by = LimitBy::route;

  const auto verdict = test::run(gate_->decide(context_, ask(new_token("ada"), {kChat, by_route})));

  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::invalid_argument);
  ASSERT_EQ(verdict.error().fields.size(), 1u);
  EXPECT_EQ(verdict.error().fields[0].location, "body.limits.1.by");
  EXPECT_EQ(left("chat", "user:ada"), 2);
}

TEST_F(GateTest, CountsAnIpv6NetworkAsOneAddress) {
  for (const char* address : {"2001:db8:0:1::1", "2001:DB8:0:1:ffff::2", "2001:db8:0:1::3"}) {
    GateRequest request = ask("rds_forged", {kKnock});
    request.address = address;
    EXPECT_EQ(decide(request).outcome, GateOutcome::session_invalid);
  }
  GateRequest again = ask("rds_forged", {kKnock});
  again.address = "2001:db8:0:1::4";
  EXPECT_EQ(decide(again).outcome, GateOutcome::limited);
  again.address = "2001:db8:0:2::4";
  EXPECT_EQ(decide(again).outcome, GateOutcome::session_invalid);
}

TEST_F(GateTest, CountsAnApiKeyAsItsOwnUser) {
  const GateVerdict verdict = decide(ask("", {kChat}));

  EXPECT_EQ(verdict.outcome, GateOutcome::allowed);
  EXPECT_EQ(verdict.principal, "key:test");
  EXPECT_FALSE(verdict.session);
  EXPECT_EQ(left("chat", "user:key:test"), 1);
}

TEST_F(GateTest, RefusesARevokedSessionAtOnce) {
  const GateRequest request = ask(new_token("ada"), {kChat});
  const GateVerdict first = decide(request);

  ASSERT_TRUE(test::run(sessions_->revoke(context_, first.session->session->id)));

  EXPECT_EQ(decide(request).outcome, GateOutcome::session_invalid);
}

}  // namespace
}  // namespace redoubt
