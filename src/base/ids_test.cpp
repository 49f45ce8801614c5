#include "base/ids.hpp"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace redoubt {
namespace {

constexpr WallTime kNow{0x0123456789ab};

TEST(Ids, RoundTripThroughTheirText) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) {
    const Id128 id = new_id(kNow, random);
    const std::string text = format_id("ses_", id);
    ASSERT_EQ(text.size(), 26u);
    Id128 parsed{};
    ASSERT_TRUE(parse_id("ses_", text, parsed));
    ASSERT_EQ(parsed, id);
  }
}

TEST(Ids, BeginWithTheirMillisecondAndSortByIt) {
  SeededRandom random(1);
  const Id128 id = new_id(kNow, random);

  EXPECT_EQ(to_hex(id).substr(0, 12), "0123456789ab");
  for (int i = 0; i < 100; ++i) {
    EXPECT_LT(format_id("", new_id({1'800'000'000'000 + i}, random)),
              format_id("", new_id({1'800'000'000'001 + i}, random)));
  }
}

TEST(Ids, OfOneMillisecondAreDifferent) {
  SeededRandom random(1);
  std::set<Id128> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(new_id(kNow, random));
  EXPECT_EQ(ids.size(), 1000u);
}

TEST(Ids, RefuseAnotherPrefixLengthOrAlphabet) {
  SeededRandom random(1);
  const std::string text = format_id("ses_", new_id(kNow, random));
  Id128 out;

  EXPECT_FALSE(parse_id("key_", text, out));
  EXPECT_FALSE(parse_id("ses_", text + "0", out));
  EXPECT_FALSE(parse_id("ses_", text.substr(0, text.size() - 1), out));
  EXPECT_FALSE(parse_id("ses_", "ses_", out));
  EXPECT_FALSE(parse_id("ses_", "", out));
  EXPECT_FALSE(parse_id("ses_", "ses_" + std::string(22, '-'), out));
  EXPECT_FALSE(parse_id("ses_", "ses_" + std::string(22, 'z'), out));  // Beyond 2^64.
}

TEST(Uuid7, HasTheShapeOfRfc9562) {
  const std::regex shape("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  FastRandom random(1);
  for (int i = 0; i < 200; ++i) {
    std::string text = "id=";
    append_uuid7(text, kNow, random);
    ASSERT_EQ(text.substr(0, 3), "id=");
    ASSERT_TRUE(std::regex_match(text.substr(3), shape)) << text;
    ASSERT_EQ(text.substr(3, 13), "01234567-89ab");
  }
}

TEST(Uuid7, UsesAllItsRandomBits) {
  FastRandom random(1);
  std::array<std::set<char>, 36> seen;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    append_uuid7(text, kNow, random);
    for (std::size_t at = 0; at < text.size(); ++at) seen[at].insert(text[at]);
  }
  for (std::size_t at = 15; at < 36; ++at) {
    const bool dash = at == 18 || at == 23;
    const std::size_t expected = dash ? 1 : at == 19 ? 4 : 16;
    EXPECT_EQ(seen[at].size(), expected) << at;
  }
}

}  // namespace
}  // namespace redoubt
