// The machine's clocks behind the Clock interface, and the virtual one for tests.
#pragma once

#include <redoubt/clock.hpp>

#include <atomic>
#include <string>
#include <string_view>

namespace redoubt {

class SystemClock final : public Clock {
 public:
  WallTime wall() const override;
  BootTime boot() const override;
};

// Time that moves only when told to. Both clocks can be moved apart, as machines do.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(WallTime wall = {1'800'000'000'000}) : wall_ms_(wall.ms) {}

  WallTime wall() const override { return {wall_ms_.load(std::memory_order_relaxed)}; }
  BootTime boot() const override { return {boot_ns_.load(std::memory_order_relaxed)}; }

  void advance(std::chrono::nanoseconds d) {
    boot_ns_ += d.count();
    sub_ms_ += d.count();
    wall_ms_ += sub_ms_ / 1'000'000;
    sub_ms_ %= 1'000'000;
  }
  void jump_wall(Duration d) { wall_ms_ += d.count(); }

 private:
  std::atomic<std::int64_t> wall_ms_;
  std::atomic<std::int64_t> boot_ns_{1'000'000'000};
  std::int64_t sub_ms_ = 0;
};

// "2026-11-20T19:22:42.123Z" (RFC 3339), and back. parse accepts any RFC 3339 instant in UTC offset
// form and returns false otherwise.
std::string format_rfc3339(WallTime time);
void append_rfc3339(std::string& out, WallTime time);
bool parse_rfc3339(std::string_view text, WallTime& out);

}  // namespace redoubt
