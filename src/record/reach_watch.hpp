// Whether the record is out of reach, judged by what becomes of looks at the journal: one failed, or
// has had no answer for 12 ticks (1.2 s) of a watch that runs beside it. Ticks and not time, so that
// a process that was stopped itself does not take that for silence of the database.
//
// Threads: cut_off(): any. The rest: whoever looks.
#pragma once

#include <redoubt/clock.hpp>

#include <atomic>

namespace redoubt::record {

class ReachWatch {
 public:
  static constexpr Duration kTick{100};

  void look_begins() {
    looking_ = true;
    silent_ticks_ = 0;
  }
  void look_ended(bool good) {
    looking_ = false;
    failed_ = !good;
    if (good) cut_off_.store(false, std::memory_order_release);
  }

  // Every kTick. Whether the record is out of reach: before copies grow old, so that nobody asks in
  // vain in between.
  bool tick() {
    const bool silent = looking_ && ++silent_ticks_ >= kSilentTicks;
    if (!silent && !failed_) return false;
    cut_off_.store(true, std::memory_order_release);
    return true;
  }

  // Perhaps for a moment only: while copies are fresh nobody needs to mind.
  bool cut_off() const { return cut_off_.load(std::memory_order_acquire); }

 private:
  static constexpr int kSilentTicks = 12;

  bool looking_ = false;  // A look is under way...
  int silent_ticks_ = 0;  // ...and has been for so many ticks.
  bool failed_ = false;   // The last one.
  std::atomic<bool> cut_off_{false};
};

}  // namespace redoubt::record
