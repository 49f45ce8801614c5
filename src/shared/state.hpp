// What everybody in this process knows of the shared tier: whether it is used now, under which
// generation its keys are, and which era its copies get. One per process; the monitor writes it,
// the workers read it and tell it how their operations fared.
//
// A generation and an era are good while the record was asked for them lately: fresh() is false
// once the last time is 2 s ago, and then nothing is taken from Redis.
//
// Threads: any. usable() and answered() take no lock.
#pragma once

#include "base/metrics.hpp"
#include "shared/availability.hpp"
#include "shared/eras.hpp"
#include "shared/keys.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/error.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace redoubt::shared {

inline constexpr Duration kViewLife{2'000};

// Of a Redis operation on a request path, by state.
struct SharedDeadlines {
  Duration normal{50};
  Duration suspect{10};
};

struct SharedStatus {
  Availability state = Availability::away;
  std::string reason;  // Why it is not normal; empty when it is.
  WallTime since;      // When `state` was entered.
  std::int64_t generation = 0;
  std::int64_t era = 0;
};

class SharedState {
 public:
  SharedState(const Clock& clock, Metrics& metrics, SharedDeadlines deadlines = {});

  // ---- For whoever reads and writes ----

  // Redis may be asked now.
  bool usable() const;
  Duration deadline() const;
  // Of keys to be read or written. Each worker keeps its KeySpace until this has moved.
  std::int64_t generation() const { return generation_.load(std::memory_order_acquire); }

  void answered() { answered_.add(); }
  // REQUIRES: an error of the redis client. Only some speak against the server.
  void failed(const Error& error);

  Eras& eras() { return eras_; }
  const Eras& eras() const { return eras_; }

  SharedStatus status() const;

  // ---- For the monitor ----

  // The record was asked at `began`, and said so.
  void learned(std::int64_t generation, BootTime began);
  void canary_answered(bool gates_open, std::string_view closed_because);
  void canary_failed(const Error& error);
  void refuse(std::string_view reason);

 private:
  template <class F>
  void change(std::string_view reason, F&& step);

  const Clock& clock_;
  const SharedDeadlines deadlines_;
  Eras eras_;
  std::atomic<std::int64_t> generation_{0};
  std::atomic<std::int64_t> fresh_until_{0};
  std::atomic<Availability> state_{Availability::away};
  Counter& answered_;
  Counter& failed_;
  Counter& changes_;
  mutable std::mutex mutex_;
  AvailabilityMachine machine_;
  std::string reason_;
  WallTime since_;
};

}  // namespace redoubt::shared
