#include "local/limit_algorithms.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace redoubt::local {
namespace {

constexpr Nanos kMinute = 60'000 * kNanosPerMs;
constexpr Nanos kHour = 60 * kMinute;
constexpr Nanos kDay = 24 * kHour;

// Rounded towards minus infinity. REQUIRES: b > 0.
constexpr Nanos floor_div(Nanos a, Nanos b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// REQUIRES: a >= 0, b > 0, and a quotient that fits. A division of 128 bits is a call that costs as
// much as the rest of a decision, and nearly always 64 are enough.
constexpr std::int64_t floor_div(Int128 a, std::int64_t b) {
  if (a <= INT64_MAX) return static_cast<std::int64_t>(a) / b;
  return static_cast<std::int64_t>(a / b);
}
constexpr std::int64_t ceil_div(Int128 a, std::int64_t b) {
  return floor_div(a + b - 1, b);
}

// ---- GCRA: in units of 1/limit ns, an instant t is t * limit, T is the period ----

Int128 scaled(const LimitRule& rule, Nanos t) {
  return static_cast<Int128>(t) * rule.limit;
}
Int128 price(const LimitRule& rule, std::int64_t cost) {
  return static_cast<Int128>(cost) * rule.period;
}

bool settle(const LimitRule& rule, GcraMemory& memory, Nanos now) {
  const Int128 latest = scaled(rule, now) + price(rule, rule.burst) + rule.period;
  if (memory.tat() <= latest) return false;
  memory.set_tat(latest);
  return true;
}

Int128 debt_of(const LimitRule& rule, const GcraMemory& memory, Nanos now) {
  return std::max<Int128>(memory.tat() - scaled(rule, now), 0);
}

bool admits(const LimitRule& rule, const GcraMemory& memory, Nanos now, std::int64_t cost) {
  return price(rule, cost) + debt_of(rule, memory, now) <= price(rule, rule.burst);
}

LimitReading read_limit(const LimitRule& rule, const GcraMemory& memory, Nanos now,
                        std::int64_t cost) {
  const Int128 debt = debt_of(rule, memory, now);
  const Int128 room = price(rule, rule.burst) - debt;
  LimitReading reading;
  reading.admits = price(rule, cost) <= room;
  reading.remaining = room > 0 ? floor_div(room, rule.period) : 0;
  reading.full_at = now + ceil_div(debt, rule.limit);
  if (reading.admits) {
    reading.admitted_at = now;
  } else if (cost > rule.burst) {
    reading.admitted_at = kNever;
  } else {
    reading.admitted_at = now + ceil_div(price(rule, cost) - room, rule.limit);
  }
  return reading;
}

void charge(const LimitRule& rule, GcraMemory& memory, Nanos now, std::int64_t cost) {
  memory.set_tat(std::max(memory.tat(), scaled(rule, now)) + price(rule, cost));
}

void refund(const LimitRule& rule, GcraMemory& memory, Nanos now, std::int64_t cost) {
  memory.set_tat(std::max(memory.tat() - price(rule, cost), scaled(rule, now)));
}

// ---- Windows ----

struct Window {
  Nanos start;
  Nanos end;
};

Window month_of(Nanos t) {
  using namespace std::chrono;
  const sys_days day{days{floor_div(t, kDay)}};
  const year_month_day date{day};
  const year_month month{date.year(), date.month()};
  const sys_days first{month / 1};
  const sys_days next{(month + months{1}) / 1};
  return {first.time_since_epoch().count() * kDay, next.time_since_epoch().count() * kDay};
}

Window window_of(const LimitRule& rule, Nanos t) {
  if (rule.period == 0) return month_of(t);
  const Nanos start = floor_div(t, rule.period) * rule.period;
  return {start, start + rule.period};
}

bool settle(const LimitRule& rule, WindowMemory& memory, Nanos now) {
  const Window window = window_of(rule, now);
  if (memory.start > window.end) {
    memory.start = window.end;
    return true;
  }
  if (memory.start < window.start) memory = {window.start, 0};
  return false;
}

bool admits(const LimitRule& rule, const WindowMemory& memory, Nanos, std::int64_t cost) {
  return cost <= rule.limit - memory.used;
}

LimitReading read_limit(const LimitRule& rule, const WindowMemory& memory, Nanos now,
                        std::int64_t cost) {
  LimitReading reading;
  reading.remaining = std::max<std::int64_t>(rule.limit - memory.used, 0);
  reading.admits = cost <= reading.remaining;
  const Nanos end = window_of(rule, memory.start).end;
  reading.full_at = memory.used > 0 ? end : now;
  reading.admitted_at = reading.admits ? now : cost > rule.limit ? kNever : end;
  return reading;
}

void charge(const LimitRule&, WindowMemory& memory, Nanos, std::int64_t cost) {
  memory.used += cost;
}

void refund(const LimitRule&, WindowMemory& memory, Nanos, std::int64_t cost) {
  memory.used = std::max<std::int64_t>(memory.used - cost, 0);
}

// ---- Sliding window: usage = current + previous * (period - elapsed) / period ----

bool settle(const LimitRule& rule, SlidingWindowMemory& memory, Nanos now) {
  const Window window = window_of(rule, now);
  if (memory.start > window.end) {
    memory.start = window.end;
    return true;
  }
  if (memory.start >= window.start) return false;
  const bool adjacent = memory.start + rule.period == window.start;
  memory = {window.start, 0, adjacent ? memory.current : 0};
  return false;
}

// How far into a window `older`, the count of the window before, has faded to at most `room`.
// REQUIRES: 0 <= room < older.
Nanos faded_after(const LimitRule& rule, std::int64_t older, std::int64_t room) {
  return rule.period - floor_div(static_cast<Int128>(room) * rule.period, older);
}

Nanos admitted_at(const LimitRule& rule, const SlidingWindowMemory& memory, std::int64_t cost) {
  if (cost > rule.limit) return kNever;
  const std::int64_t room_now = rule.limit - memory.current - cost;
  if (room_now >= 0) return memory.start + faded_after(rule, memory.previous, room_now);
  const std::int64_t room_next = rule.limit - cost;
  return memory.start + rule.period + faded_after(rule, memory.current, room_next);
}

// What is left, times the period.
Int128 room_of(const LimitRule& rule, const SlidingWindowMemory& memory, Nanos now) {
  const Nanos elapsed = std::max<Nanos>(now - memory.start, 0);
  return static_cast<Int128>(rule.limit - memory.current) * rule.period -
         static_cast<Int128>(memory.previous) * (rule.period - elapsed);
}

bool admits(const LimitRule& rule, const SlidingWindowMemory& memory, Nanos now,
            std::int64_t cost) {
  return static_cast<Int128>(cost) * rule.period <= room_of(rule, memory, now);
}

LimitReading read_limit(const LimitRule& rule, const SlidingWindowMemory& memory, Nanos now,
                        std::int64_t cost) {
  const Int128 room = room_of(rule, memory, now);
  LimitReading reading;
  reading.remaining = room > 0 ? floor_div(room, rule.period) : 0;
  reading.admits = cost <= reading.remaining;
  reading.full_at = memory.current > 0    ? memory.start + 2 * rule.period
                    : memory.previous > 0 ? memory.start + rule.period
                                          : now;
  reading.admitted_at = reading.admits ? now : admitted_at(rule, memory, cost);
  return reading;
}

void charge(const LimitRule&, SlidingWindowMemory& memory, Nanos, std::int64_t cost) {
  memory.current += cost;
}

void refund(const LimitRule&, SlidingWindowMemory& memory, Nanos, std::int64_t cost) {
  const std::int64_t from_current = std::min(cost, memory.current);
  memory.current -= from_current;
  memory.previous = std::max<std::int64_t>(memory.previous - (cost - from_current), 0);
}

// ---- Sliding log ----

bool settle(const LimitRule& rule, SlidingLogMemory& memory, Nanos now) {
  if (!memory.log) return false;
  const bool corrected = memory.log->cap(now);
  memory.log->expire(now - rule.period);
  return corrected;
}

// When enough of the oldest admissions have expired to make room for `cost`.
Nanos admitted_at(const LimitRule& rule, const AdmissionLog& log, std::int64_t cost) {
  if (cost > rule.limit) return kNever;
  std::int64_t excess = log.total() + cost - rule.limit;
  for (const Admission& admission : log.live()) {
    excess -= admission.cost;
    if (excess <= 0) return admission.at + rule.period;
  }
  RD_ASSERT(false, "the admissions of a log add up to its total");
}

bool admits(const LimitRule& rule, const SlidingLogMemory& memory, Nanos, std::int64_t cost) {
  return cost <= rule.limit - (memory.log ? memory.log->total() : 0);
}

LimitReading read_limit(const LimitRule& rule, const SlidingLogMemory& memory, Nanos now,
                        std::int64_t cost) {
  const std::int64_t used = memory.log ? memory.log->total() : 0;
  LimitReading reading;
  reading.remaining = std::max<std::int64_t>(rule.limit - used, 0);
  reading.admits = cost <= reading.remaining;
  reading.full_at = used > 0 ? memory.log->live().back().at + rule.period : now;
  if (reading.admits) {
    reading.admitted_at = now;
  } else if (used == 0) {
    reading.admitted_at = kNever;
  } else {
    reading.admitted_at = admitted_at(rule, *memory.log, cost);
  }
  return reading;
}

void charge(const LimitRule&, SlidingLogMemory& memory, Nanos now, std::int64_t cost) {
  if (!memory.log) memory.log = std::make_unique<AdmissionLog>();
  memory.log->append({now, cost});
}

void refund(const LimitRule&, SlidingLogMemory& memory, Nanos, std::int64_t cost) {
  if (memory.log) memory.log->give_back(cost);
}

Nanos calendar_period(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::minute:
      return kMinute;
    case CalendarUnit::hour:
      return kHour;
    case CalendarUnit::day:
      return kDay;
    case CalendarUnit::month:
      return 0;
  }
  RD_ASSERT(false, "a calendar unit");
}

Hash128 identity_of(const LimitPolicy& policy) {
  // Not against attackers: policies come from the configuration.
  return siphash128(
      SipKey{}, fmt::format("{} {} {} {} {} {}", policy.name, static_cast<int>(policy.algorithm),
                            policy.limit, policy.period.count(), policy.burst,
                            static_cast<int>(policy.unit)));
}

}  // namespace

