#include "base/siphash.hpp"

#include "base/bytes.hpp"

#include <gtest/gtest.h>

#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstring>
#include <string>

namespace redoubt {
namespace {

constexpr SipKey kKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};  // Bytes 00 .. 0f.

std::string counting(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i);
  return text;
}

std::string hex(const Hash128& hash) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &hash.lo, 8);
  std::memcpy(bytes.data() + 8, &hash.hi, 8);
  return to_hex(bytes);
}

std::string openssl_siphash(std::string_view text) {
  const std::string key = counting(16);
  std::size_t size = 16;
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t("size", &size),
                               OSSL_PARAM_construct_end()};
  std::array<std::uint8_t, 16> out{};
  const bool ok = EVP_MAC_init(context, as_bytes(key).data(), key.size(), params) == 1 &&
                  EVP_MAC_update(context, as_bytes(text).data(), text.size()) == 1 &&
                  EVP_MAC_final(context, out.data(), &size, out.size()) == 1;
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return ok ? to_hex(out) : "OpenSSL refused";
}

TEST(SipHash128, GivesTheVectorsOfTheReferenceImplementation) {
  constexpr std::string_view kVectors[] = {
      "a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45",
      "8177228da4a45dc7fca38bdef60affe4", "9c70b60c5267a94e5f33b6b02985ed51",
      "f88164c12d9c8faf7d0f6e7c7bcd5579", "1368875980776f8854527a07690e9627",
      "14eeca338b208613485ea0308fd7a15e", "a1f1ebbed8dbc153c0b84aa61ff08239",
      "3b62a9ba6258f5610f83e264f31497b4",
  };
  for (std::size_t size = 0; size < std::size(kVectors); ++size) {
    EXPECT_EQ(hex(siphash128(kKey, counting(size))), kVectors[size]) << size;
  }
}

TEST(SipHash128, AgreesWithOpenSslAtEveryLength) {
  for (std::size_t size = 0; size <= 200; ++size) {
    const std::string text = counting(size);
    EXPECT_EQ(hex(siphash128(kKey, text)), openssl_siphash(text)) << size;
  }
}

TEST(SipHash128, DependsOnBothHalvesOfTheKey) {
  const Hash128 hash = siphash128({1, 2}, "text");

  EXPECT_NE(siphash128({1, 3}, "text"), hash);
  EXPECT_NE(siphash128({0, 2}, "text"), hash);
}

}  // namespace
}  // namespace redoubt
