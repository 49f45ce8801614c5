#include "base/clock.hpp"

#include "base/append.hpp"
#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <ctime>

namespace redoubt {
namespace {

constexpr std::int64_t kMsPerDay = 86'400'000;
constexpr std::int64_t kYear0Ms = -62'167'219'200'000;     // 0000-01-01T00:00:00.000Z
constexpr std::int64_t kYear9999Ms = 253'402'300'799'999;  // 9999-12-31T23:59:59.999Z

timespec read_clock(clockid_t id) {
  timespec now{};
  RD_ASSERT(clock_gettime(id, &now) == 0, "a clock of the system cannot be read");
  return now;
}

// "00" to "99", one behind the other.
constexpr std::array<char, 200> kPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

// REQUIRES: value < 100.
void put_pair(char* out, std::uint32_t value) {
  out[0] = kPairs[2 * value];
  out[1] = kPairs[2 * value + 1];
}

// Reads fixed-width fields from the front of a text.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}

  bool digits(std::size_t count, int& out) {
    if (rest_.size() < count) return false;
    out = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return false;
      out = out * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return true;
  }
  bool skip(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool skip_either(char a, char b) { return skip(a) || skip(b); }

  // ".123456": any number of digits, cut to milliseconds. Absent is zero.
  bool fraction(int& ms) {
    ms = 0;
    if (!skip('.')) return true;
    int weight = 100;
    std::size_t count = 0;
    for (int digit = 0; digits(1, digit); ++count, weight /= 10) ms += digit * weight;
    return count > 0;
  }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

struct Fields {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  int offset_minutes = 0;
};

bool read_offset(Cursor& in, int& minutes) {
  minutes = 0;
  if (in.skip_either('Z', 'z')) return true;
  const bool behind = in.skip('-');
  int hour = 0;
  int minute = 0;
  if (!behind && !in.skip('+')) return false;
  if (!in.digits(2, hour) || !in.skip(':') || !in.digits(2, minute)) return false;
  if (hour > 23 || minute > 59) return false;
  minutes = (hour * 60 + minute) * (behind ? -1 : 1);
  return true;
}

bool read_fields(std::string_view text, Fields& f) {
  Cursor in(text);
  return in.digits(4, f.year) && in.skip('-') && in.digits(2, f.month) && in.skip('-') &&
         in.digits(2, f.day) && in.skip_either('T', 't') && in.digits(2, f.hour) && in.skip(':') &&
         in.digits(2, f.minute) && in.skip(':') && in.digits(2, f.second) && in.fraction(f.ms) &&
         read_offset(in, f.offset_minutes) && in.empty() && f.hour <= 23 && f.minute <= 59 &&
         f.second <= 60;
}

}  // namespace

WallTime SystemClock::wall() const {
  const timespec now = read_clock(CLOCK_REALTIME);
  return {static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000};
}

BootTime SystemClock::boot() const {
  const timespec now = read_clock(CLOCK_BOOTTIME);
  return {static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

char* put_rfc3339(char* to, WallTime time) {
  using std::chrono::floor;
  const std::chrono::sys_time<std::chrono::milliseconds> instant{
      std::chrono::milliseconds(std::clamp(time.ms, kYear0Ms, kYear9999Ms))};
  const auto day = floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{day};
  const auto ms = static_cast<std::uint32_t>((instant - day).count());
  const auto year = static_cast<std::uint32_t>(int{date.year()});
  std::copy_n("0000-00-00T00:00:00.000Z", kRfc3339Size, to);
  put_pair(to, year / 100);
  put_pair(to + 2, year % 100);
  put_pair(to + 5, unsigned{date.month()});
  put_pair(to + 8, unsigned{date.day()});
  put_pair(to + 11, ms / 3'600'000);
  put_pair(to + 14, ms / 60'000 % 60);
  put_pair(to + 17, ms / 1000 % 60);
  to[20] = static_cast<char>('0' + ms / 100 % 10);
  put_pair(to + 21, ms % 100);
  return to + kRfc3339Size;
}

void append_rfc3339(std::string& out, WallTime time) {
  std::array<char, kRfc3339Size> text;
  put_rfc3339(text.data(), time);
  out.append(text.data(), text.size());
}

std::string format_rfc3339(WallTime time) {
  std::string out;
  append_rfc3339(out, time);
  return out;
}

bool parse_rfc3339(std::string_view text, WallTime& out) {
  Fields f;
  if (!read_fields(text, f)) return false;
  const std::chrono::year_month_day date{std::chrono::year(f.year),
                                         std::chrono::month(static_cast<unsigned>(f.month)),
                                         std::chrono::day(static_cast<unsigned>(f.day))};
  if (!date.ok()) return false;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds =
      ((days * 24 + f.hour) * 60 + f.minute - f.offset_minutes) * 60 + f.second;
  // A leap second is the last of a UTC day; it is counted as the first of the next.
  if (f.second == 60 && seconds * 1000 % kMsPerDay != 0) return false;
  out.ms = seconds * 1000 + f.ms;
  return true;
}

}  // namespace redoubt
