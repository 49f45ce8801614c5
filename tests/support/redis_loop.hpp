// An event loop with a Redis client on it, for tests: runs a coroutine to its end while everything
// else on the loop goes on, in real time.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/timers.hpp"
#include "redis/client.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace redoubt::test {

class RedisLoop {
 public:
  boost::asio::io_context io{1};
  SystemClock clock;
  SystemRandom random;
  Metrics metrics;
  std::unique_ptr<Timers> timers = make_timers(io.get_executor());

  redis::ClientParts parts() { return {clock, *timers, random, null_log(), metrics, {}}; }

  std::unique_ptr<redis::Client> client(const redis::Options& options,
                                        redis::Admission admission = {}) {
    redis::ClientParts with = parts();
    with.admission = std::move(admission);
    auto made = redis::make_client(io.get_executor(), options, with);
    if (!made) throw std::runtime_error(made.error().message);
    return std::move(*made);
  }

  // The loop runs until the coroutine is over, at most `limit`.
  template <class T>
  T run(boost::asio::awaitable<T> task, std::chrono::seconds limit = std::chrono::seconds(30)) {
    const auto result = std::make_shared<std::optional<T>>();
    const auto spawned = spawn(io, keep<T>(std::move(task), result));
    if (!until([&] { return spawned->over; }, limit)) {
      throw std::runtime_error("the coroutine does not end");
    }
    if (spawned->thrown) std::rethrow_exception(spawned->thrown);
    return std::move(**result);
  }

  // False: `done` never held.
  bool until(const std::function<bool()>& done,
             std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const BootTime end = clock.boot() + limit;
    io.restart();
    while (!done()) {
      if (clock.boot() >= end) return false;
      io.run_one_for(std::chrono::milliseconds(5));
      io.restart();
    }
    return true;
  }
  void pass(std::chrono::milliseconds duration) {
    until([] { return false; }, duration);
  }

 private:
  // `out` outlives a coroutine that does not end in time.
  template <class T>
  static boost::asio::awaitable<void> keep(boost::asio::awaitable<T> task,
                                           std::shared_ptr<std::optional<T>> out) {
    out->emplace(co_await std::move(task));
  }
};

inline redis::Options standalone(std::uint16_t port) {
  redis::Options options;
  options.topology = redis::Standalone{{.host = "127.0.0.1", .port = port, .socket_path = {}}};
  // A loaded machine is no failure, unless a test is about deadlines.
  options.timeouts.operation = Duration(2000);
  options.timeouts.connect = Duration(2000);
  options.timeouts.silence = Duration(5000);
  return options;
}

}  // namespace redoubt::test
