// Time, as everything above base/ sees it. Two clocks, and never a third:
//
//   wall()   UTC, milliseconds since 1970. May jump either way. Display, created_at and expiry that
//            must survive a reboot.
//   boot()   CLOCK_BOOTTIME: since boot, counting suspend, never backwards. Deadlines, rates,
//            leases, ages.
//
// Threads: both functions may be called from any thread.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace redoubt {

using Duration = std::chrono::milliseconds;

struct WallTime {
  std::int64_t ms = 0;  // Since 1970-01-01T00:00:00Z.

  friend auto operator<=>(const WallTime&, const WallTime&) = default;
  friend WallTime operator+(WallTime t, Duration d) { return {t.ms + d.count()}; }
  friend WallTime operator-(WallTime t, Duration d) { return {t.ms - d.count()}; }
  friend Duration operator-(WallTime a, WallTime b) { return Duration(a.ms - b.ms); }
};

struct BootTime {
  std::int64_t ns = 0;  // Since boot, suspend included.

  friend auto operator<=>(const BootTime&, const BootTime&) = default;
  friend BootTime operator+(BootTime t, std::chrono::nanoseconds d) { return {t.ns + d.count()}; }
  friend BootTime operator-(BootTime t, std::chrono::nanoseconds d) { return {t.ns - d.count()}; }
  friend std::chrono::nanoseconds operator-(BootTime a, BootTime b) {
    return std::chrono::nanoseconds(a.ns - b.ns);
  }
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual BootTime boot() const = 0;
};

}  // namespace redoubt
