#include "local/limit_algorithms.hpp"

#include "base/random.hpp"
#include "tests/support/limit_policies.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <string>
#include <vector>

namespace redoubt::local {
namespace {

using test::policy_of;

constexpr Nanos kSecond = 1'000 * kNanosPerMs;
constexpr Nanos kStart = 1'800'000'000 * kSecond;  // 2027-01-15T08:00:00Z

LimitRule calendar(CalendarUnit unit, std::int64_t limit) {
  LimitPolicy policy = policy_of("test", LimitAlgorithm::calendar_window, limit, Duration(0));
  policy.unit = unit;
  return make_limit_rule(policy);
}

// One limit of one subject, used one call after another.
class Subject {
 public:
  explicit Subject(LimitRule rule) : rule_(rule), memory_(fresh_memory(rule)) {}
  explicit Subject(const LimitPolicy& policy) : Subject(make_limit_rule(policy)) {}

  LimitReading look(Nanos now, std::int64_t cost = 1) {
    corrected_ = settle(rule_, memory_, now);
    const LimitReading reading = read_limit(rule_, memory_, now, cost);
    EXPECT_EQ(admits(rule_, memory_, now, cost), reading.admits);
    return reading;
  }
  bool take(Nanos now, std::int64_t cost = 1) {
    if (!look(now, cost).admits) return false;
    charge(rule_, memory_, now, cost);
    return true;
  }
  void give_back(Nanos now, std::int64_t cost) {
    settle(rule_, memory_, now);
    refund(rule_, memory_, now, cost);
  }
  std::int64_t take_all(Nanos now) {
    std::int64_t taken = 0;
    while (take(now)) ++taken;
    return taken;
  }
  bool corrected() const { return corrected_; }

