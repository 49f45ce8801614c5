// The simulated world: virtual time, the one source of chance, and what runs in it.
//
// Everything that happens is an event at an instant. The world takes the earliest, moves time to it,
// runs it and every coroutine that it made ready, and takes the next. Events of one instant run in
// the order in which they were made. So one seed is one history, whatever machine it runs on.
//
// A Life is one run of one process. Events and waits belong to a life: when it ends (kill -9) they
// are gone, with the coroutines that waited; while it is stopped (SIGSTOP) they wait, and time
// passes.
//
// Threads: one.
#pragma once

#include "base/random.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace redoubt::sim {

using Nanos = std::chrono::nanoseconds;
using Action = std::move_only_function<void()>;

inline constexpr WallTime kWallStart{1'800'000'000'000};
inline constexpr BootTime kBootStart{1'000'000'000};

// Draws that the simulator makes. Never those of the code under test.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}

  std::uint64_t next() { return random_.next(); }
  std::uint64_t below(std::uint64_t bound) { return random_.next() % bound; }
  std::int64_t between(std::int64_t low, std::int64_t high) {  // Both included.
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  bool percent(unsigned p) { return below(100) < p; }
  Nanos between(Nanos low, Nanos high) { return Nanos(between(low.count(), high.count())); }
  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

 private:
  FastRandom random_;
};

// What a coroutine of a life waits for; gone with the life.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void drop() = 0;
};

class Life : public std::enable_shared_from_this<Life> {
 public:
  bool alive() const { return alive_; }
  bool stopped() const { return stopped_; }

  std::uint64_t add(Pending& pending) {
    pending_.emplace(++entries_, &pending);
    return entries_;
  }
  void remove(std::uint64_t entry) { pending_.erase(entry); }

 private:
  friend class World;
  bool alive_ = true;
  bool stopped_ = false;
  std::uint64_t entries_ = 0;
  std::map<std::uint64_t, Pending*> pending_;  // In the order in which they began to wait.
  std::deque<Action> held_;  // While it is stopped.
};
using LifePtr = std::shared_ptr<Life>;

// One value for one waiter.
template <class T>
class Answer final : public Pending {
 public:
  explicit Answer(LifePtr life) : life_(std::move(life)) {}
  ~Answer() override { unlist(); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  boost::asio::awaitable<T> wait() {
    auto keep = [this](auto handler) {
      if (!life_->alive()) return;  // The handler, and the coroutine with it, ends here.
      resume_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
      entry_ = life_->add(*this);
    };
    if (!value_) {
      co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
          std::move(keep), boost::asio::use_awaitable);
    }
    co_return std::move(*value_);
  }

  bool given() const { return value_.has_value(); }

  // Resumes the waiter on this stack. What comes after the first is ignored.
  void give(T value) {
    if (value_) return;
    value_ = std::move(value);
    unlist();
    if (auto resume = std::exchange(resume_, nullptr)) resume();
  }

  void drop() override {
    entry_ = 0;
    const auto gone = std::exchange(resume_, nullptr);
  }

 private:
  void unlist() {
    if (const auto entry = std::exchange(entry_, 0)) life_->remove(entry);
  }

  LifePtr life_;
  std::optional<T> value_;
  Action resume_;
  std::uint64_t entry_ = 0;  // Of the life's list; 0: not in it.
};

class World {
 public:
  explicit World(std::uint64_t seed) : chance_(seed), guard_(io_.get_executor()) {}
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Nanos now() const { return now_; }  // Since the beginning.
  BootTime boot() const { return kBootStart + now_; }
  Chance& chance() { return chance_; }
  boost::asio::io_context& io() { return io_; }
  std::uint64_t events() const { return events_; }

  // Without a life: of the world itself.
  void after(Nanos delay, const LifePtr& life, Action action);
  void after(Nanos delay, Action action) { after(delay, nullptr, std::move(action)); }

  void run_until(Nanos end);

  LifePtr begin_life();
  void end_life(const LifePtr& life);
  void stop_life(const LifePtr& life) { life->stopped_ = true; }
  void continue_life(const LifePtr& life);

  // Runs what is ready, now. REQUIRES: not from inside a coroutine.
  void settle();

 private:
  struct Event {
    Nanos at;
    std::uint64_t number;
    LifePtr life;
    Action action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.number > b.number;
    }
  };
  void run(Event event);

  Nanos now_{0};
  Chance chance_;
  boost::asio::io_context io_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::vector<Event> queue_;  // A heap.
  std::uint64_t numbers_ = 0;
  std::uint64_t events_ = 0;
};

// The clocks of one machine: its wall clock is what somebody set it to.
class MachineClock final : public Clock {
 public:
  explicit MachineClock(const World& world) : world_(world) {}

  WallTime wall() const override {
    const auto passed = std::chrono::duration_cast<Duration>(world_.now());
    return kWallStart + passed + ahead_;
  }
  BootTime boot() const override { return world_.boot(); }
  void set_ahead(Duration ahead) { ahead_ = ahead; }

 private:
  const World& world_;
  Duration ahead_{0};
};

}  // namespace redoubt::sim
