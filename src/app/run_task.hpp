// Runs one coroutine to its end on an io_context that nobody else runs: for start-up.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>

namespace redoubt::app {

namespace detail {
template <class T>
boost::asio::awaitable<void> keep(Task<T> task, std::optional<Result<T>>& out) {
  out.emplace(co_await std::move(task));
}
}  // namespace detail

template <class T>
Result<T> run_task(boost::asio::io_context& io, Task<T> task) {
  std::optional<Result<T>> result;
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, detail::keep<T>(std::move(task), result),
                        [&thrown](std::exception_ptr e) { thrown = e; });
  // Not until the loop is empty: what was started on it may go on for as long as the process.
  io.restart();
  while (!result && !thrown && io.run_one() > 0) {
  }
  if (result) return std::move(*result);
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return fail(internal(e.what()));
  }
}

}  // namespace redoubt::app
