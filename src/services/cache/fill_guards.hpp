// What a caller that waits for a fill must leave behind in order, however its coroutine ends: also
// when it is destroyed while it waits, which no statement after the co_await would see.
//
// Threads: one.
#pragma once

#include "services/cache/engine.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace redoubt::cache {

// Takes a waiter out of its queue however the wait ends, a cancelled coroutine included.
class Waiting {
 public:
  // `at` outlives it.
  Waiting(CacheEngine& engine, const Address& at, FillWaiterPtr waiter)
      : engine_(engine), at_(at), waiter_(std::move(waiter)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    if (!done_) engine_.leave(at_, waiter_);
  }
  const FillWaiterPtr& waiter() const { return waiter_; }
  void keep_lease() { done_ = true; }

 private:
  CacheEngine& engine_;
  const Address& at_;
  FillWaiterPtr waiter_;
  bool done_ = false;
};

// Passes a lease on however the wait for another instance ends, unless it is kept.
class Holding {
 public:
  // `at` outlives it.
  Holding(CacheEngine& engine, const Address& at, std::string_view lease)
      : engine_(engine), at_(at), lease_(lease) {}
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  ~Holding() {
    if (!kept_) engine_.pass_on(at_, lease_);
  }
  const std::string& lease() const { return lease_; }
  void keep() { kept_ = true; }

 private:
  CacheEngine& engine_;
  const Address& at_;
  const std::string lease_;
  bool kept_ = false;
};

}  // namespace redoubt::cache
