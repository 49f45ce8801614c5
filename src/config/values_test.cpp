#include "config/values.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

template <class Parse>
std::string outcome(Parse parse, std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) return "wrong: " + parsed.error();
  std::string out;
  for (const auto& item : *parsed) {
    if (!out.empty()) out += ' ';
    if constexpr (std::is_same_v<std::decay_t<decltype(item)>, ListenAddress>) {
      out += format(item);
    } else {
      out += item;
    }
  }
  return out;
}

struct Row {
  std::string_view text;
  std::string_view expected;  // "wrong" alone: any refusal.
};

template <class Parse, std::size_t N>
void expect_rows(Parse parse, const Row (&rows)[N]) {
  for (const auto& row : rows) {
    const auto got = outcome(parse, row.text);
    if (row.expected == "wrong") {
      EXPECT_TRUE(got.starts_with("wrong: ")) << row.text << " gave " << got;
    } else {
      EXPECT_EQ(got, row.expected) << row.text;
    }
  }
}

TEST(ListenAddresses, ReadEveryWayToWriteAnAddress) {
  constexpr Row kRows[] = {
      {"127.0.0.1:3284", "127.0.0.1:3284"},
      {"3284", "127.0.0.1:3284"},
      {"*:3284", "0.0.0.0:3284"},
      {"localhost:80", "127.0.0.1:80"},
      {"[::1]:3284", "[::1]:3284"},
      {"[::]:0", "[::]:0"},
      {" 127.0.0.1:1 , [0:0:0:0:0:0:0:1]:2", "127.0.0.1:1 [::1]:2"},
      {"127.0.0.1:0,127.0.0.1:0", "127.0.0.1:0 127.0.0.1:0"},
      {"none", ""},
      {"", ""},
  };
  expect_rows(listen_addresses, kRows);
}

TEST(ListenAddresses, RefuseWhatIsNotOne) {
  constexpr Row kRows[] = {
      {"::1:3284", "wrong"},        {"[127.0.0.1]:80", "wrong"}, {"example.com:80", "wrong"},
      {"127.0.0.1:65536", "wrong"}, {"127.0.0.1:-1", "wrong"},   {"127.0.0.1:", "wrong"},
      {"127.0.0.1", "wrong"},       {":3284", "wrong"},          {"1.2.3.4:80,", "wrong"},
      {"80,80", "wrong"},           {"300.0.0.1:80", "wrong"},   {"[]:80", "wrong"},
  };
  expect_rows(listen_addresses, kRows);
}

TEST(Networks, AreCanonicalAfterParsing) {
  constexpr Row kRows[] = {
      {"10.0.0.0/8", "10.0.0.0/8"},
      {"192.0.2.7", "192.0.2.7/32"},
      {"::1", "::1/128"},
      {"2001:DB8::/32, 0.0.0.0/0", "2001:db8::/32 0.0.0.0/0"},
      {"none", ""},
  };
  expect_rows(networks, kRows);
}

TEST(Networks, RefuseBitsAfterThePrefixAndSuggestTheNetwork) {
  EXPECT_EQ(networks("10.0.0.1/8").error(),
            "\"10.0.0.1/8\" has bits set after its prefix; did you mean 10.0.0.0/8?");
  constexpr Row kRows[] = {
      {"10.0.0.0/33", "wrong"}, {"::/129", "wrong"},       {"10.0.0.0/", "wrong"},
      {"10.0.0/8", "wrong"},    {"10.0.0.0/-1", "wrong"},  {"proxy", "wrong"},
      {"fe80::1%1", "wrong"},   {"10.0.0.0/8,,", "wrong"},
  };
  expect_rows(networks, kRows);
}

TEST(Origins, AreWhatABrowserSends) {
  constexpr Row kRows[] = {
      {"https://app.example.com", "https://app.example.com"},
      {"HTTP://LocalHost:3000", "http://localhost:3000"},
      {"http://[::1]:3000", "http://[::1]:3000"},
      {"*", "*"},
      {"none", ""},
      {"https://a.b/", "wrong"},
      {"a.b", "wrong"},
      {"https://", "wrong"},
      {"ftp://a.b", "wrong"},
      {"https://user@a.b", "wrong"},
      {"*, https://a.b", "wrong"},
  };
  expect_rows(origins, kRows);
}

TEST(Values, NameTheRangeAndTheValueOutsideIt) {
  EXPECT_EQ(duration_in("2h", 1s, 1h).error(), "must be between 1s and 1h, but is 2h");
  EXPECT_EQ(integer_in("0", 1, 9).error(), "must be between 1 and 9, but is 0");
  EXPECT_EQ(size_in("1gb", 1u << 10, 1u << 20).error(), "must be between 1kb and 1mb, but is 1gb");
  EXPECT_EQ(*duration_in("1h", 1s, 1h), Duration(1h));
  EXPECT_EQ(*duration_in("1", 1s, 1h), Duration(1s));
  EXPECT_EQ(*integer_in("9", 1, 9), 9);
  EXPECT_EQ(*size_in("1mb", 1u << 10, 1u << 20), 1u << 20);
}

TEST(Values, RefuseWhatIsNotOfTheirKind) {
  for (const auto* text : {"", " ", "soon", "5 s", "-5s", "1e3"}) {
    EXPECT_FALSE(duration_in(text, 0s, 1h)) << text;
  }
  for (const auto* text : {"", "1.0", "0x10", "12a", "99999999999999999999"}) {
    EXPECT_FALSE(integer_in(text, 0, INT64_MAX)) << text;
  }
  for (const auto* text : {"", "mb", "-1", "1tbb", "99999999999gb"}) {
    EXPECT_FALSE(size_in(text, 0, UINT64_MAX)) << text;
  }
  for (const auto* text : {"", "maybe", "2", "truee"}) EXPECT_FALSE(boolean(text)) << text;
}

TEST(Values, QuoteTextSoThatItCannotForgeALine) {
  EXPECT_EQ(quote("a\n\"b\"\x7f"), "\"a\\x0a\\x22b\\x22\\x7f\"");
  EXPECT_EQ(quote(std::string(100, 'x')), "\"" + std::string(60, 'x') + "...\"");
}

TEST(Values, PrintSizesInTheLargestUnitThatIsExact) {
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(1023), "1023");
  EXPECT_EQ(format_size(64u << 20), "64mb");
  EXPECT_EQ(format_size((1u << 20) + 1024), "1025kb");
}

}  // namespace
}  // namespace redoubt::config