LimitRule make_limit_rule(const LimitPolicy& policy) {
  LimitRule rule;
  rule.algorithm = policy.algorithm;
  rule.limit = policy.limit;
  rule.burst = policy.burst;
  rule.period = policy.algorithm == LimitAlgorithm::calendar_window
                    ? calendar_period(policy.unit)
                    : policy.period.count() * kNanosPerMs;
  rule.identity = identity_of(policy);
  return rule;
}

bool follows_calendar(const LimitRule& rule) {
  return rule.algorithm == LimitAlgorithm::fixed_window ||
         rule.algorithm == LimitAlgorithm::calendar_window;
}

LimitMemory fresh_memory(const LimitRule& rule) {
  switch (rule.algorithm) {
    case LimitAlgorithm::gcra:
      return GcraMemory{};
    case LimitAlgorithm::sliding_window:
      return SlidingWindowMemory{};
    case LimitAlgorithm::sliding_log:
      return SlidingLogMemory{};
    case LimitAlgorithm::fixed_window:
    case LimitAlgorithm::calendar_window:
      return WindowMemory{};
  }
  RD_ASSERT(false, "a limit algorithm");
}

bool settle(const LimitRule& rule, LimitMemory& memory, Nanos now) {
  return std::visit([&](auto& m) { return settle(rule, m, now); }, memory);
}

bool admits(const LimitRule& rule, const LimitMemory& memory, Nanos now, std::int64_t cost) {
  return std::visit([&](const auto& m) { return admits(rule, m, now, cost); }, memory);
}

LimitReading read_limit(const LimitRule& rule, const LimitMemory& memory, Nanos now,
                        std::int64_t cost) {
  return std::visit([&](const auto& m) { return read_limit(rule, m, now, cost); }, memory);
}

void charge(const LimitRule& rule, LimitMemory& memory, Nanos now, std::int64_t cost) {
  std::visit([&](auto& m) { charge(rule, m, now, cost); }, memory);
}

void refund(const LimitRule& rule, LimitMemory& memory, Nanos now, std::int64_t cost) {
  std::visit([&](auto& m) { refund(rule, m, now, cost); }, memory);
}

}  // namespace redoubt::local
