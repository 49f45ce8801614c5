#include "services/tenants/api_key_token.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::tenants {
namespace {

std::string sample(std::uint64_t seed = 1) {
  SeededRandom random(seed);
  Key256 secret;
  random.fill(secret);
  return format_api_key(format_id("", new_id({1'800'000'000'000}, random)), secret);
}

TEST(ApiKeyToken, HasOneFixedForm) {
  const std::string token = sample();
  ASSERT_EQ(token.size(), 78U);
  const auto parsed = parse_api_key(token);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->id, token.substr(4, 22));
  EXPECT_EQ(parsed->hashed, token.substr(0, 71));
}

TEST(ApiKeyToken, RefusesEverySingleChangedCharacter) {
  const std::string token = sample();
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (const char c : std::string_view("09AZaz_-. \0\xff", 12)) {
      std::string bent = token;
      if (bent[i] == c) continue;
      bent[i] = c;
      EXPECT_FALSE(parse_api_key(bent)) << i;
    }
  }
}

TEST(ApiKeyToken, RefusesEveryFlippedBit) {
  const std::string token = sample();
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string bent = token;
    bent[bit / 8] = static_cast<char>(bent[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(parse_api_key(bent)) << bit;
  }
}

TEST(ApiKeyToken, RefusesOtherLengthsAndOtherTexts) {
  const std::string token = sample();
  for (std::size_t size = 0; size < token.size(); ++size) {
    EXPECT_FALSE(parse_api_key(token.substr(0, size)));
    EXPECT_FALSE(parse_api_key(token.substr(token.size() - size)));
  }
  EXPECT_FALSE(parse_api_key(token + "0"));
  EXPECT_FALSE(parse_api_key(" " + token));
  EXPECT_FALSE(parse_api_key(std::string(1 << 20, 'a')));
}

// A group of eleven digits can write numbers beyond eight bytes; with a checksum that fits, only
// the strict decoder stands against it.
TEST(ApiKeyToken, RefusesASecondSpellingWithAGoodChecksum) {
  std::string text = "rdk_" + std::string(22, 'z') + "_" + std::string(44, 'z');
  const std::uint32_t crc = crc32(text);
  text += '_';
  append_crc62(text, crc);
  EXPECT_FALSE(parse_api_key(text));
}

}  // namespace
}  // namespace redoubt::tenants
