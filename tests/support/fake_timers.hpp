// Timers over a ManualClock: time passes when a test says so, and whoever's time has come runs
// then.
//
//   FakeTimers timers(io, clock);
//   timers.run();            // Runs what is ready.
//   timers.advance(5s);      // Moves the clock from due time to due time, running what becomes
//   ready.
//
// Threads: the test's; alarms may be rung from any.
#pragma once

#include "base/clock.hpp"

#include <redoubt/timers.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

namespace redoubt::test {

class FakeTimers final : public Timers {
 public:
  FakeTimers(boost::asio::io_context& io, ManualClock& clock) : io_(io), clock_(clock) {}

  boost::asio::awaitable<void> sleep(Duration duration) override {
    const auto alarm = this->alarm();
    co_await alarm->wait(duration);
  }

  std::shared_ptr<Alarm> alarm() override {
    auto alarm = std::make_shared<FakeAlarm>(io_, clock_);
    alarms_.push_back(alarm);
    return alarm;
  }

  void run() {
    io_.restart();
    io_.poll();
  }

  void advance(std::chrono::nanoseconds duration) {
    const BootTime end = clock_.boot() + duration;
    while (true) {
      const BootTime due = std::min(end, next_due());
      if (due > clock_.boot()) clock_.advance(due - clock_.boot());
      fire();
      run();
      if (clock_.boot() >= end && next_due() > end) return;
    }
  }

 private:
  class FakeAlarm final : public Alarm, public std::enable_shared_from_this<FakeAlarm> {
   public:
    FakeAlarm(boost::asio::io_context& io, ManualClock& clock) : timer_(io), clock_(clock) {}

    boost::asio::awaitable<bool> wait(Duration limit) override {
      const auto self = shared_from_this();
      due_ = clock_.boot() + limit;
      while (!rung_.exchange(false)) {
        if (clock_.boot() >= due_) {
          due_ = kNever;
          co_return false;
        }
        timer_.expires_at(boost::asio::steady_timer::time_point::max());
        constexpr auto kToken = boost::asio::as_tuple(boost::asio::use_awaitable);
        co_await timer_.async_wait(kToken);
      }
      due_ = kNever;
      co_return true;
    }

    void ring() override {
      if (rung_.exchange(true)) return;
      wake();
    }

    void wake() {
      boost::asio::post(timer_.get_executor(),
                        [self = shared_from_this()] { self->timer_.cancel(); });
    }
    BootTime due() const { return due_; }

   private:
    boost::asio::steady_timer timer_;
    ManualClock& clock_;
    BootTime due_ = kNever;
    std::atomic<bool> rung_{false};
  };

  static constexpr BootTime kNever{INT64_MAX};

  BootTime next_due() {
    std::erase_if(alarms_, [](const auto& alarm) { return alarm.expired(); });
    BootTime next = kNever;
    for (const auto& weak : alarms_) {
      if (const auto alarm = weak.lock()) next = std::min(next, alarm->due());
    }
    return next;
  }

  void fire() {
    for (const auto& weak : alarms_) {
      const auto alarm = weak.lock();
      if (alarm && alarm->due() <= clock_.boot()) alarm->wake();
    }
  }

  boost::asio::io_context& io_;
  ManualClock& clock_;
  std::vector<std::weak_ptr<FakeAlarm>> alarms_;
};

}  // namespace redoubt::test
