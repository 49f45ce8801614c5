// How a coroutine waits for replies without a heap allocation of its own: the place the reply goes
// to lives in the coroutine's frame, and the connection keeps a pointer to it until it has
// answered.
//
// Threads: one executor. Whoever completes a wait resumes the coroutine at once, on its own stack.
#pragma once

#include "base/assert.hpp"
#include "wire/resp.hpp"

#include <redoubt/result.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <cstddef>
#include <new>
#include <type_traits>
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

// One coroutine waiting for one event.
class Completion {
 public:
  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  ~Completion() { RD_ASSERT(resume_ == nullptr, "a completion is destroyed while awaited"); }

  // `co_await completion.wait()`. Never before complete() was called: ask first.
  auto wait() {
    return boost::asio::async_initiate<const boost::asio::deferred_t, void()>(
        Keep{}, boost::asio::deferred, this);
  }
  // Resumes the waiting coroutine, if there is one.
  void complete() {
    if (auto* const resume = std::exchange(resume_, nullptr)) resume(handler_);
  }

 private:
  struct Keep {
    template <class Handler>
    void operator()(Handler&& handler, Completion* self) const {
      self->keep(std::forward<Handler>(handler));
    }
  };

  template <class Handler>
  void keep(Handler&& handler) {
    using Kept = std::decay_t<Handler>;
    static_assert(sizeof(Kept) <= kRoom && alignof(Kept) <= alignof(void*));
    new (handler_) Kept(std::forward<Handler>(handler));
    resume_ = [](void* at) {
      auto* const kept = std::launder(static_cast<Kept*>(at));
      Kept handler_now(std::move(*kept));
      kept->~Kept();
      std::move(handler_now)();
    };
  }

  static constexpr std::size_t kRoom = 4 * sizeof(void*);
  alignas(void*) std::byte handler_[kRoom];
  void (*resume_)(void*) = nullptr;
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
