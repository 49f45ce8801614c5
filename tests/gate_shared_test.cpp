// The gate where sessions have copies in a real Redis, limits their memory there, and the worker
// keeps nothing: what leaves in one trip, and what a refusal charges all the same.
#include "services/gate/service.hpp"

#include "local/limit_engine.hpp"
#include "services/limits/service.hpp"
#include "services/sessions/copies.hpp"
#include "shared/limits.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace redoubt {
namespace {

using test::RedisLoop;
using test::RedisServer;

constexpr std::int64_t kBurst = 12;  // A minute apart: nothing comes back while a test runs.

GateLimit limit_by(LimitBy by, std::string policy = "calls", std::string subject = "") {
  return {.policy = std::move(policy), .by = by, .subject = std::move(subject), .cost = 1};
}

class SharedGateTest : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    client_ = loop_.client(test::standalone(redis_.port()));
    ASSERT_TRUE(loop_.run(client_->connected(Duration(5'000))));
    poll();
    ++era_;
    poll();
    state_.canary_answered(true, {});
    make_sessions();
    make_limits();
    gate_ = gate::make_gate(*sessions_, *limits_);
  }

  void make_sessions() {
    copies_ = shared::make_redis_copies(*client_, state_, metrics_);
    const sessions::SessionCopiesParts copies{*copies_, state_,      changes_, *record_,
                                              vault_,   loop_.clock, metrics_};
    session_copies_ = std::make_unique<sessions::SessionCopies>(copies);
    sessions::SessionParts parts = this->parts(*record_);
    parts.copies = session_copies_.get();
    parts.timers = loop_.timers.get();
    sessions_ = sessions::make_sessions(parts, without_memory());
  }

  void make_limits() {
    shared_limits_ = shared::make_shared_limits({*client_, state_, loop_.clock});
    std::vector<LimitPolicy> policies(3);
    policies[0] = {.name = "calls", .limit = 1, .period = Duration(60'000), .burst = kBurst};
    policies[1] = {.name = "wide", .limit = 1'000, .period = Duration(1'000), .burst = 1'000'000};
    policies[2] = {.name = "window",
                   .algorithm = LimitAlgorithm::fixed_window,
                   .limit = kBurst,
                   .period = Duration(std::chrono::hours(24))};
    auto limits = limits::make_limits(engine_, *record_, loop_.clock, policies, metrics_,
                                      {.limits = shared_limits_.get()});
    ASSERT_TRUE(limits) << limits.error().message;
    limits_ = std::move(*limits);
  }

  void TearDown() override {
    gate_.reset();
    limits_.reset();
    sessions_.reset();
    client_->stop();
    SessionsFixture::TearDown();
  }

  void subscribe_first() override { record_->subscribe(sessions::listen_for_copies(changes_)); }
  void poll() {
    shared::Eras& eras = state_.eras();
    eras.poll_ended(eras.poll_begins(), era_);
    state_.learned(1, loop_.clock.boot());
  }

  IssuedSession make(std::string user, std::string agent = "") {
    poll();
    NewSession request;
    request.user = std::move(user);
    request.agent = std::move(agent);
    auto issued = loop_.run(sessions_->create(context_, std::move(request)));
    EXPECT_TRUE(issued);
    return *issued;
  }
  IssuedSession make_ended(std::string user) {
    IssuedSession issued = make(std::move(user));
    EXPECT_TRUE(loop_.run(sessions_->revoke(context_, issued.session->id)));
    return issued;
  }

  static GateRequest ask(std::string token, std::vector<GateLimit> limits) {
    GateRequest request;
    request.token = std::move(token);
    request.address = "10.0.0.1";
    request.route = "chat";
    request.limits = std::move(limits);
    return request;
  }
  GateOutcome decide(GateRequest request) {
    poll();
    auto verdict = loop_.run(gate_->decide(context_, std::move(request)));
    EXPECT_TRUE(verdict) << verdict.error().message;
    return verdict ? verdict->outcome : GateOutcome::limited;
  }
  // All at once.
  std::vector<GateOutcome> decide(const std::vector<GateRequest>& requests) {
    poll();
    std::vector<GateOutcome> outcomes(requests.size());
    std::size_t done = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const auto keep = [&, i](std::exception_ptr thrown, Result<GateVerdict> verdict) {
        EXPECT_FALSE(thrown);
        EXPECT_TRUE(verdict);
        if (verdict) outcomes[i] = verdict->outcome;
        ++done;
      };
      boost::asio::co_spawn(loop_.io, gate_->decide(context_, requests[i]), keep);
    }
    EXPECT_TRUE(loop_.until([&] { return done == requests.size(); }));
    return outcomes;
  }

  std::int64_t left(std::string_view policy, std::string_view subject) {
    poll();
    const std::array checks{LimitCheck{.policy = policy, .subject = subject}};
    auto decision = loop_.run(limits_->peek(context_, checks));
    EXPECT_TRUE(decision);
    EXPECT_FALSE(decision->degraded);
    return decision->states[0].remaining;
  }
  std::int64_t counted(const std::string& section, const std::string& name) {
    const std::string info = redis_.cli("info " + section);
    const std::size_t at = info.find(name);
    return at == std::string::npos ? 0 : std::stoll(info.substr(at + name.size()));
  }

  RedisServer redis_;
  RedisLoop loop_;
  const Caller caller_ = test::admin_of("acme");
  const Context context_ = test::context_of(caller_);
  shared::SharedState state_{loop_.clock, loop_.metrics, {Duration(5'000), Duration(5'000)}};
  shared::Changes changes_{state_.eras()};
  local::LimitEngine engine_{loop_.clock, random_, {}, metrics_};
  std::int64_t era_ = 0;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::Copies> copies_;
  std::unique_ptr<sessions::SessionCopies> session_copies_;
  std::unique_ptr<shared::SharedLimits> shared_limits_;
  std::unique_ptr<Limits> limits_;
  std::unique_ptr<Gate> gate_;
};

const std::vector<GateLimit> kThree{limit_by(LimitBy::tenant, "wide"),
                                    limit_by(LimitBy::route, "wide"),
                                    limit_by(LimitBy::address, "wide")};

TEST_F(SharedGateTest, AsksForTheSessionAndItsLimitsInOneTrip) {
  const IssuedSession session = make("ada");
  decide(ask(session.token, kThree));  // The script is known from now on.
  redis_.pause();
  bool done = false;
  const auto keep = [&](std::exception_ptr, Result<GateVerdict> verdict) {
    EXPECT_TRUE(verdict);
    EXPECT_EQ(verdict->outcome, GateOutcome::allowed);
    done = true;
  };
  const std::uint64_t before = client_->status().sent;
  boost::asio::co_spawn(loop_.io, gate_->decide(context_, ask(session.token, kThree)), keep);
  loop_.pass(std::chrono::milliseconds(50));

  EXPECT_EQ(client_->status().sent - before, 2U) << "both, though neither was answered";
  EXPECT_FALSE(done);
  redis_.resume();
  EXPECT_TRUE(loop_.until([&] { return done; }));
}

TEST_F(SharedGateTest, SendsManyGatesInFewWrites) {
  constexpr std::int64_t kGates = 64;
  std::vector<GateRequest> requests;
  for (int i = 0; i < kGates; ++i) requests.push_back(ask(make("u").token, kThree));
  decide(requests);
  const std::int64_t reads = counted("stats", "total_reads_processed:");
  const std::int64_t gets = counted("commandstats", "cmdstat_get:calls=");
  const std::int64_t scripts = counted("commandstats", "cmdstat_evalsha:calls=");

  for (const GateOutcome outcome : decide(requests)) EXPECT_EQ(outcome, GateOutcome::allowed);

  EXPECT_EQ(counted("commandstats", "cmdstat_evalsha:calls=") - scripts, kGates);
  EXPECT_EQ(counted("commandstats", "cmdstat_get:calls=") - gets, kGates * 4)
      << "a session's, and the script's one for each limit";
  EXPECT_LT(counted("stats", "total_reads_processed:") - reads, kGates);
}

TEST_F(SharedGateTest, ARefusedSessionChargesItsAddressAlone) {
  const IssuedSession ended = make_ended("ada");
  const std::vector<GateLimit> limits{limit_by(LimitBy::route), limit_by(LimitBy::address),
                                      limit_by(LimitBy::subject, "calls", "model:large")};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(decide(ask(ended.token, limits)), GateOutcome::session_invalid);
  }
  EXPECT_EQ(left("calls", "route:chat"), kBurst);
  EXPECT_EQ(left("calls", "subject:model:large"), kBurst);
  EXPECT_EQ(left("calls", "address:10.0.0.1"), kBurst - 3);
}

TEST_F(SharedGateTest, AnotherAgentChargesNothing) {
  const IssuedSession session = make("ada", "planner");
  GateRequest request = ask(session.token, {limit_by(LimitBy::agent), limit_by(LimitBy::route)});
  request.agent = "coder";
  EXPECT_EQ(decide(request), GateOutcome::agent_mismatch);
  EXPECT_EQ(left("calls", "agent:coder"), kBurst);
  EXPECT_EQ(left("calls", "route:chat"), kBurst);
  request.agent = "planner";
  EXPECT_EQ(decide(request), GateOutcome::allowed);
  EXPECT_EQ(left("calls", "agent:planner"), kBurst - 1);
}

TEST_F(SharedGateTest, AForgedTokenIsRefusedBeforeAnythingIsAsked) {
  std::string forged = make("ada").token;
  forged[10] = forged[10] == 'a' ? 'b' : 'a';
  const std::uint64_t before = client_->status().sent;
  EXPECT_EQ(decide(ask(forged, {limit_by(LimitBy::route)})), GateOutcome::session_invalid);
  EXPECT_EQ(client_->status().sent, before);
}

// What only the session names, and what cannot be withdrawn exactly, is asked after it.
TEST_F(SharedGateTest, WaitsForTheSessionWhereItMust) {
  const IssuedSession session = make("ada");
  for (const GateLimit& limit : {limit_by(LimitBy::user), limit_by(LimitBy::session),
                                 limit_by(LimitBy::agent), limit_by(LimitBy::route, "window")}) {
    if (limit.by == LimitBy::agent) continue;  // This session has none to count by.
    EXPECT_EQ(decide(ask(session.token, {limit})), GateOutcome::allowed);
  }
  const IssuedSession ended = make_ended("bob");
  EXPECT_EQ(decide(ask(ended.token, {limit_by(LimitBy::route, "window")})),
            GateOutcome::session_invalid);
  EXPECT_EQ(left("calls", "user:ada"), kBurst - 1);
  EXPECT_EQ(left("window", "route:chat"), kBurst - 1);
}

// Good, ended and misused sessions in any order, several at once: each limit has been charged for
// what was admitted, and for nothing else.
TEST_F(SharedGateTest, WhatIsRefusedChargesNothingInAnyHistory) {
  SeededRandom random(7);
  std::vector<IssuedSession> good, ended;
  for (int i = 0; i < 4; ++i) good.push_back(make("u" + std::to_string(i), "planner"));
  for (int i = 0; i < 4; ++i) ended.push_back(make_ended("e" + std::to_string(i)));
  std::map<std::string, std::int64_t> charged;
  int admitted = 0, refused = 0, limited = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<GateRequest> requests;
    for (std::uint64_t n = 1 + random.below(8); n > 0; --n) {
      const bool is_good = random.below(2) == 0;
      const auto& session = (is_good ? good : ended)[random.below(4)];
      GateRequest request =
          ask(session.token, {limit_by(LimitBy::route), limit_by(LimitBy::subject, "calls", "s")});
      request.route = fmt::format("r{}", random.below(6));
      request.limits[1].subject = fmt::format("s{}", random.below(6));
      if (random.below(4) == 0) request.agent = "coder";
      if (random.below(3) == 0) request.limits.pop_back();
      requests.push_back(std::move(request));
    }
    const auto outcomes = decide(requests);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (outcomes[i] == GateOutcome::limited) ++limited;
      if (outcomes[i] != GateOutcome::allowed) {
        ++refused;
        continue;
      }
      ++admitted;
      ++charged["route:" + requests[i].route];
      if (requests[i].limits.size() > 1) ++charged["subject:" + requests[i].limits[1].subject];
    }
    for (const auto& [subject, count] : charged) {
      ASSERT_EQ(left("calls", subject), kBurst - count) << subject << " in round " << round;
    }
  }
  EXPECT_GT(admitted, 30);
  EXPECT_GT(refused, 100);
  EXPECT_GT(limited, 5);
}

}  // namespace
}  // namespace redoubt
