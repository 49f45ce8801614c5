#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt {
namespace {

using namespace std::string_literals;

// What RFC 3629 makes of a code point, written the plain way.
std::string encode(std::uint32_t c) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xc0 | c >> 6), tail(0)};
  if (c < 0x10000) return {static_cast<char>(0xe0 | c >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | c >> 18), tail(12), tail(6), tail(0)};
}

TEST(Utf8, AcceptsExactlyTheCodePointsThatAreNotSurrogates) {
  for (std::uint32_t c = 0; c < 0x120000; ++c) {
    const bool scalar = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    const std::string text = encode(c);
    ASSERT_EQ(is_utf8(text), scalar) << c;
    ASSERT_EQ(utf8_sequence(text), scalar ? text.size() : 0) << c;
  }
}

TEST(Utf8, AcceptsWholeTexts) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain text that is longer than a machine word"));
  EXPECT_TRUE(is_utf8("πολύτροπος 😀 and \0 too"s));
}

TEST(Utf8, RefusesOverlongTruncatedAndStrayBytesAnywhere) {
  const std::string wrong[] = {
      "\x80",
      "\xbf",
      "\xc0\x80",
      "\xc1\xbf",
      "\xe0\x80\x80",
      "\xe0\x9f\xbf",
      "\xed\xa0\x80",
      "\xf0\x80\x80\x80",
      "\xf0\x8f\xbf\xbf",
      "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80",
      "\xfe",
      "\xff",
      "\xc2",
      "\xe2\x82",
      "\xf0\x9f\x98",
      "\xc2\x41",
      "\xe2\x28\xa1",
      "\xe2\x82\x28",
      "\xf0\x28\x8c\xbc",
      "\xf0\x9f\x98\x28",
  };
  for (const std::string& bytes : wrong) {
    for (std::size_t before = 0; before < 10; ++before) {
      EXPECT_FALSE(is_utf8(std::string(before, 'a') + bytes));
      EXPECT_FALSE(is_utf8(std::string(before, 'a') + bytes + "tail of ascii"));
    }
  }
}

}  // namespace
}  // namespace redoubt
