// What must be true of every history, whatever went wrong in it (reliability: C1, C6-C8, C10-C12).
// Each looks at the history alone and says what it found in words.
//
//   durable    what was acknowledged is in the record at the end, and nothing that nobody wrote
//   revoked    a session or an API key is not accepted once 2 s have passed since its end was
//              acknowledged, and by the instance that was asked for it not at all; by grace, once
//              the grace has passed
//   grace      a copy answers out of its time on an instance that is cut off from the record alone,
//              for as long as the grace is, and says so
//   fresh      a read shows what was acknowledged 2 s before it began; of what this instance
//              acknowledged, everything
//   monotone   an instance never shows an older version than it showed before
//   limits     admissions in any interval stay within the formula of the state that was in force
//   isolated   nothing of one tenant is in an answer to another
//   settled    every instance is back to normal within 5 s of the heal; longer if it had flapped, and
//              10 s longer if Redis had failed over twice before all had heard of it. It is promised
//              from when Redis is back: so no fault may end later than the heal
#pragma once

#include "tests/sim/history.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sim {

struct Violation {
  std::string checker;
  std::string what;
};
using Violations = std::vector<Violation>;

void check_durable(const History& history, Violations& out);
void check_revoked(const History& history, Violations& out);
void check_keys_durable(const History& history, Violations& out);
void check_keys_revoked(const History& history, Violations& out);
void check_grace(const History& history, Violations& out);
void check_fresh(const History& history, Violations& out);
void check_monotone(const History& history, Violations& out);
void check_isolated(const History& history, Violations& out);
void check_settled(const History& history, Violations& out);

// How often each row of the table of limits was in force, counting limits, and how near an interval
// came to its bound (1: it reached it).
enum class LimitRow : std::uint8_t { normal, degraded, cut_off, transition, loss, clock, strict };
inline constexpr std::array<std::string_view, 7> kLimitRows{
    "normal",    "degraded on all", "k of N cut off", "transition",
    "data loss", "clock moved",     "strict"};
struct LimitTally {
  std::array<std::uint64_t, kLimitRows.size()> in_force{};
  std::array<double, kLimitRows.size()> fullest{};

  void note(LimitRow row, double fullness);
  void add(const LimitTally& other);
};
void check_limits(const History& history, Violations& out, LimitTally& tally);
void check_strict(const History& history, Violations& out, LimitTally& tally);

// All of them.
Violations check(const History& history, LimitTally& tally);

}  // namespace redoubt::sim
