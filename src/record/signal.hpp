// Wakes coroutines of one executor that wait for something to change. Threads: the executor's.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <redoubt/clock.hpp>

#include <exception>

namespace redoubt::record {

class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& executor) : timer_(executor) { rest(); }

  // Until the next notify. Look first, then wait: between the two nothing else runs.
  boost::asio::awaitable<void> wait() {
    co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

  void notify_one() { timer_.cancel_one(); }
  void notify_all() { rest(); }  // Whoever waits on the old expiry is woken.

 private:
  void rest() { timer_.expires_at(boost::asio::steady_timer::time_point::max()); }

  boost::asio::steady_timer timer_;
};

// For coroutines of the record's thread, which stop() waits for: they answer their callers by
// themselves and throw nothing but what ends the process anyway.
inline void surely(std::exception_ptr thrown) {
  if (thrown) std::terminate();
}

// Waits for `limit`, or until `alarm` is cancelled.
inline boost::asio::awaitable<void> pause(boost::asio::steady_timer& alarm, Duration limit) {
  alarm.expires_after(limit);
  co_await alarm.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace redoubt::record
