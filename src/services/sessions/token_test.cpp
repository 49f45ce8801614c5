#include "services/sessions/token.hpp"

#include "services/sessions/sealed_token.hpp"

#include "base/bytes.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

namespace redoubt::sessions {
namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

RingKey ring_key(std::uint8_t seed) {
  RingKey key;
  key.key.fill(seed);
  key.key[0] = 1;
  key.id = {seed, 0, 0, 1};
  return key;
}

class SessionToken : public ::testing::Test {
 protected:
  SessionToken() : vault_({ring_key(7)}, random_) {
    Key256 pepper{};
    pepper.fill(0x5a);
    vault_.set_pepper(pepper);
    codec_.emplace(vault_);
    parts_ = TokenCodec::make_parts(new_id(WallTime{1'800'000'000'000}, random_), random_);
    token_ = codec_->write(parts_);
  }

  // The text with the checksum made right, so that only the tag can refuse it.
  static std::string with_crc(std::string text) {
    text.resize(text.size() - kCrcDigits - 1);
    append_crc(text);
    return text;
  }

  SeededRandom random_{11};
  Vault vault_;
  std::optional<TokenCodec> codec_;
  TokenParts parts_;
  std::string token_;
};

TEST_F(SessionToken, ComesBackAsItWasWritten) {
  EXPECT_EQ(token_.size(), kTokenLength);
  EXPECT_TRUE(token_.starts_with("rds_"));

  const auto read = codec_->authenticate(token_);

  ASSERT_TRUE(read);
  EXPECT_EQ(read->id, parts_.id);
  EXPECT_EQ(read->secret, parts_.secret);
}

TEST_F(SessionToken, RefusesEveryFlippedBitOfItsText) {
  for (std::size_t i = 0; i < token_.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = token_;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(codec_->authenticate(flipped)) << "byte " << i << " bit " << bit;
      EXPECT_FALSE(codec_->authenticate(with_crc(flipped)) && i < token_.size() - kCrcDigits - 1);
    }
  }
}

TEST_F(SessionToken, RefusesEveryFlippedBitOfItsBytesUnderARightChecksum) {
  std::array<std::uint8_t, 64> bytes{};
  ASSERT_TRUE(decode_base62(std::string_view(token_).substr(4, 88), bytes));
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    auto flipped = bytes;
    flipped[i / 8] = static_cast<std::uint8_t>(flipped[i / 8] ^ (1 << (i % 8)));
    std::string text(kTokenPrefix);
    append_base62(text, flipped);
    append_crc(text);
    ASSERT_EQ(text.size(), kTokenLength);
    EXPECT_FALSE(codec_->authenticate(text)) << "bit " << i;
  }
}

TEST_F(SessionToken, RefusesEveryOtherDigitInEveryPlace) {
  for (std::size_t i = 0; i < token_.size(); ++i) {
    for (const char digit : kDigits) {
      if (token_[i] == digit) continue;
      std::string changed = token_;
      changed[i] = digit;
      EXPECT_FALSE(codec_->authenticate(changed)) << "place " << i << " digit " << digit;
    }
  }
}

TEST_F(SessionToken, RefusesEveryLengthButItsOwn) {
  for (std::size_t size = 0; size < token_.size(); ++size) {
    EXPECT_FALSE(codec_->authenticate(std::string_view(token_).substr(0, size)));
  }
  EXPECT_FALSE(codec_->authenticate(token_ + "0"));
  EXPECT_FALSE(codec_->authenticate(" " + token_));
  EXPECT_FALSE(codec_->authenticate(token_ + std::string(1 << 20, 'x')));
}

TEST_F(SessionToken, IsRefusedUnderAnotherPepper) {
  Vault other({ring_key(7)}, random_);
  Key256 pepper{};
  pepper.fill(0x5b);
  other.set_pepper(pepper);

  EXPECT_FALSE(TokenCodec(other).authenticate(token_));
}

TEST_F(SessionToken, HasAVerifierThatDependsOnIdAndSecret) {
  TokenParts other_secret = parts_;
  other_secret.secret[31] ^= 1;
  TokenParts other_id = parts_;
  other_id.id[15] ^= 1;

  EXPECT_EQ(codec_->verifier(parts_), codec_->verifier(*codec_->authenticate(token_)));
  EXPECT_NE(codec_->verifier(parts_), codec_->verifier(other_secret));
  EXPECT_NE(codec_->verifier(parts_), codec_->verifier(other_id));
}

SealedToken sealed_session() {
  SealedToken sealed;
  sealed.session.id = "ses_0000000000000000000000";
  sealed.session.tenant = "acme";
  sealed.session.user = "alice";
  sealed.session.data = R"({"plan":"pro"})";
  sealed.session.created_at = WallTime{1'800'000'000'000};
  sealed.session.absolute_expires_at = WallTime{1'800'003'600'000};
  sealed.user_epoch = 3;
  return sealed;
}

TEST_F(SessionToken, CarriesAWholeSessionWhenSealed) {
  const std::string token = write_sealed_token(vault_, sealed_session()).text;

  const auto opened = open_sealed_token(vault_, token);

  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->user_epoch, 3);
  EXPECT_EQ(opened->session.tenant, "acme");
  EXPECT_EQ(opened->session.user, "alice");
  EXPECT_EQ(opened->session.data, R"({"plan":"pro"})");
  EXPECT_EQ(opened->session.absolute_expires_at, WallTime{1'800'003'600'000});
  EXPECT_EQ(token.find("alice"), std::string::npos);
}

TEST_F(SessionToken, WhenSealedRefusesEveryFlippedBitAndEveryShorterText) {
  const std::string token = write_sealed_token(vault_, sealed_session()).text;
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = token;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_FALSE(open_sealed_token(vault_, flipped));
      if (i < token.size() - kCrcDigits - 1) {
        EXPECT_FALSE(open_sealed_token(vault_, with_crc(flipped))) << "byte " << i;
      }
    }
    EXPECT_FALSE(open_sealed_token(vault_, std::string_view(token).substr(0, i)));
  }
}

TEST_F(SessionToken, WhenSealedIsRefusedUnderAnotherRing) {
  const std::string token = write_sealed_token(vault_, sealed_session()).text;

  Vault other({ring_key(8)}, random_);

  EXPECT_FALSE(open_sealed_token(other, token));
}

}  // namespace
}  // namespace redoubt::sessions
