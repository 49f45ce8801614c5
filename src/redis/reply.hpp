// How a coroutine waits for replies without a heap allocation of its own: the place the reply goes
// to lives in the coroutine's frame, and the connection keeps a pointer to it until it has
// answered.
//
// Threads: one executor. Whoever completes a wait resumes the coroutine at once, on its own stack.
#pragma once

#include "base/completion.hpp"
#include "wire/resp.hpp"

#include <redoubt/result.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace redoubt::redis {

using wire::resp::Value;

// Takes the replies of what was submitted: each index exactly once.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void on_reply(std::size_t index, Result<Value> reply) = 0;
};

// The reply of one command.
class Call final : public ReplySink {
 public:
  void on_reply(std::size_t, Result<Value> arrived) override {
    reply = std::move(arrived);
    done_ = true;
    completion_.complete();
  }
  bool done() const { return done_; }
  auto wait() { return completion_.wait(); }  // REQUIRES: !done()

  Result<Value> reply;

 private:
  Completion completion_;
  bool done_ = false;
};

// The replies of several.
class Calls final : public ReplySink {
 public:
  explicit Calls(std::size_t count) : replies(count), left_(count) {}

  void on_reply(std::size_t index, Result<Value> arrived) override {
    replies[index] = std::move(arrived);
    if (--left_ == 0) completion_.complete();
  }
  bool done() const { return left_ == 0; }
  auto wait() { return completion_.wait(); }  // REQUIRES: !done()

  std::vector<Result<Value>> replies;

 private:
  std::size_t left_;
  Completion completion_;
};

}  // namespace redoubt::redis
