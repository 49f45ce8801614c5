// Follows a journal whose numbers are drawn before the commit: they become visible out of order,
// and those of transactions that failed never do. Which entries are new, and which are still to
// come.
//
//   poll 1 sees   7 8 . 10        9 is a hole: remembered with the snapshot's xmax
//   poll 2 sees       9    11     9 is told; or
//   poll 2 sees            11     and its xmin has reached that xmax: whoever drew 9 has ended
//                                 without committing. 9 will never come.
//
// REQUIRES of the writers: a transaction has its id before it draws a number. Then whoever drew 9
// before 10 was drawn is below the xmax of every snapshot that shows 10. (Without it a number drawn
// by a transaction that has no id yet would be given up too early.)
//
// A plain state machine without I/O. Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace redoubt::record {

class JournalTail {
 public:
  struct Poll {
    std::uint64_t xmin = 0;          // Of the snapshot: every transaction below it has ended.
    std::uint64_t xmax = 0;          // No transaction at or above it had begun.
    std::vector<std::int64_t> seen;  // Numbers above after(), and holes that are there by now.
  };

  // Begins so that what is above `after` is new.
  void start(std::int64_t after);

  // What the next poll asks for: everything above after(), and the holes.
  std::int64_t after() const { return after_; }
  std::vector<std::int64_t> holes() const;

  // The numbers of `poll` that were not told before, in ascending order.
  std::vector<std::int64_t> take(const Poll& poll);

  // True when there were more holes than are worth remembering: entries may have been missed, and
  // the tail goes on behind them. Asking resets it.
  bool overflowed();

  // Everything up to here was told or will never come.
  std::int64_t heard() const { return holes_.empty() ? after_ : holes_.begin()->first - 1; }

 private:
  std::int64_t after_ = 0;
  std::map<std::int64_t, std::uint64_t> holes_;  // With the xmax of the snapshot that showed them.
  bool overflowed_ = false;
};

}  // namespace redoubt::record
