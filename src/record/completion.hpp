// Answers to callers that live elsewhere.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <utility>

namespace redoubt::record {

// The handler, wherever its caller lives: posted to its executor, which is kept running until then.
template <class Handler>
std::move_only_function<void(Result<void>)> completion_of(Handler handler) {
  namespace asio = boost::asio;
  auto executor = asio::get_associated_executor(handler);
  return [handler = std::move(handler),
          guard = asio::make_work_guard(executor)](Result<void> result) mutable {
    const auto home = guard.get_executor();
    asio::post(home, [handler = std::move(handler), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    });
  };
}

}  // namespace redoubt::record
