// How a coroutine waits for an event of its own thread without a heap allocation: what goes on with
// it lies in the object that is waited on.
//
// Threads: one executor. Whoever completes a wait resumes the coroutine at once, on its own stack.
#pragma once

#include "base/assert.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace redoubt {

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

}  // namespace redoubt
