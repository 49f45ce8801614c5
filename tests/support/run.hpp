// Runs a coroutine to its end on an io_context of its own and returns its Result.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace redoubt::test {

template <class T>
boost::asio::awaitable<void> keep_result(Task<T> task, std::optional<Result<T>>& out) {
  out.emplace(co_await std::move(task));
}

// What became of a coroutine on a loop that somebody turns.
struct Spawned {
  bool over = false;
  std::exception_ptr thrown;
};
std::shared_ptr<const Spawned> spawn(boost::asio::io_context& io,
                                     boost::asio::awaitable<void> work);

// Until nothing is left to do there. Throws what the coroutine threw.
void drive(boost::asio::io_context& io, boost::asio::awaitable<void> work);

template <class T>
Result<T> run(boost::asio::io_context& io, Task<T> task) {
  std::optional<Result<T>> result;
  drive(io, keep_result<T>(std::move(task), result));
  return std::move(*result);
}

template <class T>
Result<T> run(Task<T> task) {
  boost::asio::io_context io;
  return run(io, std::move(task));
}

}  // namespace redoubt::test
