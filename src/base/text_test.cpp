#include "base/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace redoubt {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

struct DurationCase {
  std::string_view text;
  std::int64_t ms;
};

constexpr DurationCase kDurations[] = {
    {"0", 0},
    {"5", 5000},
    {"0.5", 500},
    {"0.001", 1},
    {"1.250", 1250},
    {"0.5000000000000", 500},
    {"005", 5000},
    {"0ms", 0},
    {"250ms", 250},
    {"5s", 5000},
    {"1.5s", 1500},
    {"90s", 90'000},
    {"2m", 120'000},
    {"1h", 3'600'000},
    {"1.5h", 5'400'000},
    {"1h30m", 5'400'000},
    {"1h90m", 9'000'000},
    {"2d", 172'800'000},
    {"1d2h3m4s5ms", 93'784'005},
    {"1d5ms", 86'400'005},
    {"0.0009765625d", 84'375},
    {"36525d", 3'155'760'000'000},
    {"3155760000", 3'155'760'000'000},
};

TEST(Duration, ReadsEveryFormOfItsGrammar) {
  for (const DurationCase& c : kDurations) {
    EXPECT_EQ(parse_duration(c.text), Duration(c.ms)) << c.text;
  }
}

TEST(Duration, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      " ",
                                      "s",
                                      "ms",
                                      "-5",
                                      "+5",
                                      "5 ",
                                      " 5",
                                      "5 s",
                                      "5S",
                                      "5M",
                                      "5H",
                                      "5sec",
                                      "5us",
                                      "5w",
                                      "5y",
                                      "1h30",
                                      "30m1h",
                                      "1m1m",
                                      "1s1s",
                                      "5ms1s",
                                      "1h.5m",
                                      "1.5h1m",
                                      "1h1.5m",
                                      ".5",
                                      "5.",
                                      "5.s",
                                      "1..5",
                                      "1.5.5",
                                      "0.0005",
                                      "0.5ms",
                                      "1e3",
                                      "0x10",
                                      "inf",
                                      "nan",
                                      "5,5",
                                      "36525d1ms",
                                      "36526d",
                                      "3155760001",
                                      "99999999999999999999",
                                      "18446744073709551616ms",
                                      "0.99999999999d",
                                      "1h\n",
                                      "\xd9\xa5s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
  EXPECT_FALSE(parse_duration("5\0"s));
}

TEST(Duration, IsWrittenInTheSameGrammar) {
  EXPECT_EQ(format_duration(0ms), "0s");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(90min), "1h30m");
  EXPECT_EQ(format_duration(1500ms), "1s500ms");
  EXPECT_EQ(format_duration(48h), "2d");
  EXPECT_EQ(format_duration(-5s), "-5s");
  EXPECT_EQ(format_duration(Duration::min()), "-106751991167d7h12m55s808ms");
}

TEST(Duration, RoundTrips) {
  for (const DurationCase& c : kDurations) {
    EXPECT_EQ(parse_duration(format_duration(Duration(c.ms))), Duration(c.ms)) << c.text;
  }
  for (std::int64_t ms = 1; ms < 3'155'760'000'000; ms = ms * 3 + 7) {
    ASSERT_EQ(parse_duration(format_duration(Duration(ms))), Duration(ms));
  }
}

struct SizeCase {
  std::string_view text;
  std::uint64_t bytes;
};

TEST(Size, ReadsPowersOf1024InAnyCase) {
  constexpr SizeCase kSizes[] = {
      {"0", 0},
      {"1000", 1000},
      {"1000b", 1000},
      {"1000B", 1000},
      {"64k", 65'536},
      {"64kb", 65'536},
      {"64KiB", 65'536},
      {"256mb", 268'435'456},
      {"256M", 268'435'456},
      {"2gb", 2'147'483'648},
      {"2GIB", 2'147'483'648},
      {"1t", 1'099'511'627'776},
      {"16777215t", 18'446'742'974'197'923'840u},
      {"18446744073709551615", 18'446'744'073'709'551'615u},
  };
  for (const SizeCase& c : kSizes) EXPECT_EQ(parse_size(c.text), c.bytes) << c.text;
}

TEST(Size, RefusesEverythingElse) {
  for (const std::string_view text : {"",
                                      "b",
                                      "kb",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1 kb",
                                      "1.5gb",
                                      "1kk",
                                      "1ib",
                                      "1bb",
                                      "1kbb",
                                      "1ki",
                                      "1p",
                                      "1e6",
                                      "0x10",
                                      "16777216t",
                                      "18446744073709551616",
                                      "17179869184g"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Int, ReadsWholeDecimalTextsOnly) {
  EXPECT_EQ(parse_int("0"), 0);
  EXPECT_EQ(parse_int("-7"), -7);
  EXPECT_EQ(parse_int("007"), 7);
  EXPECT_EQ(parse_int("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_int("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  for (const std::string_view text : {"", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "1a", "--1",
                                      "9223372036854775808", "-9223372036854775809"}) {
    EXPECT_FALSE(parse_int(text)) << text;
  }
}

TEST(Bool, ReadsTheUsualWordsInAnyCase) {
  for (const std::string_view text : {"true", "TRUE", "1", "yes", "Yes", "on", "ON"}) {
    EXPECT_EQ(parse_bool(text), true) << text;
  }
  for (const std::string_view text : {"false", "False", "0", "no", "NO", "off"}) {
    EXPECT_EQ(parse_bool(text), false) << text;
  }
  for (const std::string_view text : {"", "t", "f", "y", "2", " true", "true ", "truee", "-1"}) {
    EXPECT_FALSE(parse_bool(text).has_value()) << text;
  }
}

TEST(Text, TrimsAsciiSpaceAtBothEnds) {
  EXPECT_EQ(trim(" \t a b \r\n"), "a b");
  EXPECT_EQ(trim(" \n "), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, SplitKeepsEmptyParts) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split("a,b", ','), (Parts{"a", "b"}));
  EXPECT_EQ(split(",a,,", ','), (Parts{"", "a", "", ""}));
  EXPECT_EQ(split("", ','), (Parts{""}));
}

TEST(Text, FoldsAsciiCaseOnly) {
  EXPECT_EQ(to_lower("AbZ[\xc3\x84"), "abz[\xc3\x84");
  EXPECT_TRUE(iequals("Content-Type", "content-TYPE"));
  EXPECT_FALSE(iequals("a", "ab"));
  EXPECT_FALSE(iequals("@", "`"));
  EXPECT_FALSE(iequals("[", "{"));
}

TEST(Percent, DecodesBothCasesAndAnyByte) {
  EXPECT_EQ(percent_decode("a%2fb%2Fc", false), "a/b/c");
  EXPECT_EQ(percent_decode("%00%ff", false), "\0\xff"s);
  EXPECT_EQ(percent_decode("a+b", false), "a+b");
  EXPECT_EQ(percent_decode("a+b%2B", true), "a b+");
  EXPECT_EQ(percent_decode("%252e", false), "%2e");
  EXPECT_EQ(percent_decode("", false), "");
}

TEST(Percent, RefusesBadEscapes) {
  for (const std::string_view text :
       {"%", "%2", "%g0", "%0g", "a%", "%%20", "% 20", "%-1", "%+1"}) {
    EXPECT_FALSE(percent_decode(text, false)) << text;
    EXPECT_FALSE(percent_decode(text, true)) << text;
  }
}

TEST(Percent, EncodesAllButTheUnreservedCharacters) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b/c?d&e%\xc3\xa4"), "a%20b%2Fc%3Fd%26e%25%C3%A4");
}

TEST(Percent, RoundTripsEveryByte) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(percent_decode(percent_encode(all), false), all);
  EXPECT_EQ(percent_decode(percent_encode(all), true), all);
}

}  // namespace
}  // namespace redoubt
