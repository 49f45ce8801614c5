#include "base/random.hpp"
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace redoubt {
namespace {

// The definition, tried every way. Exponential: for short texts only.
bool matches_by_definition(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (matches_by_definition(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }
  if (text.empty()) return false;
  if (pattern.front() == '?') return matches_by_definition(pattern.substr(1), text.substr(1));
  if (pattern.front() == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
  return pattern.front() == text.front() &&
         matches_by_definition(pattern.substr(1), text.substr(1));
}

struct Case {
  std::string_view pattern;
  std::string_view text;
  bool matches;
};

constexpr Case kCases[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything", true},
    {"**", "", true},
    {"?", "", false},
    {"?", "a", true},
    {"?", "ab", false},
    {"a", "a", true},
    {"a", "b", false},
    {"user:*", "user:", true},
    {"user:*", "user:1:name", true},
    {"user:*", "users:1", false},
    {"*:name", "user:1:name", true},
    {"*:name", "user:1:name:", false},
    {"user:*:name", "user:1:name", true},
    {"user:*:name", "user:name", false},
    {"user:*:name", "user::name", true},
    {"a*a", "a", false},
    {"a*a", "aa", true},
    {"*ab*ab*", "ab", false},
    {"*ab*ab*", "abab", true},
    {"*a?c*", "xxabcxx", true},
    {"*a?c*", "xxacxx", false},
    {"*a?", "aaab", true},
    {"?*?", "a", false},
    {"?*?", "ab", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"\\?", "?", true},
    {"\\?", "a", false},
    {"\\\\", "\\", true},
    {"\\a", "a", true},
    {"\\", "\\", true},
    {"a\\", "a\\", true},
    {"*\\*", "abc*", true},
    {"*\\**", "a*b", true},
    {"*\\**", "ab", false},
    {"*\\?b*", "a?b", true},
    {"*\\?b*", "aab", false},
    {"[ab]", "a", false},
    {"[ab]", "[ab]", true},
    {"A", "a", false},
};

TEST(Glob, FollowsItsTable) {
  for (const Case& c : kCases) {
    EXPECT_EQ(glob_match(c.pattern, c.text), c.matches) << c.pattern << " on " << c.text;
  }
}

TEST(Glob, AgreesWithItsDefinitionOnRandomPatterns) {
  SeededRandom random(1);
  const auto draw = [&random](std::string_view alphabet, std::size_t size_max) {
    std::string text;
    for (std::uint64_t size = random.below(size_max + 1); size > 0; --size) {
      text += alphabet[random.below(alphabet.size())];
    }
    return text;
  };
  int matched = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string pattern = draw("ab?*\\", 8);
    const std::string text = draw("ab*\\", 10);
    const bool expected = matches_by_definition(pattern, text);
    ASSERT_EQ(glob_match(pattern, text), expected) << pattern << " on " << text;
    matched += expected;
  }
  EXPECT_GT(matched, 1000);
}

TEST(Glob, FindsSegmentsAcrossTheWordsOfItsBitSet) {
  for (const std::size_t size : {1u, 63u, 64u, 65u, 127u, 128u, 129u, 300u}) {
    const std::string pattern = "*" + std::string(size - 1, 'a') + "?b*";
    EXPECT_TRUE(glob_match(pattern, std::string(500, 'a') + "cb.")) << size;
    EXPECT_FALSE(glob_match(pattern, std::string(500, 'a') + "c.")) << size;
    EXPECT_FALSE(glob_match(pattern, std::string(size - 1, 'a') + "b")) << size;
  }
}

// Each of these takes hours by backtracking. The limit of the test program is the assertion.
TEST(Glob, StaysLinearOnHostilePatterns) {
  const std::string text(1 << 20, 'a');
  const std::string run(10'000, 'a');
  std::string stars;
  for (int i = 0; i < 2500; ++i) stars += "*a?a";

  EXPECT_FALSE(glob_match("*" + run + "b", text));
  EXPECT_FALSE(glob_match("*" + run + "b*", text));
  EXPECT_FALSE(glob_match("*" + std::string(3000, 'a') + "?b*", text));
  EXPECT_FALSE(glob_match(stars + "b", text));
  EXPECT_TRUE(glob_match(stars, text));
  EXPECT_TRUE(glob_match(std::string(10'000, '*'), text));
}

}  // namespace
}  // namespace redoubt
