#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace redoubt {
namespace {

using namespace std::chrono_literals;

TEST(SystemClock, BootTimeNeverGoesBack) {
  const SystemClock clock;
  BootTime last = clock.boot();
  for (int i = 0; i < 1000; ++i) {
    const BootTime now = clock.boot();
    EXPECT_LE(last, now);
    last = now;
  }
  EXPECT_GT(last.ns, 0);
}

TEST(SystemClock, WallTimeIsInThisCentury) {
  EXPECT_GT(SystemClock().wall().ms, 1'700'000'000'000);
  EXPECT_LT(SystemClock().wall().ms, 4'102'444'800'000);
}

TEST(ManualClock, MovesBothClocksTogetherAndKeepsTheRestOfAMillisecond) {
  ManualClock clock(WallTime{1000});
  const BootTime start = clock.boot();

  for (int i = 0; i < 4; ++i) clock.advance(250us);

  EXPECT_EQ(clock.wall().ms, 1001);
  EXPECT_EQ(clock.boot() - start, 1ms);
}

TEST(ManualClock, JumpsOfTheWallLeaveBootTimeAlone) {
  ManualClock clock(WallTime{1000});
  const BootTime start = clock.boot();

  clock.jump_wall(-1s);

  EXPECT_EQ(clock.wall().ms, 0);
  EXPECT_EQ(clock.boot(), start);
}

struct Instant {
  std::int64_t ms;
  std::string_view text;
};

constexpr Instant kInstants[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {-1, "1969-12-31T23:59:59.999Z"},
    {951'782'400'000, "2000-02-29T00:00:00.000Z"},
    {1'795'202'562'123, "2026-11-20T19:22:42.123Z"},
    {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
    {-62'167'219'200'000, "0000-01-01T00:00:00.000Z"},
};

TEST(Rfc3339, FormatsAndParsesTheSameInstants) {
  for (const Instant& instant : kInstants) {
    EXPECT_EQ(format_rfc3339({instant.ms}), instant.text);
    WallTime parsed;
    EXPECT_TRUE(parse_rfc3339(instant.text, parsed)) << instant.text;
    EXPECT_EQ(parsed.ms, instant.ms) << instant.text;
  }
}

TEST(Rfc3339, FormatsTimesOutsideItsYearsAsTheNearestInside) {
  EXPECT_EQ(format_rfc3339({INT64_MAX}), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(format_rfc3339({INT64_MIN}), "0000-01-01T00:00:00.000Z");
}

TEST(Rfc3339, ParsesOffsetsFractionsCasesAndLeapSeconds) {
  constexpr Instant kSpellings[] = {
      {0, "1970-01-01T00:00:00Z"},
      {0, "1970-01-01t00:00:00z"},
      {0, "1970-01-01T00:00:00+00:00"},
      {0, "1970-01-01T00:00:00-00:00"},
      {0, "1970-01-01T01:30:00+01:30"},
      {0, "1969-12-31T19:00:00-05:00"},
      {500, "1970-01-01T00:00:00.5Z"},
      {123, "1970-01-01T00:00:00.123999999Z"},
      {1, "1970-01-01T00:00:00.00100Z"},
      {1'483'228'800'000, "2016-12-31T23:59:60Z"},
      {1'483'228'800'000, "2017-01-01T00:59:60+01:00"},
  };
  for (const Instant& spelling : kSpellings) {
    WallTime parsed{-1};
    EXPECT_TRUE(parse_rfc3339(spelling.text, parsed)) << spelling.text;
    EXPECT_EQ(parsed.ms, spelling.ms) << spelling.text;
  }
}

TEST(Rfc3339, RefusesWhatIsNotAnInstant) {
  constexpr std::string_view kWrong[] = {
      "",
      "1970-01-01",
      "1970-01-01T00:00:00",
      "1970-01-01 00:00:00Z",
      "1970-01-01T00:00Z",
      "1970-01-01T24:00:00Z",
      "1970-01-01T00:60:00Z",
      "1970-01-01T00:00:60Z",
      "1970-01-01T00:00:61Z",
      "1970-00-01T00:00:00Z",
      "1970-13-01T00:00:00Z",
      "1970-01-00T00:00:00Z",
      "1970-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z",
      "1970-01-01T00:00:00.Z",
      "1970-01-01T00:00:00,5Z",
      "1970-01-01T00:00:00+1:00",
      "1970-01-01T00:00:00+0100",
      "1970-01-01T00:00:00+24:00",
      "1970-01-01T00:00:00+00:60",
      "1970-01-01T00:00:00ZZ",
      "1970-01-01T00:00:00Z ",
      " 1970-01-01T00:00:00Z",
      "+1970-01-01T00:00:00Z",
      "-970-01-01T00:00:00Z",
      "19700-01-01T00:00:00Z",
      "1970-1-1T0:0:0Z",
  };
  for (const std::string_view text : kWrong) {
    WallTime parsed;
    EXPECT_FALSE(parse_rfc3339(text, parsed)) << text;
  }
}

TEST(Rfc3339, RoundTripsEveryDayOfFourCenturies) {
  for (std::int64_t day = -25'567; day < 120'530; ++day) {
    const WallTime time{day * 86'400'000 + 86'399'999};
    WallTime parsed;
    ASSERT_TRUE(parse_rfc3339(format_rfc3339(time), parsed)) << day;
    ASSERT_EQ(parsed, time) << day;
  }
}

}  // namespace
}  // namespace redoubt
