// Whether copies of what the record says may answer in its place.
//
//   fresh   the journal was read lately: they reflect every change that was acknowledged anywhere
//           kCopiesTrustedFor ago
//   grace   this instance is cut off from the record, and looked at the journal no longer ago than
//           the grace: they answer, and whoever gives the answer says so
//   none    the record is asked
//
// Grace needs both: that the journal is not fresh and that the record is known to be out of reach.
// A process that was stopped for a while finds its copies old and the record in reach, and asks it.
//
// Threads: any. Cost: one atomic load and a clock read while fresh; on SQLite, the load alone.
#pragma once

#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <atomic>
#include <cstdint>

namespace redoubt::record {

enum class Trust : std::uint8_t { fresh, grace, none };

// How long sessions and API keys may be verified by copies while the record is away; no longer than
// kCopiesTrustedFor: not at all.
// One per process; it may be changed at any time.
class AuthGrace {
 public:
  explicit AuthGrace(Duration length = Duration(0)) : ms_(length.count()) {}

  Duration length() const { return Duration(ms_.load(std::memory_order_relaxed)); }
  void set(Duration length) { ms_.store(length.count(), std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> ms_;
};

class CopyTrust {
 public:
  // `grace` null: none.
  CopyTrust(const Record& record, const Clock& clock, const AuthGrace* grace)
      : record_(record), clock_(clock), grace_(grace) {}

  Trust now() const {
    const BootTime until = record_.fresh_until();
    if (until == BootTime{INT64_MAX}) return Trust::fresh;
    const BootTime now = clock_.boot();
    if (now < until) return Trust::fresh;
    // From the last look on, so that what was revoked a grace ago is known.
    const BootTime looked = until - kCopiesTrustedFor;
    if (grace_ == nullptr || now >= looked + grace_->length()) return Trust::none;
    return record_.cut_off() ? Trust::grace : Trust::none;
  }

 private:
  const Record& record_;
  const Clock& clock_;
  const AuthGrace* grace_;
};

}  // namespace redoubt::record
