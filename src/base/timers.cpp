#include "base/timers.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

namespace redoubt {
namespace {

namespace asio = boost::asio;

// Longer waits would overflow the timer's nanoseconds when added to now.
constexpr Duration kWaitMax = std::chrono::hours(24 * 365);

constexpr auto kAwaitTuple = asio::as_tuple(asio::use_awaitable);

class SteadyAlarm final : public Alarm, public std::enable_shared_from_this<SteadyAlarm> {
 public:
  explicit SteadyAlarm(const asio::any_io_executor& executor) : timer_(executor) {}

  asio::awaitable<bool> wait(Duration limit) override {
    const auto self = shared_from_this();
    timer_.expires_after(std::clamp(limit, Duration(0), kWaitMax));
    while (!rung_.exchange(false)) {
      const auto [error] = co_await timer_.async_wait(kAwaitTuple);
      const bool passed = !error;
      if (passed) co_return rung_.exchange(false);
      const auto cancellation = co_await asio::this_coro::cancellation_state;
      if (cancellation.cancelled() != asio::cancellation_type::none) co_return false;
      // Otherwise a ring ended it; or the echo of one that an earlier wait has already taken, and
      // then the same limit still holds.
    }
    co_return true;
  }

  void ring() override {
    if (rung_.exchange(true)) return;
    // The timer belongs to the executor. If the ring comes between the waiter's look at rung_ and
    // its suspension, this runs after the suspension, because both run there.
    asio::post(timer_.get_executor(), [self = shared_from_this()] { self->timer_.cancel(); });
  }

 private:
  asio::steady_timer timer_;
  std::atomic<bool> rung_{false};
};

class SteadyTimers final : public Timers {
 public:
  explicit SteadyTimers(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  asio::awaitable<void> sleep(Duration duration) override {
    asio::steady_timer timer(executor_);
    timer.expires_after(std::clamp(duration, Duration(0), kWaitMax));
    // A cancelled sleep just ends: the caller's next co_await sees the cancellation.
    co_await timer.async_wait(kAwaitTuple);
  }

  std::shared_ptr<Alarm> alarm() override { return std::make_shared<SteadyAlarm>(executor_); }

 private:
  asio::any_io_executor executor_;
};

}  // namespace

std::unique_ptr<Timers> make_timers(asio::any_io_executor executor) {
  return std::make_unique<SteadyTimers>(std::move(executor));
}

}  // namespace redoubt
