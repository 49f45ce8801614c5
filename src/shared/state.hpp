// What everybody in this process knows of the shared tier: whether it is used now, under which
// generation its keys are, and which era its copies get. One per process; the monitor writes it,
// the workers read it and tell it how their operations fared.
//
// A generation and an era are good while the record was asked for them lately. Once the last time
// is 2 s ago no copy is taken from Redis any more (usable()); what only counts goes on there
// (reachable()), because what it may get wrong is bounded.
//
// When Redis comes back, copies in it are read again little by little: a hundredth of all names at
// once, all of them after kRamp. Else a Redis that comes back empty would have every worker ask it
// in vain and the record besides, all at the same moment.
//
// Threads: any. usable(), reachable(), reads_open() and answered() take no lock.
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
#include <vector>

namespace redoubt::shared {

inline constexpr Duration kViewLife{2'000};
// How long it takes until every copy is read again after Redis came back.
inline constexpr Duration kRamp{5'000};

// Of a Redis operation on a request path, by state.
struct SharedDeadlines {
  Duration normal{50};
  Duration suspect{10};
};

// A change of state that is to be told, in the words of state_word(), or "not_configured" while it
// is turned off.
struct SharedTransition {
  std::string_view from;
  std::string_view to;
  std::string reason;  // Of the state that is not normal: of `to`, or else of `from`.
  Duration lasted{0};  // `from`.
};

struct SharedStatus {
  Availability state = Availability::away;
  std::string reason;  // Why it is not normal; empty when it is.
  WallTime since;      // When `state` was entered.
  bool off = false;    // Turned off by the configuration; `state` is away.
  std::int64_t generation = 0;
  std::int64_t era = 0;
};

class SharedState {
 public:
  // `on`: there is a Redis from the beginning. Else it is turned off, and its gauges are not shown
  // until it is turned on.
  SharedState(const Clock& clock, Metrics& metrics, SharedDeadlines deadlines = {}, bool on = true);

  // ---- For whoever reads and writes ----

  // Redis may be asked now, for copies and for everything else.
  bool usable() const;
  // The same for what only counts: also while the record cannot be asked.
  bool reachable() const;
  // It takes writes, and runs scripts: without, copies are read and deleted, and that is all.
  bool takes_writes() const { return takes_writes_.load(std::memory_order_relaxed); }
  // Limits may be counted there.
  bool counts() const { return reachable() && takes_writes(); }
  bool away() const { return state_.load(std::memory_order_relaxed) == Availability::away; }
  bool normal() const { return state_.load(std::memory_order_relaxed) == Availability::normal; }
  // Turned off: it is not missed.
  bool off() const { return off_.load(std::memory_order_relaxed); }
  // There is a Redis, or was one since this process began.
  bool ever_on() const { return ever_on_.load(std::memory_order_relaxed); }
  // Of a copy, by a hash of its name: whether it is to be read already.
  bool reads_open(std::size_t hash) const;
  // Every copy is: Redis has not come back lately.
  bool all_reads_open() const { return ramp() >= 1.0; }
  Duration deadline() const;
  // The last canary was answered, or there was none yet: connecting is worth while.
  bool answers_probes() const { return answers_probes_.load(std::memory_order_relaxed); }
  // Of keys to be read or written. Each worker keeps its KeySpace until this has moved.
  std::int64_t generation() const { return generation_.load(std::memory_order_acquire); }

  void answered() { answered_.add(); }
  // REQUIRES: an error of the redis client. Only some speak against the server.
  void failed(const Error& error);

  Eras& eras() { return eras_; }
  const Eras& eras() const { return eras_; }

  SharedStatus status() const;

  // ---- For the configuration ----

  // Off: as if there were none, and nothing is missed. On: away, until it has proven itself.
  void turn_off(std::string_view reason);
  void turn_on();
  void set_deadlines(SharedDeadlines deadlines);

  // ---- For the monitor ----

  // The record was asked at `began`, and said so.
  void learned(std::int64_t generation, BootTime began);
  void probed(bool answered) { answers_probes_.store(answered, std::memory_order_relaxed); }
  // `no_writes`: why it reads and does not write, if so. It is "degraded" for as long.
  void canary_answered(bool gates_open, std::string_view closed_because,
                       std::string_view no_writes = {});
  void canary_failed(const Error& error);
  void refuse(std::string_view reason);
  // What has happened since the last call, in order; at most kTransitionsMax of it.
  std::vector<SharedTransition> take_transitions();

 private:
  static constexpr std::size_t kTransitionsMax = 64;

  void show();
  template <class F>
  void change(std::string_view reason, F&& step);
  // The record was asked lately.
  bool is_fresh() const;
  std::string_view word() const;
  // As it is told: one that does not write is not normal.
  Availability shown() const;
  void entered(std::string_view from, std::string former_reason);
  double ramp() const;

  const Clock& clock_;
  Metrics& metrics_;
  std::atomic<std::int64_t> normal_deadline_;  // Milliseconds.
  std::atomic<std::int64_t> suspect_deadline_;
  Eras eras_;
  std::atomic<std::int64_t> generation_{0};
  std::atomic<std::int64_t> fresh_until_{0};
  std::atomic<Availability> state_{Availability::away};
  std::atomic<bool> off_;
  std::atomic<bool> ever_on_;
  std::atomic<bool> takes_writes_{true};
  std::atomic<bool> answers_probes_{true};
  std::atomic<std::int64_t> ramp_began_;
  Counter& answered_;
  Counter& failed_;
  Counter& changes_;
  mutable std::mutex mutex_;
  AvailabilityMachine machine_;
  std::string reason_;
  WallTime since_;
  BootTime entered_;
  bool was_normal_ = false;  // Ever.
  std::vector<SharedTransition> transitions_;
};

}  // namespace redoubt::shared
