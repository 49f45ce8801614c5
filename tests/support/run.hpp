// Runs a coroutine to its end on an io_context of its own and returns its Result.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace redoubt::test {

template <class T>
boost::asio::awaitable<void> keep_result(Task<T> task, std::optional<Result<T>>& out) {
  out.emplace(co_await std::move(task));
}

template <class T>
Result<T> run(boost::asio::io_context& io, Task<T> task) {
  std::optional<Result<T>> result;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, keep_result<T>(std::move(task), result),
                        [&thrown](std::exception_ptr e) { thrown = e; });
  io.restart();
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*result);
}

template <class T>
Result<T> run(Task<T> task) {
  boost::asio::io_context io;
  return run(io, std::move(task));
}

}  // namespace redoubt::test
