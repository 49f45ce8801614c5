#include "base/vault.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt {
namespace {

const std::string kGood = "8f1d0c6b5a4e39278160f2e3d4c5b6a7988a7b6c5d4e3f201122b3c4d5e6f708";
const std::string kOther = "c3a1f5e79b2d4860711f3e5a7c9bd8e6f4021324354657687990a1b2c3d4e5f6";

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string hex_of_text(std::string_view text) {
  return to_hex(as_bytes(text));
}

TEST(KeyRing, AcceptsOneKeyOrALabelledRing) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> accepted = {
      {kGood, {""}},
      {"main:" + kGood, {"main"}},
      {"new:" + kGood + ",old:" + kOther, {"new", "old"}},
      {" new:" + kGood + " , old:" + kOther + " \n", {"new", "old"}},
      {"8F1D0C6B5A4E39278160F2E3D4C5B6A7988A7B6C5D4E3F201122B3C4D5E6F708", {""}},
  };
  for (const auto& [text, labels] : accepted) {
    const auto ring = parse_key_ring(Secret(text));
    ASSERT_TRUE(ring) << ring.error().message;
    std::vector<std::string> got;
    for (const RingKey& key : *ring) got.push_back(key.label);
    EXPECT_EQ(got, labels);
    EXPECT_EQ(to_hex((*ring)[0].key), kGood);
  }
}

struct Refused {
  std::string text;
  std::string reason;
};

TEST(KeyRing, RefusesWhatIsNoKeyAndSaysExactlyWhy) {
  const std::vector<Refused> table = {
      {"", "is empty"},
      {"  \n", "is empty"},
      {kGood.substr(1), "but has 63 characters"},
      {kGood.substr(2), "but has 62 characters"},
      {kGood + "0", "but has 65 characters"},
      {kGood + kGood, "but has 128 characters"},
      {"0x" + kGood, "but has 66 characters"},
      {kGood.substr(1) + "g", "it has other characters"},
      {kGood.substr(1) + std::string(1, '\0'), "it has other characters"},
      {"change-this-to-a-random-32-byte-key", "placeholder"},
      {"<32-byte-hex>", "placeholder"},
      {"<generated-key>", "placeholder"},
      {"your-encryption-key-here", "placeholder"},
      {"${TOKEN_ENCRYPTION_KEY}", "placeholder"},
      {repeat("0", 64), "all bytes are equal"},
      {repeat("f", 64), "all bytes are equal"},
      {repeat("a5", 32), "all bytes are equal"},
      {repeat("0123456789abcdef", 4), "repeats a short pattern"},
      {repeat("0123456789ABCDEF", 4), "repeats a short pattern"},
      {repeat("0123456789abcdeffedcba9876543210", 2), "repeats a short pattern"},
      {repeat("deadbeef", 8), "repeats a short pattern"},
      {repeat("1234567890", 6) + "1234", "repeats a short pattern"},
      {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "count up or down"},
      {"1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100", "count up or down"},
      {repeat("0", 63) + "1", "too few different bytes"},
      {repeat("00", 16) + repeat("11", 16), "too few different bytes"},
      {hex_of_text("change-this-to-a-random-32-byte-"), "text written in hex"},
      {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "common word"},
      {"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8", "common word"},
      {kGood + "," + kOther, "needs a label"},
      {"a:" + kGood + ",", "needs a label"},
      {"a:" + kGood + ",a:" + kOther, "same label"},
      {"a:" + kGood + ",b:" + kGood, "same key"},
      {":" + kGood, "bad label"},
      {"a b:" + kGood, "bad label"},
      {repeat("a", 33) + ":" + kGood, "bad label"},
      {"a:b:" + kGood, "but has 66 characters"},
      {"a:" + kGood + ",b:" + kOther.substr(1), "key 2 of the ring must be 64 hex digits"},
      {repeat("a:" + kGood + ",", 16) + "b:" + kOther, "at most 16"},
  };
  for (const Refused& row : table) {
    const auto ring = parse_key_ring(Secret(row.text));
    ASSERT_FALSE(ring) << row.text;
    EXPECT_EQ(ring.error().code, Errc::invalid_argument);
    ASSERT_EQ(ring.error().fields.size(), 1U);
    EXPECT_NE(ring.error().fields[0].detail.find(row.reason), std::string::npos)
        << row.text << ": " << ring.error().fields[0].detail;
  }
}

TEST(KeyRing, NeverQuotesAKeyInAnError) {
  const std::string secret_part = kGood.substr(4, 20);
  for (const std::string& text : {kGood + "0", kGood + ":x", "a:" + kGood + ",a:" + kOther,
                                  kGood + "," + kGood, kGood + "zz"}) {
    const auto ring = parse_key_ring(Secret(text));
    ASSERT_FALSE(ring);
    const Error& error = ring.error();
    std::string all = error.message + error.cause + error.slug;
    for (const FieldError& field : error.fields)
      all += field.detail + field.location + field.pointer;
    EXPECT_EQ(all.find(secret_part), std::string::npos) << all;
  }
}

}  // namespace
}  // namespace redoubt
