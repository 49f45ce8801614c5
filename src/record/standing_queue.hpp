// Tells a queue that stands from one that drains.
//
// Of more work than can be done some is never reached. In order of arrival that is the work at the
// end, and all that is begun has waited so long that whoever asked for it has given up: everything is
// done, and nothing in time. So what has waited for long in a queue that does not become empty is
// refused, and what is begun was asked for a moment ago.
//
// After CoDel (Nichols, Jacobson: Controlling Queue Delay, 2012; RFC 8289): a queue is bad by how
// long it stands, not by its length. Where CoDel drops ever more often, all that is too old goes here,
// as whoever asked for it has gone.
//
// What gathered while nothing was taken, as when the database was away for a moment, is carried out.
//
// Threads: the caller's lock. Cost: a comparison.
#pragma once

#include <redoubt/clock.hpp>

namespace redoubt::record {

class StandingQueue {
 public:
  static constexpr Duration kStands{2'000};   // Not empty for so long, and taken from all the time.
  static constexpr Duration kPause{1'000};    // Nothing was taken for so long: it begins anew.
  static constexpr Duration kWaitMax{1'000};  // In one that stands.

  // Work was taken from it, all there was or not.
  void taken(bool all, BootTime now) {
    if (all || now - last_taken_ > kPause) begun_ = now;
    last_taken_ = now;
  }

  // Whether work that has waited since then is refused.
  bool refuses(BootTime since, BootTime now) const {
    return now - begun_ > kStands && now - since > kWaitMax;
  }

 private:
  BootTime begun_{};  // It was empty, or not taken from.
  BootTime last_taken_{};
};

}  // namespace redoubt::record
