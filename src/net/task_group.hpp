// Coroutines with an owner: each is named, cancelled on demand, and waited for. What it would have
// thrown is logged under its name instead.
//
// Threads: one executor.
#pragma once

#include "base/log.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <functional>
#include <list>
#include <string>

namespace redoubt::net {

class TaskGroup {
 public:
  TaskGroup(boost::asio::any_io_executor executor, Log& log);
  ~TaskGroup();  // REQUIRES: idle().

  void spawn(std::string name, boost::asio::awaitable<void> task);

  // Runs `work` every `interval`, the first time after one. An error is logged, the same one
  // at most once a minute, and the next round tries again; the work decides what one round is.
  void repeat(std::string name, Duration interval, std::function<Task<void>()> work);

  // Asks every task to end; they do at their next wait.
  void cancel();
  bool idle() const { return tasks_.empty(); }

 private:
  struct Running {
    std::string name;
    boost::asio::cancellation_signal signal;
  };
  boost::asio::any_io_executor executor_;
  Log& log_;
  std::list<Running> tasks_;
};

}  // namespace redoubt::net