 private:
  LimitRule rule_;
  LimitMemory memory_;
  bool corrected_ = false;
};

std::vector<LimitRule> one_of_each() {
  return {make_limit_rule(policy_of("test", LimitAlgorithm::gcra, 7, Duration(1000), 5)),
          make_limit_rule(policy_of("test", LimitAlgorithm::sliding_window, 7, Duration(1000))),
          make_limit_rule(policy_of("test", LimitAlgorithm::sliding_log, 7, Duration(1000))),
          make_limit_rule(policy_of("test", LimitAlgorithm::fixed_window, 7, Duration(1000))),
          calendar(CalendarUnit::minute, 7),
          calendar(CalendarUnit::month, 7)};
}

// ---- Examples ----

struct Step {
  Nanos at_ms;
  std::int64_t cost;
  bool admitted;
  std::int64_t remaining;  // Afterwards.
};

void play(Subject subject, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    SCOPED_TRACE("at " + std::to_string(step.at_ms) + " ms");
    const Nanos now = kStart + step.at_ms * kNanosPerMs;
    EXPECT_EQ(subject.take(now, step.cost), step.admitted);
    EXPECT_EQ(subject.look(now).remaining, step.remaining);
  }
}

TEST(Gcra, AdmitsTheBurstAtOnceAndThenTheRate) {
  play(Subject(policy_of("test", LimitAlgorithm::gcra, 60, Duration(60'000), 3)),
       {{0, 1, true, 2},
        {0, 2, true, 0},
        {0, 1, false, 0},
        {999, 1, false, 0},
        {1000, 1, true, 0},
        {2500, 1, true, 0},
        {3000, 1, true, 0},
        {5000, 1, true, 1},
        {60'000, 4, false, 3},
        {60'000, 3, true, 0}});
}

TEST(SlidingWindow, CountsThePreviousWindowByItsOverlap) {
  play(Subject(policy_of("test", LimitAlgorithm::sliding_window, 10, Duration(1000))),
       {{0, 10, true, 0},
        {999, 1, false, 0},
        {1000, 1, false, 0},
        {1099, 1, false, 0},
        {1100, 1, true, 0},
        {1500, 5, false, 4},
        {1500, 4, true, 0},
        {2000, 1, true, 4},  // The five of the second window count in full.
        {3000, 9, true, 0}});
}

TEST(SlidingLog, ForgetsEachAdmissionAPeriodAfterIt) {
  play(Subject(policy_of("test", LimitAlgorithm::sliding_log, 3, Duration(1000))),
       {{0, 1, true, 2},
        {400, 2, true, 0},
        {999, 1, false, 0},
        {1000, 1, true, 0},
        {1399, 1, false, 0},
        {1400, 3, false, 2},
        {1400, 2, true, 0},
        {5000, 3, true, 0}});
}

TEST(FixedWindow, StartsAnewAtEachMultipleOfThePeriod) {
  play(Subject(policy_of("test", LimitAlgorithm::fixed_window, 3, Duration(1000))),
       {{0, 1, true, 2},
        {999, 2, true, 0},
        {999, 1, false, 0},
        {1000, 4, false, 3},
        {1000, 3, true, 0},
        {2999, 1, true, 2}});
}

TEST(LimitAlgorithms, ADivisionThatDoesNotComeOutEvenLosesNothing) {
  // 7 a second for 1000 seconds of asking every millisecond: 7000, and the burst.
  Subject subject(policy_of("test", LimitAlgorithm::gcra, 7, Duration(1000), 1));

  std::int64_t admitted = 0;
  for (int ms = 0; ms < 1'000'000; ++ms) {
    if (subject.take(kStart + ms * kNanosPerMs / 7 * 7)) ++admitted;
  }

  // Asking on a grid of milliseconds an admission is late by less than one, and never makes up for
  // it with a burst of 1.
  EXPECT_LE(admitted, 7001);
  EXPECT_GE(admitted, 1'000'000 / 143);
  Subject exact(policy_of("test", LimitAlgorithm::gcra, 7, Duration(1000), 7));
  EXPECT_EQ(exact.take_all(kStart), 7);
  for (int second = 1; second <= 1000; ++second) {
    ASSERT_EQ(exact.take_all(kStart + second * kSecond), 7);
  }
}

TEST(LimitAlgorithms, TheLargestPoliciesDoNotOverflow) {
  constexpr std::int64_t kMost = 1'000'000'000;
  const Duration year(366LL * 86'400'000);
  const LimitPolicy slow = policy_of("test", LimitAlgorithm::gcra, 1, year, 9);
  const LimitPolicy fast = policy_of("test", LimitAlgorithm::gcra, kMost, Duration(1), kMost);
  const LimitPolicy window = policy_of("test", LimitAlgorithm::sliding_window, kMost, year);

  for (const LimitPolicy& policy : {slow, fast, window}) {
    const std::int64_t all = capacity(policy);
    Subject subject(policy);
    std::int64_t taken = 0;
    while (taken < all) {
      const std::int64_t part = std::min<std::int64_t>(all - taken, 1'000'000);
      ASSERT_TRUE(subject.take(kStart, part));
      taken += part;
    }
    EXPECT_FALSE(subject.take(kStart));
    EXPECT_GT(subject.look(kStart).full_at, kStart);
    EXPECT_TRUE(subject.take(subject.look(kStart).admitted_at));
  }
}

// ---- Calendar ----

Nanos utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
  std::tm tm{};
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  tm.tm_hour = hour;
  tm.tm_min = minute;
  tm.tm_sec = second;
  return timegm(&tm) * kSecond;
}

struct Boundary {
  CalendarUnit unit;
  Nanos used_at;
  Nanos again_at;
};

TEST(CalendarWindow, EndsWhereTheCalendarSays) {
  const std::vector<Boundary> boundaries{
      {CalendarUnit::minute, utc(2026, 11, 20, 10, 0, 1), utc(2026, 11, 20, 10, 1)},
      {CalendarUnit::hour, utc(2026, 11, 20, 10, 59, 59), utc(2026, 11, 20, 11)},
      {CalendarUnit::day, utc(2026, 12, 31, 1), utc(2027, 1, 1)},
      {CalendarUnit::month, utc(2026, 1, 31), utc(2026, 2, 1)},
      {CalendarUnit::month, utc(2026, 2, 28, 23, 59, 59), utc(2026, 3, 1)},
      {CalendarUnit::month, utc(2028, 2, 28, 23),
       utc(2028, 3, 1)},  // A leap year: on the 29th too.
      {CalendarUnit::month, utc(2028, 2, 29, 12), utc(2028, 3, 1)},
      {CalendarUnit::month, utc(2100, 2, 28, 12), utc(2100, 3, 1)},  // Not one.
      {CalendarUnit::month, utc(2026, 12, 1), utc(2027, 1, 1)},
      // Where Europe and America change their clocks, UTC has days of 24 hours all the same.
      {CalendarUnit::day, utc(2026, 3, 29, 0, 30), utc(2026, 3, 30)},
      {CalendarUnit::day, utc(2026, 11, 1, 5), utc(2026, 11, 2)},
      {CalendarUnit::hour, utc(2026, 10, 25, 0, 59), utc(2026, 10, 25, 1)},
  };
  for (const Boundary& boundary : boundaries) {
    SCOPED_TRACE(boundary.used_at / kSecond);
    Subject subject(calendar(boundary.unit, 1));
    ASSERT_TRUE(subject.take(boundary.used_at));

    const LimitReading refused = subject.look(boundary.used_at);

    EXPECT_FALSE(refused.admits);
    EXPECT_EQ(refused.admitted_at, boundary.again_at);
    EXPECT_EQ(refused.full_at, boundary.again_at);
    EXPECT_FALSE(subject.take(boundary.again_at - 1));
    EXPECT_TRUE(subject.take(boundary.again_at));
  }
}

TEST(CalendarWindow, IsTheMonthThatTheCLibraryNames) {
  SeededRandom random(11);
  for (int i = 0; i < 2000; ++i) {
    const auto seconds = static_cast<std::time_t>(random.below(6'000'000'000));
    std::tm tm{};
    gmtime_r(&seconds, &tm);
    Subject subject(calendar(CalendarUnit::month, 1));
    subject.take(seconds * kSecond);

    const Nanos next = utc(tm.tm_year + 1900, tm.tm_mon + 2, 1);  // timegm carries month 13.

    ASSERT_EQ(subject.look(seconds * kSecond).full_at, next) << seconds;
  }
}

// ---- Random histories against models that are slow and plain ----

// ITU-T I.371 annex A, cell by cell: a cell at t conforms if t >= TAT - L; then TAT = max(t, TAT) +
// I.
class VirtualScheduling {
 public:
  explicit VirtualScheduling(const LimitRule& rule)
      : limit_(rule.limit), increment_(rule.period), tolerance_((rule.burst - 1) * rule.period) {}
  bool take(Nanos now, std::int64_t cost) {
    const Int128 t = static_cast<Int128>(now) * limit_;
    Int128 tat = tat_;
    for (std::int64_t cell = 0; cell < cost; ++cell) {
      if (t < tat - tolerance_) return false;
      tat = std::max(t, tat) + increment_;
    }
    tat_ = tat;
    return true;
  }

 private:
  Int128 limit_, increment_, tolerance_, tat_ = 0;
};

// Every admission ever, counted anew for each question.
class History {
 public:
  explicit History(const LimitRule& rule) : rule_(rule) {}
  bool take(Nanos now, std::int64_t cost) {
    if (!admits(now, cost)) return false;
    all_.push_back({now, cost});
    return true;
  }

 private:
  Int128 between(Nanos from, Nanos to) const {
    Int128 sum = 0;
    for (const Admission& a : all_) sum += a.at >= from && a.at < to ? a.cost : 0;
    return sum;
  }
  bool admits(Nanos now, std::int64_t cost) const {
    const Nanos window = now / rule_.period * rule_.period;
    switch (rule_.algorithm) {
      case LimitAlgorithm::sliding_log:
        return between(now - rule_.period + 1, now + 1) + cost <= rule_.limit;
      case LimitAlgorithm::fixed_window:
        return between(window, now + 1) + cost <= rule_.limit;
      case LimitAlgorithm::sliding_window:
        return between(window - rule_.period, window) * (window + rule_.period - now) +
                   (between(window, now + 1) + cost) * rule_.period <=
               static_cast<Int128>(rule_.limit) * rule_.period;
      default:
        return false;
    }
  }
  LimitRule rule_;
  std::vector<Admission> all_;
};

template <class Model>
void compare_with_model(LimitAlgorithm algorithm, std::uint64_t seed) {
  SeededRandom random(seed);
  const auto limit = static_cast<std::int64_t>(1 + random.below(20));
  const auto burst = static_cast<std::int64_t>(1 + random.below(12));
  const Duration period(static_cast<std::int64_t>(1 + random.below(50)));
  const LimitRule rule = make_limit_rule(policy_of("test", algorithm, limit, period, burst));
  Subject subject(rule);
  Model model(rule);
  Nanos now = kStart;
  for (int i = 0; i < 300; ++i) {
    // Often at the same instant, often at the very edge of an admission.
    const auto kind = random.below(4);
    const auto cost = static_cast<std::int64_t>(1 + random.below(3));
    if (kind == 1) now += static_cast<Nanos>(random.below(static_cast<std::uint64_t>(rule.period)));
    if (kind == 2) {
      const LimitReading reading = subject.look(now, cost);
      if (reading.admitted_at != kNever) now = std::max(now, reading.admitted_at - 1);
    }
    ASSERT_EQ(subject.take(now, cost), model.take(now, cost)) << "seed " << seed << " step " << i;
  }
}

TEST(Gcra, IsVirtualScheduling) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    compare_with_model<VirtualScheduling>(LimitAlgorithm::gcra, seed);
  }
}
TEST(SlidingLog, IsACountOfTheLastPeriod) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    compare_with_model<History>(LimitAlgorithm::sliding_log, seed);
  }
}
TEST(FixedWindow, IsACountOfTheWindow) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    compare_with_model<History>(LimitAlgorithm::fixed_window, seed);
  }
}
TEST(SlidingWindow, IsTheWeightedCountOfTwoWindows) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    compare_with_model<History>(LimitAlgorithm::sliding_window, seed);
  }
}

TEST(Gcra, NeverAdmitsMoreThanBurstPlusRateInAnyInterval) {
  SeededRandom random(3);
  const LimitRule rule =
      make_limit_rule(policy_of("test", LimitAlgorithm::gcra, 7, Duration(100), 5));
  Subject subject(rule);
  std::vector<Nanos> admitted;
  for (Nanos now = kStart; now < kStart + 5 * kSecond;) {
    now += static_cast<Nanos>(random.below(6)) * kNanosPerMs;
    if (subject.take(now)) admitted.push_back(now);
  }
  ASSERT_GT(admitted.size(), 300u);
  for (std::size_t i = 0; i < admitted.size(); ++i) {
    for (std::size_t j = i; j < admitted.size(); ++j) {
      const Int128 interval = admitted[j] - admitted[i];
      const auto count = static_cast<std::int64_t>(j - i + 1);
      ASSERT_LE((count - rule.burst) * static_cast<Int128>(rule.period), interval * rule.limit);
    }
  }
}

// ---- Properties of every algorithm ----

TEST(LimitAlgorithms, RetryIsTheFirstInstantOfAdmission) {
  for (const LimitRule& rule : one_of_each()) {
    SeededRandom random(5);
    Subject subject(rule);
    Nanos now = kStart;
    int refusals = 0;
    for (int i = 0; i < 2000; ++i) {
      now += static_cast<Nanos>(random.below(90)) * kNanosPerMs;
      const auto cost = static_cast<std::int64_t>(1 + random.below(6));
      const LimitReading reading = subject.look(now, cost);
      if (reading.admits) {
        ASSERT_EQ(reading.admitted_at, now);
        subject.take(now, cost);
      } else if (reading.admitted_at != kNever) {
        ++refusals;
        ASSERT_GT(reading.admitted_at, now);
        // Two looks at what would happen with nothing in between; time then goes on from the later.
        ASSERT_FALSE(subject.look(reading.admitted_at - 1, cost).admits) << "step " << i;
        ASSERT_TRUE(subject.look(reading.admitted_at, cost).admits) << "step " << i;
        now = reading.admitted_at;
      }
    }
    EXPECT_GT(refusals, 20) << static_cast<int>(rule.algorithm);
  }
}

TEST(LimitAlgorithms, RemainingIsTheLargestCostAdmitted) {
  for (const LimitRule& rule : one_of_each()) {
    SeededRandom random(6);
    Subject subject(rule);
    Nanos now = kStart;
    for (int i = 0; i < 500; ++i) {
      now += static_cast<Nanos>(random.below(300)) * kNanosPerMs;
      const std::int64_t remaining = subject.look(now).remaining;
      ASSERT_FALSE(subject.look(now, remaining + 1).admits);
      if (remaining > 0) {
        ASSERT_TRUE(subject.look(now, remaining).admits);
      }
      subject.take(now, static_cast<std::int64_t>(1 + random.below(3)));
    }
  }
}

TEST(LimitAlgorithms, FullIsTheFirstInstantThatNothingIsUsed) {
  for (const LimitRule& rule : one_of_each()) {
    Subject subject(rule);
    subject.take(kStart, 3);
    const std::int64_t all = rule.algorithm == LimitAlgorithm::gcra ? rule.burst : rule.limit;

    const Nanos full_at = subject.look(kStart).full_at;

    ASSERT_GT(full_at, kStart);
    EXPECT_LT(subject.look(full_at - 1).remaining, all) << static_cast<int>(rule.algorithm);
    EXPECT_EQ(subject.look(full_at).remaining, all) << static_cast<int>(rule.algorithm);
    EXPECT_EQ(subject.look(full_at).full_at, full_at);
  }
}

TEST(LimitAlgorithms, ACostBeyondTheCapacityIsNeverAdmitted) {
  for (const LimitRule& rule : one_of_each()) {
    Subject subject(rule);
    const std::int64_t all = rule.algorithm == LimitAlgorithm::gcra ? rule.burst : rule.limit;

    EXPECT_EQ(subject.look(kStart, all + 1).admitted_at, kNever);
    subject.take(kStart, 1);
    EXPECT_EQ(subject.look(kStart, all + 1).admitted_at, kNever);
  }
}

TEST(LimitAlgorithms, RefundUndoesAChargeAndNeverGoesBeyondFull) {
  for (const LimitRule& rule : one_of_each()) {
    Subject subject(rule);
    const std::int64_t all = subject.look(kStart).remaining;
    subject.take(kStart, 4);

    subject.give_back(kStart, 3);
    EXPECT_EQ(subject.look(kStart).remaining, all - 1) << static_cast<int>(rule.algorithm);

    subject.give_back(kStart, 1'000'000);
    EXPECT_EQ(subject.look(kStart).remaining, all) << static_cast<int>(rule.algorithm);
    EXPECT_EQ(subject.take_all(kStart), all) << static_cast<int>(rule.algorithm);
  }
}

// ---- Clocks that go back ----

TEST(LimitAlgorithms, AClockThatGoesBackNeverAdmitsMore) {
  for (const LimitRule& rule : one_of_each()) {
    for (const Nanos jump :
         {Nanos{1}, 500 * kNanosPerMs, 70 * kSecond, 86'400 * kSecond, 400 * 86'400 * kSecond}) {
      Subject subject(rule);
      subject.take_all(kStart);

      EXPECT_EQ(subject.take_all(kStart - jump), 0) << static_cast<int>(rule.algorithm);
    }
  }
}

TEST(LimitAlgorithms, AClockThatGoesBackDeniesForABoundedTime) {
  // The longest each may deny after the jump: tau + T, a period, one window more than usual.
  const std::vector<Nanos> bounds{6 * kSecond / 7 + 1, 3 * kSecond,   kSecond,
                                  2 * kSecond,         120 * kSecond, 62 * 86'400 * kSecond};
  const std::vector<LimitRule> rules = one_of_each();
  for (std::size_t i = 0; i < rules.size(); ++i) {
    Subject subject(rules[i]);
    subject.take_all(kStart);
    const Nanos jumped = kStart - 4000 * 86'400 * kSecond;

    EXPECT_FALSE(subject.take(jumped));
    EXPECT_TRUE(subject.corrected()) << static_cast<int>(rules[i].algorithm);

    EXPECT_TRUE(subject.take(jumped + bounds[i])) << static_cast<int>(rules[i].algorithm);
  }
}

TEST(FixedWindow, AWindowReachedStaysCurrentWhenTheClockStepsBackBehindIt) {
  Subject subject(policy_of("test", LimitAlgorithm::fixed_window, 2, Duration(1000)));
  ASSERT_TRUE(subject.take(kStart + kSecond));

  EXPECT_TRUE(subject.take(kStart + kSecond - 1));
  EXPECT_FALSE(subject.corrected());
  EXPECT_FALSE(subject.take(kStart + kSecond - 1));
  EXPECT_FALSE(subject.take(kStart + kSecond));
  EXPECT_EQ(subject.look(kStart + kSecond).admitted_at, kStart + 2 * kSecond);
}

TEST(LimitAlgorithms, OverAnElapsedPeriodNoMoreIsAdmittedThanTheLimitsAllowWhateverTheClockDoes) {
  // Elapsed time goes on while the wall clock jumps back at random; a fixed window may at worst end
  // with one limit and begin with another, so two limits fit in one elapsed period.
  for (const LimitAlgorithm algorithm : {LimitAlgorithm::sliding_log, LimitAlgorithm::fixed_window,
                                         LimitAlgorithm::sliding_window}) {
    const LimitRule rule = make_limit_rule(policy_of("test", algorithm, 5, Duration(1000)));
    const std::size_t most = algorithm == LimitAlgorithm::sliding_log ? 5 : 10;
    SeededRandom random(9);
    Subject subject(rule);
    Nanos offset = kStart;
    std::vector<Nanos> admitted;
    for (Nanos elapsed = 0; elapsed < 100 * kSecond; elapsed += 20 * kNanosPerMs) {
      if (random.below(40) == 0) offset -= static_cast<Nanos>(random.below(5000)) * kNanosPerMs;
      if (subject.take(offset + elapsed)) admitted.push_back(elapsed);
    }
    ASSERT_GT(admitted.size(), 50u);
    for (std::size_t i = 0; i + most < admitted.size(); ++i) {
      ASSERT_GE(admitted[i + most] - admitted[i], rule.period) << static_cast<int>(algorithm);
    }
  }
}

// ---- The log's memory ----

TEST(AdmissionLog, CoarsenedItAdmitsLessNeverMore) {
  const LimitRule rule =
      make_limit_rule(policy_of("test", LimitAlgorithm::sliding_log, 50, Duration(1000)));
  SeededRandom random(4);
  History exact(rule);
  LimitMemory memory = fresh_memory(rule);
  Nanos now = kStart;
  std::int64_t admitted = 0;
  for (int i = 0; i < 3000; ++i) {
    now += static_cast<Nanos>(random.below(20)) * kNanosPerMs;
    settle(rule, memory, now);
    if (!read_limit(rule, memory, now, 1).admits) continue;
    ASSERT_TRUE(exact.take(now, 1)) << "step " << i;
    charge(rule, memory, now, 1);
    ++admitted;
    AdmissionLog& log = *std::get<SlidingLogMemory>(memory).log;
    if (log.live().size() > 12) log.coarsen();
  }
  EXPECT_GT(admitted, 500);
}

TEST(AdmissionLog, GivesItsMemoryBackWhenABurstIsOver) {
  const LimitRule rule =
      make_limit_rule(policy_of("test", LimitAlgorithm::sliding_log, 10'000, Duration(1000)));
  LimitMemory memory = fresh_memory(rule);
  for (int i = 0; i < 10'000; ++i) charge(rule, memory, kStart + i, 1);
  const AdmissionLog& log = *std::get<SlidingLogMemory>(memory).log;
  ASSERT_GE(log.capacity(), 10'000u);

  settle(rule, memory, kStart + kSecond + 9'990);

  EXPECT_EQ(log.total(), 9);
  EXPECT_LT(log.capacity(), 100u);
}

}  // namespace
}  // namespace redoubt::local
