#include "base/timers.hpp"

#include "base/clock.hpp"
#include "tests/support/run.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <optional>
#include <thread>

namespace redoubt {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr Duration kForever = Duration::max();

// An exception in a coroutine ends the test, not only the coroutine.
constexpr auto kRethrow = [](std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
};

class TimersTest : public ::testing::Test {
 protected:
  // Starts to wait; `result` is there when the wait ended.
  void start_wait(Duration limit, std::optional<bool>& result) {
    asio::co_spawn(io_, wait(alarm_, limit, result), kRethrow);
  }

  static asio::awaitable<void> wait(std::shared_ptr<Alarm> alarm, Duration limit,
                                    std::optional<bool>& result) {
    const bool rung = co_await alarm->wait(limit);
    result = rung;
  }

  asio::io_context io_;
  std::unique_ptr<Timers> timers_ = make_timers(io_.get_executor());
  std::shared_ptr<Alarm> alarm_ = timers_->alarm();
};

TEST_F(TimersTest, ARingBeforeTheWaitEndsItAtOnce) {
  std::optional<bool> result;
  alarm_->ring();
  start_wait(kForever, result);

  io_.run();

  EXPECT_EQ(result, true);
}

TEST_F(TimersTest, ARingDuringTheWaitEndsIt) {
  std::optional<bool> result;
  start_wait(kForever, result);
  asio::post(io_, [this] { alarm_->ring(); });

  io_.run();

  EXPECT_EQ(result, true);
}

TEST_F(TimersTest, WithoutARingTheLimitEndsIt) {
  std::optional<bool> result;
  start_wait(1ms, result);

  io_.run();

  EXPECT_EQ(result, false);
}

TEST_F(TimersTest, AWaitOfZeroTellsWhetherItHasRung) {
  std::optional<bool> first;
  std::optional<bool> second;
  alarm_->ring();
  start_wait(0ms, first);
  io_.run();
  io_.restart();
  start_wait(0ms, second);
  io_.run();

  EXPECT_EQ(first, true);
  EXPECT_EQ(second, false);
}

TEST_F(TimersTest, ManyRingsAreOne) {
  std::optional<bool> first;
  std::optional<bool> second;
  for (int i = 0; i < 5; ++i) alarm_->ring();
  start_wait(kForever, first);
  io_.run();
  io_.restart();
  start_wait(1ms, second);
  io_.run();

  EXPECT_EQ(first, true);
  EXPECT_EQ(second, false);
}

TEST_F(TimersTest, TheEchoOfATakenRingDoesNotEndTheNextWaitEarly) {
  // The first wait takes the ring before the executor has run what ring() posted; the second is
  // waiting when that runs.
  std::optional<bool> first;
  std::optional<bool> second;
  start_wait(kForever, first);
  start_wait(kForever, second);
  alarm_->ring();
  while (io_.poll_one() > 0) {
  }

  EXPECT_EQ(first, true);
  EXPECT_FALSE(second.has_value());

  alarm_->ring();
  while (io_.poll_one() > 0) {
  }
  EXPECT_EQ(second, true);
}

TEST_F(TimersTest, EveryRingFromAnotherThreadIsHeard) {
  constexpr int kRings = 2000;
  std::atomic<int> heard{0};
  const auto listen = [](std::shared_ptr<Alarm> alarm,
                         std::atomic<int>& count) -> asio::awaitable<void> {
    while (count < kRings) {
      const bool rung = co_await alarm->wait(kForever);
      if (rung) ++count;
    }
  };
  asio::co_spawn(io_, listen(alarm_, heard), kRethrow);
  std::thread ringer([&] {
    for (int i = 0; i < kRings; ++i) {
      alarm_->ring();
      while (heard <= i) std::this_thread::yield();
    }
  });

  io_.run();
  ringer.join();

  EXPECT_EQ(heard, kRings);
}

TEST_F(TimersTest, CancellationEndsAWait) {
  std::optional<bool> result;
  asio::cancellation_signal cancel;
  bool done = false;
  asio::co_spawn(
      io_, wait(alarm_, kForever, result),
      asio::bind_cancellation_slot(cancel.slot(), [&done](std::exception_ptr) { done = true; }));
  asio::post(io_, [&cancel] { cancel.emit(asio::cancellation_type::terminal); });

  io_.run();

  EXPECT_TRUE(done);
  EXPECT_NE(result, true);
}

TEST_F(TimersTest, SleepLastsAtLeastItsDuration) {
  const SystemClock clock;
  const BootTime start = clock.boot();
  asio::co_spawn(io_, timers_->sleep(5ms), kRethrow);

  io_.run();

  EXPECT_GE(clock.boot() - start, 5ms);
}

TEST_F(TimersTest, SleepOfNoTimeOrLessReturns) {
  asio::co_spawn(io_, timers_->sleep(0ms), kRethrow);
  asio::co_spawn(io_, timers_->sleep(Duration::min()), kRethrow);

  EXPECT_GT(io_.run(), 0u);
}

}  // namespace
}  // namespace redoubt
