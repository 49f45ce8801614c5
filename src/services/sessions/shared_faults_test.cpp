// Sessions over a real Redis that is paused, killed, emptied, or has an old copy put back into it.
#include "services/sessions/copies.hpp"

#include "shared/monitor.hpp"
#include "tests/support/fake_timers.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

namespace redoubt::sessions {
namespace {

using namespace std::chrono_literals;
using test::RedisLoop;
using test::RedisServer;

class SharedFaultsTest : public test::SessionsFixture {
 protected:
  explicit SharedFaultsTest(Duration patience = Duration(200)) : patience_(patience) {}

  void SetUp() override {
    SessionsFixture::SetUp();
    redis::Options options = test::standalone(redis_.port());
    options.identity_key = shared::kIncarnationKey;
    options.timeouts.operation = patience_;
    options.backoff.max = Duration(100);
    watcher_ = loop_.client(options);
    monitor_ = std::make_unique<shared::Monitor>(
        shared::MonitorParts{*watcher_, ledger_, state_, loop_.clock, loop_.random, null_log(),
                             loop_.metrics},
        shared::MonitorOptions{"test", Duration(300'000)});
    ASSERT_TRUE(loop_.run(monitor_->start(Duration(5'000))));
    client_ = loop_.client(
        options, [this](const redis::ServerFacts& facts) { return monitor_->admit(facts); });
    copies_ = shared::make_redis_copies(*client_, state_, metrics_);
    const SessionCopiesParts copies{*copies_, state_,      changes_, *record_,
                                    vault_,   loop_.clock, metrics_};
    session_copies_ = std::make_unique<SessionCopies>(copies);
    SessionParts parts = this->parts(*record_);
    parts.copies = session_copies_.get();
    parts.timers = &timers();
    sessions_ = make_sessions(parts, without_memory());
    ASSERT_TRUE(loop_.run(client_->connected(Duration(5'000))));
  }

  void TearDown() override {
    sessions_.reset();
    client_->stop();
    watcher_->stop();
    SessionsFixture::TearDown();
  }

  void subscribe_first() override { record_->subscribe(listen_for_copies(changes_)); }

  IssuedSession make() {
    NewSession request;
    request.user = "alice";
    auto issued = loop_.run(sessions_->create(acme_, std::move(request)));
    EXPECT_TRUE(issued);
    return issued ? *issued : IssuedSession{};
  }
  bool good(const IssuedSession& issued) {
    const auto verified = loop_.run(sessions_->authenticate(issued.token));
    if (!verified) EXPECT_EQ(slug_of(verified.error()), "session_invalid");
    return verified.has_value();
  }
  void revoke(const IssuedSession& issued) {
    ASSERT_TRUE(loop_.run(sessions_->revoke(acme_, issued.session->id)));
  }
  void round() {
    static_cast<void>(loop_.run(monitor_->ask_record()));
    static_cast<void>(loop_.run(monitor_->run_once()));
  }
  virtual Timers& timers() { return *loop_.timers; }
  std::uint64_t from_copy() { return SessionMetrics(metrics_).from_copy.value(); }
  bool rounds_until(shared::Availability wanted) {
    return loop_.until(
        [&] {
          round();
          return state_.status().state == wanted;
        },
        20s);
  }
  std::string key_of(const IssuedSession& issued) {
    return "rd:" + std::to_string(state_.generation()) + ":{" + issued.session->id +
           "}:session:copy";
  }

  const Duration patience_;  // With one command.
  RedisServer redis_;
  RedisLoop loop_;
  test::MemoryLedger ledger_{"rec_test"};
  shared::SharedState state_{loop_.clock, loop_.metrics, {patience_, Duration(50)}};
  shared::Changes changes_{state_.eras()};
  std::unique_ptr<redis::Client> watcher_;
  std::unique_ptr<shared::Monitor> monitor_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::Copies> copies_;
  std::unique_ptr<SessionCopies> session_copies_;
};

TEST_F(SharedFaultsTest, ACopyInRedisAnswers) {
  const IssuedSession issued = make();
  EXPECT_TRUE(good(issued));
  EXPECT_EQ(from_copy(), 1U);
  EXPECT_EQ(redis_.cli("exists '" + key_of(issued) + "'"), "1\n");
}

TEST_F(SharedFaultsTest, APausedRedisHoldsUpAFewRequestsAndLosesNoSession) {
  const IssuedSession kept = make();
  const IssuedSession ended = make();
  redis_.pause();

  EXPECT_TRUE(good(kept));
  revoke(ended);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(good(kept));
  EXPECT_EQ(state_.status().state, shared::Availability::away);
  const BootTime began = loop_.clock.boot();
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(good(kept));
  // Each would have waited for as long as a Redis under suspicion is waited for.
  EXPECT_LT(loop_.clock.boot() - began, 200 * 50ms) << "nobody waits for a Redis that is away";
  EXPECT_FALSE(good(ended));

  redis_.resume();
  ASSERT_TRUE(rounds_until(shared::Availability::normal));
  EXPECT_FALSE(good(ended)) << "its copy is still there";
  EXPECT_TRUE(good(kept));
}

TEST_F(SharedFaultsTest, AKilledRedisLosesNoSessionAndBringsNoneBack) {
  const IssuedSession kept = make();
  const IssuedSession ended = make();
  redis_.cli("save");
  revoke(ended);

  redis_.restart();  // With what it had before the revocation.

  EXPECT_TRUE(good(kept));
  EXPECT_FALSE(good(ended));
  ASSERT_TRUE(loop_.until(
      [&] {
        round();
        return state_.generation() == 2 && state_.usable();
      },
      20s));
  EXPECT_NE(redis_.cli("keys 'rd:1:*'"), "\n") << "the snapshot was loaded";
  EXPECT_FALSE(good(ended));
  EXPECT_TRUE(good(kept));
}

TEST_F(SharedFaultsTest, AnEmptiedRedisLosesNoSession) {
  const IssuedSession issued = make();
  redis_.cli("flushall");
  EXPECT_TRUE(good(issued));
  EXPECT_EQ(from_copy(), 0U);
  ASSERT_TRUE(loop_.until(
      [&] {
        round();
        return state_.generation() == 2 && state_.usable();
      },
      20s));
  // Copies are read again little by little.
  EXPECT_TRUE(loop_.until(
      [&] {
        round();
        EXPECT_TRUE(good(issued));
        return from_copy() >= 1;
      },
      20s));
}

TEST_F(SharedFaultsTest, AnOldCopyPutBackByHandIsRefused) {
  const IssuedSession ended = make();
  const IssuedSession changed = make();
  redis_.cli("copy '" + key_of(ended) + "' saved:ended");
  redis_.cli("copy '" + key_of(changed) + "' saved:changed");
  revoke(ended);
  ASSERT_TRUE(loop_.run(sessions_->update(acme_, changed.session->id, R"({"n":2})", {})));
  ASSERT_EQ(redis_.cli("copy saved:ended '" + key_of(ended) + "' replace"), "1\n");
  ASSERT_EQ(redis_.cli("copy saved:changed '" + key_of(changed) + "' replace"), "1\n");

  EXPECT_FALSE(good(ended));
  const auto verified = loop_.run(sessions_->authenticate(changed.token));
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->session->data, R"({"n":2})");
}

// Nothing fails here, so that a machine that is slow must not look like it.
class SharedCopiesTest : public SharedFaultsTest {
 protected:
  SharedCopiesTest() : SharedFaultsTest(Duration(60'000)) {}

  Timers& timers() override { return patient_; }

  ManualClock still_;
  test::FakeTimers patient_{loop_.io, still_};
};

TEST_F(SharedCopiesTest, ManyWhoWantOneSessionReadItOnce) {
  const IssuedSession issued = make();
  redis_.cli("del '" + key_of(issued) + "'");
  int answered = 0;
  for (int i = 0; i < 20; ++i) {
    boost::asio::co_spawn(loop_.io, sessions_->authenticate(issued.token),
                          [&answered](std::exception_ptr, const Result<VerifiedSession>& verified) {
                            EXPECT_TRUE(verified);
                            ++answered;
                          });
  }
  EXPECT_TRUE(loop_.until([&] { return answered == 20; }));
  EXPECT_EQ(record_lookups(), 1U);
  EXPECT_EQ(from_copy(), 19U);
}

}  // namespace
}  // namespace redoubt::sessions
