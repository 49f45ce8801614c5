// Whether Redis is used on request paths: a circuit over what operations and canaries say.
//
//            canary, gates open (at the start of the process)
//   away ----------------------------------------------------------> normal
//    |  ^                                                            ^  |  ^
//    |  | a failure                          3 canaries over >= 1 s, |  |  | 3 canaries in a row
//    |  |                                                gates open  |  |  |
//    |  +--------------- recovering ---------------------------------+  |  |
//    +------------------>    ^                                          v  |
//      canary, after a stay  |                   a failure          suspect
//    ^                                                                  |
//    +--- 5 failures in a row, or half of 20 and more in 1 s, or 1 s without an answer ---+
//
// A canary is a write that is read back: PING is answered by a Redis that is full, orphaned or
// loading. Normal and suspect use Redis; suspect gives an operation only a short deadline, so that
// nobody waits on a server that may be gone. The stay in away is 1 s, doubled up to 30 s whenever
// normal did not last a minute.
//
// Threads: one at a time. No I/O, no clock.
#pragma once

#include <redoubt/clock.hpp>

#include <cstdint>
#include <string_view>

namespace redoubt::shared {

enum class Availability : std::uint8_t { away, recovering, suspect, normal };
std::string_view availability_name(Availability state);
// As the status, the metrics and the log call it: "normal", "degraded", "recovering", "down".
std::string_view state_word(Availability state);

class AvailabilityMachine {
 public:
  static constexpr int kFailuresInARow = 5;
  static constexpr std::uint64_t kWindowOperations = 20;
  static constexpr int kCanaries = 3;
  static constexpr Duration kSilence{1'000};
  static constexpr Duration kWindow{1'000};
  static constexpr Duration kRecovering{1'000};  // At least.
  static constexpr Duration kStayMin{1'000};
  static constexpr Duration kStayMax{30'000};
  static constexpr Duration kSettled{60'000};

  Availability state() const { return state_; }

  // An operation of a request failed: past its deadline, or its connection broke. `answered` counts
  // all operations that were answered so far.
  void operation_failed(BootTime now, std::uint64_t answered);

  // `gates_open`: everything else that must hold for Redis to be used does.
  void canary_answered(BootTime now, bool gates_open, std::uint64_t answered);
  void canary_failed(BootTime now, std::uint64_t answered);

  // As at the start, but it has to prove itself: whoever comes back to it has done without.
  void restart();

  // It is reachable and must not be used: another record's, or a master that was demoted.
  void refuse(BootTime now) { leave(now); }

 private:
  void suspect(BootTime now, std::uint64_t answered);
  void judge_suspect(BootTime now, std::uint64_t answered);
  void leave(BootTime now);
  void settle(BootTime now);

  Availability state_ = Availability::away;
  bool proves_itself_ = false;  // Else one canary is enough.
  BootTime entered_{0};
  BootTime away_until_{0};
  Duration stay_{0};
  int canaries_ = 0;  // In a row.
  // Of suspect.
  int failures_ = 0;
  std::uint64_t answered_at_failure_ = 0;
  BootTime window_began_{0};
  std::uint64_t window_failures_ = 0;
  std::uint64_t answered_at_window_ = 0;
  BootTime last_answer_{0};
};

}  // namespace redoubt::shared
