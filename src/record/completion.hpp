// Answers to callers that live elsewhere.
#pragma once

#include <redoubt/result.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <utility>
#include <vector>

namespace redoubt::record {

// A caller that waits: what it goes on with, and where, which is kept running until then.
class Completion {
 public:
  Completion() = default;
  template <class Handler>
  explicit Completion(Handler handler)
      : home_(boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                  boost::asio::execution::outstanding_work.tracked)),
        go_on_(std::move(handler)) {}

  const boost::asio::any_io_executor& home() const { return home_; }

  // Where the caller lives.
  void go_on(Result<void> result) { std::exchange(go_on_, nullptr)(std::move(result)); }

 private:
  boost::asio::any_io_executor home_;
  std::move_only_function<void(Result<void>)> go_on_;
};

struct Completed {
  Completion caller;
  Result<void> result;
};

// Every caller goes on where it lives, in the order given; those that live in one place are told
// together, which wakes it once.
void complete(std::vector<Completed> completed);

// One caller alone.
template <class Handler>
std::move_only_function<void(Result<void>)> completion_of(Handler handler) {
  return [caller = Completion(std::move(handler))](Result<void> result) mutable {
    std::vector<Completed> completed;
    completed.push_back({std::move(caller), std::move(result)});
    complete(std::move(completed));
  };
}

}  // namespace redoubt::record
