#include "services/cache/names.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::cache {
namespace {

std::vector<std::string> names_of_entry(std::string_view key, std::vector<std::string> tags) {
  std::vector<std::string> names;
  any_name_of(key, tags, [&names](std::string_view name) {
    names.emplace_back(name);
    return false;
  });
  return names;
}

TEST(CacheNames, AnEntryAnswersToItsKeyItsFirstFourPrefixesAndItsTags) {
  EXPECT_EQ(names_of_entry("a:b:c:d:e:f", {"red", "blue"}),
            (std::vector<std::string>{"ka:b:c:d:e:f",
                                      "pa:", "pa:b:", "pa:b:c:", "pa:b:c:d:", "tred", "tblue"}));
  EXPECT_EQ(names_of_entry("plain", {}), std::vector<std::string>{"kplain"});
  EXPECT_EQ(names_of_entry("::", {}), (std::vector<std::string>{"k::", "p:", "p::"}));
}

TEST(CacheNames, StopsAtTheFirstNameThatIsWanted) {
  int visited = 0;
  const bool found = any_name_of("a:b", std::vector<std::string>{"t"}, [&](std::string_view name) {
    ++visited;
    return name == "pa:";
  });

  EXPECT_TRUE(found);
  EXPECT_EQ(visited, 2);
}

TEST(CacheNames, PatternsOfWholeSegmentsArePrefixes) {
  EXPECT_EQ(pattern_name("users:*"), "pusers:");
  EXPECT_EQ(pattern_name("users:42:***"), "pusers:42:");
  EXPECT_EQ(pattern_name("a:b:c:d:*"), "pa:b:c:d:");
  EXPECT_EQ(pattern_name("we\\*ird:*"), "pwe*ird:");
}

TEST(CacheNames, PatternsThatNeedMatchingAreGlobs) {
  EXPECT_EQ(pattern_name("a:b:c:d:e:*"), "ga:b:c:d:e:*");
  EXPECT_EQ(pattern_name("user*"), "guser*");
  EXPECT_EQ(pattern_name("*:stats"), "g*:stats");
  EXPECT_EQ(pattern_name("a?c*"), "ga?c*");
  EXPECT_EQ(pattern_name("a**b"), "ga*b");
}

TEST(CacheNames, StarsAloneAreEverythingAndTextAloneIsAKey) {
  EXPECT_EQ(pattern_name("*"), "");
  EXPECT_EQ(pattern_name(std::string(1000, '*')), "");
  EXPECT_EQ(pattern_name("users:42"), "kusers:42");
  EXPECT_EQ(pattern_name("\\*"), "k*");
  EXPECT_EQ(pattern_name("["), "k[");
  EXPECT_EQ(pattern_name("\\"), "k\\");
  EXPECT_EQ(pattern_name("\\**"), "g\\**");
  EXPECT_EQ(pattern_name("\\\\**"), "g\\\\*");
}

TEST(CacheNames, PrefixesAreLiteral) {
  EXPECT_EQ(prefix_name("users:"), "pusers:");
  EXPECT_EQ(prefix_name("users"), "gusers*");
  EXPECT_EQ(prefix_name("u*s"), "gu\\*s*");
  EXPECT_EQ(prefix_name("*:"), "p*:");
}

}  // namespace
}  // namespace redoubt::cache
