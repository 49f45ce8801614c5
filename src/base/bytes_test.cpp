#include "base/bytes.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace redoubt {
namespace {

constexpr std::string_view kBase62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

Bytes random_bytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  random.fill(bytes);
  return bytes;
}

std::string base62(ByteView bytes) {
  std::string text;
  append_base62(text, bytes);
  return text;
}

TEST(Hex, RoundTripsAndReadsBothCases) {
  const Bytes bytes{0x00, 0x0f, 0xa0, 0xff};

  EXPECT_EQ(to_hex(bytes), "000fa0ff");
  EXPECT_EQ(from_hex("000FA0ff"), bytes);
  EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, RefusesOddLengthsAndOtherCharacters) {
  for (const std::string_view text : {"0", "000", "0g", "g0", "0x", " 0", "0 ", "0\0"}) {
    EXPECT_FALSE(from_hex(text)) << text;
  }
}

struct Vector {
  std::string_view plain;
  std::string_view padded;
  std::string_view url;
};

// RFC 4648 section 10, and bytes that need the last two digits.
constexpr Vector kBase64Vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/", "-_-_"},
};

TEST(Base64, GivesTheVectorsOfRfc4648) {
  for (const Vector& vector : kBase64Vectors) {
    const ByteView plain = as_bytes(vector.plain);
    EXPECT_EQ(to_base64(plain), vector.padded);
    EXPECT_EQ(to_base64url(plain), vector.url);
    EXPECT_EQ(from_base64(vector.padded), Bytes(plain.begin(), plain.end())) << vector.padded;
    EXPECT_EQ(from_base64url(vector.url), Bytes(plain.begin(), plain.end())) << vector.url;
  }
}

TEST(Base64, RefusesEverySecondSpelling) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "=",
        "==", "====", "A===", "Zg==Zg==", "Z g=", "Zm9v\n", "-_-_", "Zm=v"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
  for (const std::string_view text :
       {"Zg==", "Zm8=", "Zh", "Zm9", "Z", "Zm9vY", "+/+/", "Zg ", "Z.g"}) {
    EXPECT_FALSE(from_base64url(text)) << text;
  }
}

TEST(Base64, RoundTripsEveryLength) {
  SeededRandom random(1);
  for (std::size_t size = 0; size < 100; ++size) {
    const Bytes bytes = random_bytes(random, size);
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
    EXPECT_EQ(from_base64url(to_base64url(bytes)), bytes);
  }
}

TEST(Base62, WritesElevenDigitsForEightBytes) {
  EXPECT_EQ(base62(Bytes(8, 0x00)), "00000000000");
  EXPECT_EQ(base62(Bytes{0, 0, 0, 0, 0, 0, 0, 61}), "0000000000z");
  EXPECT_EQ(base62(Bytes{0, 0, 0, 0, 0, 0, 0, 62}), "00000000010");
  EXPECT_EQ(base62(Bytes(8, 0xff)), "LygHa16AHYF");  // 2^64 - 1
}

TEST(Base62, RoundTripsAndSortsLikeItsBytes) {
  SeededRandom random(2);
  Bytes previous = random_bytes(random, 24);
  for (int i = 0; i < 2000; ++i) {
    const Bytes bytes = random_bytes(random, 24);
    const std::string text = base62(bytes);
    ASSERT_EQ(text.size(), 33u);
    Bytes decoded(24);
    ASSERT_TRUE(decode_base62(text, decoded));
    ASSERT_EQ(decoded, bytes);
    ASSERT_EQ(text < base62(previous), bytes < previous);
    previous = bytes;
  }
}

TEST(Base62, RefusesGroupsOf2To64AndMore) {
  Bytes out(8);
  EXPECT_TRUE(decode_base62("LygHa16AHYF", out));
  EXPECT_FALSE(decode_base62("LygHa16AHYG", out));
  EXPECT_FALSE(decode_base62("Lz000000000", out));
  EXPECT_FALSE(decode_base62("zzzzzzzzzzz", out));
}

TEST(Base62, RefusesOtherLengthsAndCharacters) {
  Bytes out(8);
  for (const std::string_view text : {"", "0", "0000000000", "000000000000", "0000000000-",
                                      " 0000000000", "0000000000\n", "+0000000000"}) {
    EXPECT_FALSE(decode_base62(text, out)) << text;
  }
  Bytes odd(7);
  EXPECT_FALSE(decode_base62("00000000000", odd));
}

TEST(Base62, EveryChangeOfOneCharacterIsRefusedOrMeansOtherBytes) {
  SeededRandom random(3);
  for (int round = 0; round < 8; ++round) {
    const Bytes bytes = random_bytes(random, 16);
    const std::string text = base62(bytes);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string changed = text;
        changed[at] = static_cast<char>(c);
        if (changed == text) continue;
        Bytes decoded(16);
        if (decode_base62(changed, decoded)) {
          ASSERT_NE(decoded, bytes);
          ASSERT_NE(kBase62.find(changed[at]), std::string_view::npos);
        }
      }
    }
  }
}

TEST(Crc32, GivesTheCheckValueOfTheCatalogue) {
  EXPECT_EQ(crc32("123456789"), 0xcbf43926u);
  EXPECT_EQ(crc32(""), 0u);
}

TEST(Crc32, NoticesEveryChangeOfOneCharacter) {
  const std::string text = "rds_0123456789abcdefghijkl";
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[at] = static_cast<char>(c);
      if (changed != text) {
        ASSERT_NE(crc32(changed), crc32(text));
      }
    }
  }
}

TEST(Crc62, IsSixDigitsAndDistinguishesAll) {
  std::string text;
  append_crc62(text, 0);
  append_crc62(text, 61);
  append_crc62(text, 0xffffffff);
  EXPECT_EQ(text, "00000000000z4gfFC3");
}

}  // namespace
}  // namespace redoubt
