#include "base/crypto.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <openssl/evp.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace redoubt {
namespace {

Bytes hex(std::string_view text) {
  return from_hex(text).value();
}

Key256 key_of(std::uint8_t byte) {
  Key256 key;
  key.fill(byte);
  return key;
}

TEST(Sha256, HashesTheVectorsOfFips180) {
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

struct HmacVector {
  Bytes key;
  Bytes data;
  std::string_view mac;
};

TEST(HmacSha256, AgreesWithRfc4231) {
  const std::vector<HmacVector> vectors = {
      {Bytes(20, 0x0b), hex("4869205468657265"),
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {hex("4a656665"), hex("7768617420646f2079612077616e7420666f72206e6f7468696e673f"),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {Bytes(20, 0xaa), Bytes(50, 0xdd),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), Bytes(50, 0xcd),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {Bytes(131, 0xaa),
       hex("54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d204861736"
           "8204b"
           "6579204669727374"),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
  for (const HmacVector& v : vectors) {
    const HmacSha256 hmac(v.key);
    EXPECT_EQ(to_hex(hmac(v.data)), v.mac);
    const ByteView data = v.data;
    EXPECT_EQ(to_hex(hmac(data.first(3), data.subspan(3))), v.mac) << "in two parts";
    EXPECT_EQ(to_hex(HmacSha256(hmac)(v.data)), v.mac) << "from a copy";
  }
}

TEST(HmacSha256, GivesTheSameAnswerToManyThreadsAtOnce) {
  const HmacSha256 hmac(as_bytes("a key"));
  const Digest256 expected = hmac(as_bytes("a message"));

  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&hmac, &expected, &bad = wrong[t]] {
      for (int i = 0; i < 2000; ++i) bad += hmac(as_bytes("a message")) != expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Hkdf, AgreesWithRfc5869WithoutSalt) {
  // Test case 3: zero-length salt and info; its first 32 of 42 bytes are our one block.
  EXPECT_EQ(to_hex(hkdf_sha256(Bytes(22, 0x0b), "")),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

TEST(Hkdf, SeparatesPurposes) {
  const Bytes secret(32, 7);
  EXPECT_NE(hkdf_sha256(secret, "one"), hkdf_sha256(secret, "two"));
}

TEST(ConstantTimeEqual, ComparesContentAndLength) {
  EXPECT_TRUE(constant_time_equal(as_bytes("same"), as_bytes("same")));
  EXPECT_FALSE(constant_time_equal(as_bytes("same"), as_bytes("samf")));
  EXPECT_FALSE(constant_time_equal(as_bytes("same"), as_bytes("sam")));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

struct XaesVector {
  Key256 key;
  std::string_view aad;
  std::string_view ciphertext;
};

TEST(Xaes256Gcm, AgreesWithTheVectorsOfC2sp) {
  // The first has MSB(L) = 0, the second 1: both branches of the subkey.
  const std::vector<XaesVector> vectors = {
      {key_of(0x01), "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
      {key_of(0x03), "c2sp.org/XAES-256-GCM",
       "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
  };
  const ByteView nonce = as_bytes("ABCDEFGHIJKLMNOPQRSTUVWX");
  for (const XaesVector& v : vectors) {
    const Xaes256Gcm xaes(v.key);
    const Bytes sealed =
        xaes.seal_with_nonce(nonce.first<24>(), as_bytes("XAES-256-GCM"), as_bytes(v.aad));
    EXPECT_EQ(to_hex(ByteView(sealed).subspan(24)), v.ciphertext);
    EXPECT_EQ(xaes.open(sealed, as_bytes(v.aad)),
              Bytes({'X', 'A', 'E', 'S', '-', '2', '5', '6', '-', 'G', 'C', 'M'}));
  }
}

Bytes shake128(ByteView input, std::size_t size) {
  Bytes out(size);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_shake128(), nullptr);
  EVP_DigestUpdate(context, input.data(), input.size());
  EVP_DigestFinalXOF(context, out.data(), out.size());
  EVP_MD_CTX_free(context);
  return out;
}

TEST(Xaes256Gcm, AgreesWithTheAccumulatedVectorOfC2sp) {
  constexpr int kIterations = 10'000;
  const Bytes stream = shake128({}, kIterations * (32 + 24 + 2 + 2 * 255));
  std::size_t at = 0;
  const auto take = [&stream, &at](std::size_t size) {
    at += size;
    return ByteView(stream).subspan(at - size, size);
  };
  Bytes ciphertexts;
  int unopened = 0;
  for (int i = 0; i < kIterations; ++i) {
    Key256 key;
    std::ranges::copy(take(32), key.begin());
    const ByteView nonce = take(24);
    const ByteView plaintext = take(take(1)[0]);
    const ByteView aad = take(take(1)[0]);
    const Xaes256Gcm xaes(key);
    const Bytes sealed = xaes.seal_with_nonce(nonce.first<24>(), plaintext, aad);
    const auto opened = xaes.open(sealed, aad);
    unopened += opened && std::ranges::equal(*opened, plaintext) ? 0 : 1;
    ciphertexts.insert(ciphertexts.end(), sealed.begin() + 24, sealed.end());
  }
  EXPECT_EQ(unopened, 0);
  EXPECT_EQ(to_hex(shake128(ciphertexts, 32)),
            "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

TEST(Xaes256Gcm, RefusesEveryFlippedBitAndEveryTruncation) {
  SeededRandom random(1);
  const Xaes256Gcm xaes(key_of(0x42));
  const Bytes sealed = xaes.seal(random, as_bytes("attack at dawn"), as_bytes("context"));
  ASSERT_TRUE(xaes.open(sealed, as_bytes("context")));

  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes bent = sealed;
    bent[bit / 8] = static_cast<std::uint8_t>(bent[bit / 8] ^ 1 << bit % 8);
    EXPECT_FALSE(xaes.open(bent, as_bytes("context"))) << "bit " << bit;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(xaes.open(ByteView(sealed).first(size), as_bytes("context"))) << "size " << size;
  }
  EXPECT_FALSE(xaes.open(sealed, as_bytes("contexu")));
  EXPECT_FALSE(Xaes256Gcm(key_of(0x43)).open(sealed, as_bytes("context")));
}

TEST(Xaes256Gcm, SealsNothingAndNeverTheSameTwice) {
  SeededRandom random(2);
  const Xaes256Gcm xaes(key_of(0x42));
  const Bytes one = xaes.seal(random, {}, {});
  const Bytes two = xaes.seal(random, {}, {});
  EXPECT_EQ(one.size(), Xaes256Gcm::kOverhead);
  EXPECT_NE(one, two);
  EXPECT_EQ(xaes.open(one, {}), Bytes());
}

}  // namespace
}  // namespace redoubt
