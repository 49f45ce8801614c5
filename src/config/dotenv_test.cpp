#include "config/dotenv.hpp"

#include <gtest/gtest.h>

namespace redoubt::config {
namespace {

std::string value_of(std::string_view text, const std::string& name = "A") {
  const auto values = parse_dotenv(text);
  if (!values) return "wrong: " + values.error();
  const auto found = values->find(name);
  return found == values->end() ? "absent" : found->second.text;
}

TEST(Dotenv, ReadsTheCommonGrammar) {
  struct Row {
    std::string_view text;
    std::string_view expected;
  };
  constexpr Row kRows[] = {
      {"A=1", "1"},
      {"A=1\r\nB=2\r\n", "1"},
      {"  A = 1  ", "1"},
      {"export A=1", "1"},
      {"A=", ""},
      {"A=one two", "one two"},
      {"A=1 # a comment", "1"},
      {"A=a#b", "a#b"},
      {"A= # nothing", ""},
      {"A='one # two'", "one # two"},
      {"A='$HOME \\n'", "$HOME \\n"},
      {"A=\"a\\n\\t\\\"\\\\\\$\"", "a\n\t\"\\$"},
      {"A=\"x\" # a comment", "x"},
      {"A='one\ntwo'\nB=2", "one\ntwo"},
      {"A=1\nA=2", "2"},
      {"# A=1", "absent"},
      {"\n\n  \nA=1", "1"},
      {"\xef\xbb\xbf"
       "A=1",
       "1"},
      {"A=b=c", "b=c"},
      {"", "absent"},
  };
  for (const auto& row : kRows) EXPECT_EQ(value_of(row.text), row.expected) << row.text;
}

TEST(Dotenv, NamesTheLineThatIsWrong) {
  EXPECT_EQ(value_of("A=1\nwhat\n"), "wrong: line 2: expected NAME=value");
  EXPECT_EQ(value_of("A='one\ntwo'\n\n2B=1"), "wrong: line 4: \"2B\" is not a name");
  EXPECT_EQ(value_of("A='open"), "wrong: line 1: no closing '");
  EXPECT_EQ(value_of("A=\"open"), "wrong: line 1: no closing \"");
  EXPECT_EQ(value_of("A='x' y"), "wrong: line 1: only a comment may follow the closing quote");
  EXPECT_TRUE(value_of("A=\"\\x\"").starts_with("wrong: line 1: a backslash"));
  EXPECT_TRUE(value_of("A B=1").starts_with("wrong: line 1"));
  EXPECT_TRUE(value_of("=1").starts_with("wrong: line 1"));
}

TEST(Dotenv, KeepsTheLineOfEachValue) {
  const auto values = parse_dotenv("# top\nA=\"1\n2\"\nB=3");
  ASSERT_TRUE(values);
  EXPECT_EQ(values->at("A").line, 2);
  EXPECT_EQ(values->at("B").line, 4);
}

TEST(Dotenv, MarksWhatAnotherReaderWouldExpand) {
  const auto values =
      parse_dotenv("A=${HOME}/x\nB=\"$HOME\"\nC='$HOME'\nD=\"\\$HOME\"\nE=cost: 5$\nF=$ 5");
  ASSERT_TRUE(values);
  EXPECT_TRUE(values->at("A").expands);
  EXPECT_TRUE(values->at("B").expands);
  EXPECT_FALSE(values->at("C").expands);
  EXPECT_FALSE(values->at("D").expands);
  EXPECT_FALSE(values->at("E").expands);
  EXPECT_FALSE(values->at("F").expands);
}

}  // namespace
}  // namespace redoubt::config
