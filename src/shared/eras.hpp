// Which copies are young enough to be judged, and what this process has heard since they were made.
//
// An era is a number in the record that grows by one every few minutes, and at every start of an
// instance. Every copy in Redis is stamped with the era that its writer knew when it began to read
// the record, so a copy tells its age without a clock: neither a TTL that Redis forgot nor a key
// that somebody put back makes an old copy young.
//
// Two rules make a copy of era c usable here:
//   1. c is at most one behind the era known here, and above the one found at start: what was
//      announced before this process listened cannot concern it.
//   2. No announcement speaks against it. One that was heard at ticket h may concern every copy
//      that was read before it was committed; it cannot concern a copy of era c when
//      h < heard_before(c).
//
// The cache's copies are judged by the generations of its invalidations instead, which the record
// keeps (services/cache/generations.hpp); an era only tells whether one was made after a moment
// (found_by()).
//
// Why 2 holds: a ticket is the number of polls of the era that have begun. An announcement heard at
// ticket h was committed before poll h + 1 began, so that poll's era is at least the era at the
// commit, which is at least the stamp of any copy read before it. heard_before(c) is the ticket of
// the last poll that found an era below c.
//
// Threads: any. One at a time polls.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

namespace redoubt::shared {

class Eras {
 public:
  using Ticket = std::uint64_t;

  // For announcements: the ticket they are heard at.
  Ticket ticket() const { return begun_.load(std::memory_order_acquire); }

  // Around each read of the era in the record.
  Ticket poll_begins() { return begun_.fetch_add(1, std::memory_order_acq_rel) + 1; }
  void poll_ended(Ticket poll, std::int64_t era);

  // The era to stamp copies with; 0 before the first poll: then none is made.
  std::int64_t current() const { return current_.load(std::memory_order_acquire); }

  // Announcements heard at a ticket below this do not concern a copy of that era. Empty: the copy
  // is too old to be judged.
  std::optional<Ticket> heard_before(std::int64_t era) const;

  // The era that `poll`, or the first one after it that ended, has found. Copies of a later era
  // were read after that poll began. Empty: none has ended.
  std::optional<std::int64_t> found_by(Ticket poll) const;

  // Announcements heard at a ticket below this concern no copy that can be used any more.
  Ticket forgettable() const;

 private:
  struct Found {
    std::int64_t era;
    Ticket last;  // The last poll that found it.
  };
  static constexpr std::size_t kFoundMax = 8;

  std::atomic<Ticket> begun_{0};
  std::atomic<std::int64_t> current_{0};
  mutable std::mutex mutex_;
  std::int64_t at_start_ = 0;
  std::deque<Found> found_;  // Ascending.
};

}  // namespace redoubt::shared
