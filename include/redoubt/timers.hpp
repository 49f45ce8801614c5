// Waiting, behind an interface, so that the simulator's time is the only time there is in a test.
#pragma once

#include <redoubt/clock.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace redoubt {

// Something one coroutine waits for and any thread may ring. Rings are remembered: a ring before
// the wait ends the wait at once. One waiter at a time.
class Alarm {
 public:
  virtual ~Alarm() = default;

  // True when rung, false when `limit` passed first.
  virtual boost::asio::awaitable<bool> wait(Duration limit) = 0;

  // Any thread. Idempotent until the next wait.
  virtual void ring() = 0;
};

class Timers {
 public:
  virtual ~Timers() = default;

  virtual boost::asio::awaitable<void> sleep(Duration duration) = 0;

  // An alarm whose waiter runs on this Timers' executor.
  virtual std::shared_ptr<Alarm> alarm() = 0;
};

}  // namespace redoubt
