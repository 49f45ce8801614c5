#include "base/crypto.hpp"

#include "base/assert.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <utility>

namespace redoubt {
namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kTag = 16;
constexpr std::size_t kNonce = 24;
constexpr std::size_t kSha256Block = 64;

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeDigest>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

void require(int ok, const char* what) {
  RD_ASSERT(ok == 1, what);
}

DigestContext new_digest_context() {
  DigestContext context(EVP_MD_CTX_new());
  RD_ASSERT(context != nullptr, "EVP_MD_CTX_new");
  return context;
}

CipherContext new_cipher_context() {
  CipherContext context(EVP_CIPHER_CTX_new());
  RD_ASSERT(context != nullptr, "EVP_CIPHER_CTX_new");
  return context;
}

int int_size(std::size_t size) {
  RD_ASSERT(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()), "payload too large");
  return static_cast<int>(size);
}

// Fetched once: an implicit fetch costs more than the hash of a short message. Never freed, so that
// hashing works in static destructors too.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  RD_ASSERT(algorithm != nullptr, "SHA256 is not available");
  return algorithm;
}
const EVP_CIPHER* aes256_ecb() {
  static const EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  RD_ASSERT(algorithm != nullptr, "AES-256-ECB is not available");
  return algorithm;
}
const EVP_CIPHER* aes256_gcm() {
  static const EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  RD_ASSERT(algorithm != nullptr, "AES-256-GCM is not available");
  return algorithm;
}

EVP_MD_CTX* scratch_digest() {
  thread_local const DigestContext context = new_digest_context();
  return context.get();
}

// A cipher is named to its context once and keyed for each message: to name it again would make the
// context anew, which costs more than a short message.
CipherContext new_context_of(const EVP_CIPHER* cipher) {
  CipherContext context = new_cipher_context();
  require(EVP_EncryptInit_ex2(context.get(), cipher, nullptr, nullptr, nullptr), "cipher");
  return context;
}

EVP_CIPHER_CTX* scratch_gcm() {
  thread_local const CipherContext context = new_context_of(aes256_gcm());
  return context.get();
}

// Encrypts whole blocks with AES-256, the building block of XAES's key derivation (CMAC). Never
// finished, so nothing is padded. `serial` tells the key from all others: one that was used last is
// not expanded again.
void aes256_blocks(const Key256& key, std::uint64_t serial, ByteView in, std::uint8_t* out) {
  thread_local const CipherContext context = new_context_of(aes256_ecb());
  thread_local std::uint64_t keyed = 0;
  if (keyed != serial) {
    require(EVP_EncryptInit_ex2(context.get(), nullptr, key.data(), nullptr, nullptr), "AES key");
    keyed = serial;
  }
  int written = 0;
  require(EVP_EncryptUpdate(context.get(), out, &written, in.data(), int_size(in.size())), "AES");
}

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

Digest256 sha256(ByteView data) {
  Digest256 out;
  EVP_MD_CTX* const context = scratch_digest();
  require(EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr), "SHA-256 init");
  require(EVP_DigestUpdate(context, data.data(), data.size()), "SHA-256 update");
  require(EVP_DigestFinal_ex(context, out.data(), nullptr), "SHA-256 final");
  return out;
}

// The states after the first block (key ^ ipad, key ^ opad); every call continues a copy of each.
// Copying only reads the source, so concurrent calls share it.
struct HmacSha256::State {
  DigestContext inner = new_digest_context();
  DigestContext outer = new_digest_context();
};

HmacSha256::HmacSha256(ByteView key) : state_(new State) {
  std::array<std::uint8_t, kSha256Block> block{};
  if (key.size() > block.size()) {
    const Digest256 digest = sha256(key);
    std::copy(digest.begin(), digest.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }

  const auto absorb = [&block](EVP_MD_CTX* context, std::uint8_t pad) {
    std::array<std::uint8_t, kSha256Block> padded;
    for (std::size_t i = 0; i < block.size(); ++i) {
      padded[i] = static_cast<std::uint8_t>(block[i] ^ pad);
    }
    require(EVP_DigestInit_ex2(context, sha256_algorithm(), nullptr), "HMAC init");
    require(EVP_DigestUpdate(context, padded.data(), padded.size()), "HMAC key");
    OPENSSL_cleanse(padded.data(), padded.size());
  };
  absorb(state_->inner.get(), 0x36);
  absorb(state_->outer.get(), 0x5c);
  OPENSSL_cleanse(block.data(), block.size());
}

HmacSha256::~HmacSha256() {
  delete state_;
}

HmacSha256::HmacSha256(const HmacSha256& other) : state_(new State) {
  require(EVP_MD_CTX_copy_ex(state_->inner.get(), other.state_->inner.get()), "HMAC copy");
  require(EVP_MD_CTX_copy_ex(state_->outer.get(), other.state_->outer.get()), "HMAC copy");
}

Digest256 HmacSha256::operator()(ByteView data) const {
  return (*this)(data, ByteView{});
}

Digest256 HmacSha256::operator()(ByteView a, ByteView b) const {
  Digest256 out;
  EVP_MD_CTX* const context = scratch_digest();
  require(EVP_MD_CTX_copy_ex(context, state_->inner.get()), "HMAC inner");
  require(EVP_DigestUpdate(context, a.data(), a.size()), "HMAC update");
  if (!b.empty()) require(EVP_DigestUpdate(context, b.data(), b.size()), "HMAC update");
  require(EVP_DigestFinal_ex(context, out.data(), nullptr), "HMAC inner final");
  require(EVP_MD_CTX_copy_ex(context, state_->outer.get()), "HMAC outer");
  require(EVP_DigestUpdate(context, out.data(), out.size()), "HMAC outer update");
  require(EVP_DigestFinal_ex(context, out.data(), nullptr), "HMAC final");
  return out;
}

Key256 hkdf_sha256(ByteView secret, std::string_view info) {
  // RFC 5869 2.2: without a salt, the extraction key is HashLen zeros.
  const Key256 no_salt{};
  Digest256 pseudorandom = HmacSha256(no_salt)(secret);
  const std::uint8_t first_block = 0x01;
  const Key256 out = HmacSha256(pseudorandom)(as_bytes(info), ByteView(&first_block, 1));
  OPENSSL_cleanse(pseudorandom.data(), pseudorandom.size());
  return out;
}

bool constant_time_equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// c2sp.org/XAES-256-GCM: K1 is the CMAC subkey of the key, the same for every message.
struct Xaes256Gcm::State {
  Key256 key;
  const std::uint64_t serial = next_serial();
  std::array<std::uint8_t, kBlock> k1{};

  explicit State(const Key256& master) : key(master) {
    const std::array<std::uint8_t, kBlock> zeros{};
    std::array<std::uint8_t, kBlock> l{};
    aes256_blocks(key, serial, zeros, l.data());
    std::uint8_t carry = 0;
    for (std::size_t i = kBlock; i-- > 0;) {
      k1[i] = static_cast<std::uint8_t>(l[i] << 1 | carry);
      carry = static_cast<std::uint8_t>(l[i] >> 7);
    }
    // Multiplication by x in GF(2^128) reduces by x^7 + x^2 + x + 1; without a branch on the
    // secret.
    k1[kBlock - 1] = static_cast<std::uint8_t>(k1[kBlock - 1] ^ (0x87 & -carry));
    OPENSSL_cleanse(l.data(), l.size());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    OPENSSL_cleanse(key.data(), key.size());
    OPENSSL_cleanse(k1.data(), k1.size());
  }

  // The message's own key: AES(M1 ^ K1) | AES(M2 ^ K1), Mi = 0, i, 'X', 0, first half of the nonce.
  Key256 message_key(const std::uint8_t* nonce) const {
    std::array<std::uint8_t, 2 * kBlock> blocks{};
    for (std::size_t i = 0; i < 2; ++i) {
      std::uint8_t* const block = blocks.data() + i * kBlock;
      block[1] = static_cast<std::uint8_t>(i + 1);
      block[2] = 'X';
      std::copy_n(nonce, 12, block + 4);
      for (std::size_t j = 0; j < kBlock; ++j)
        block[j] = static_cast<std::uint8_t>(block[j] ^ k1[j]);
    }
    Key256 derived;
    aes256_blocks(key, serial, blocks, derived.data());
    OPENSSL_cleanse(blocks.data(), blocks.size());
    return derived;
  }
};

Xaes256Gcm::Xaes256Gcm(const Key256& key) : state_(new State(key)) {}
Xaes256Gcm::~Xaes256Gcm() {
  delete state_;
}
Xaes256Gcm::Xaes256Gcm(Xaes256Gcm&& other) noexcept
    : state_(std::exchange(other.state_, nullptr)) {}
Xaes256Gcm& Xaes256Gcm::operator=(Xaes256Gcm&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Bytes Xaes256Gcm::seal(Random& random, ByteView plaintext, ByteView aad) const {
  std::array<std::uint8_t, kNonce> nonce;
  random.fill(nonce);
  return seal_with_nonce(nonce, plaintext, aad);
}

Bytes Xaes256Gcm::seal_with_nonce(std::span<const std::uint8_t, 24> nonce, ByteView plaintext,
                                  ByteView aad) const {
  Bytes out(kOverhead + plaintext.size());
  std::copy(nonce.begin(), nonce.end(), out.begin());
  std::uint8_t* const text = out.data() + kNonce;

  Key256 key = state_->message_key(nonce.data());
  EVP_CIPHER_CTX* const gcm = scratch_gcm();
  int written = 0;
  // The second half of the nonce is GCM's own 96-bit one, the default length.
  require(EVP_EncryptInit_ex2(gcm, nullptr, key.data(), nonce.data() + 12, nullptr), "GCM key");
  OPENSSL_cleanse(key.data(), key.size());
  if (!aad.empty()) {
    require(EVP_EncryptUpdate(gcm, nullptr, &written, aad.data(), int_size(aad.size())), "GCM aad");
  }
  if (!plaintext.empty()) {
    require(EVP_EncryptUpdate(gcm, text, &written, plaintext.data(), int_size(plaintext.size())),
            "GCM encrypt");
  }
  std::uint8_t* const tag = text + plaintext.size();
  require(EVP_EncryptFinal_ex(gcm, tag, &written), "GCM final");
  require(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, int{kTag}, tag), "GCM tag");
  return out;
}

std::optional<Bytes> Xaes256Gcm::open(ByteView sealed, ByteView aad) const {
  if (sealed.size() < kOverhead) return std::nullopt;
  const ByteView nonce = sealed.first(kNonce);
  const ByteView ciphertext = sealed.subspan(kNonce, sealed.size() - kOverhead);
  std::array<std::uint8_t, kTag> tag;
  std::copy_n(sealed.end() - kTag, kTag, tag.begin());

  Key256 key = state_->message_key(nonce.data());
  EVP_CIPHER_CTX* const gcm = scratch_gcm();
  int written = 0;
  require(EVP_DecryptInit_ex2(gcm, nullptr, key.data(), nonce.data() + 12, nullptr), "GCM key");
  OPENSSL_cleanse(key.data(), key.size());
  if (!aad.empty()) {
    require(EVP_DecryptUpdate(gcm, nullptr, &written, aad.data(), int_size(aad.size())), "GCM aad");
  }
  Bytes out(ciphertext.size());
  if (!ciphertext.empty()) {
    require(EVP_DecryptUpdate(gcm, out.data(), &written, ciphertext.data(),
                              int_size(ciphertext.size())),
            "GCM decrypt");
  }
  require(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, int{kTag}, tag.data()), "GCM tag");
  std::array<std::uint8_t, kBlock> nothing;
  if (EVP_DecryptFinal_ex(gcm, nothing.data(), &written) != 1) {
    OPENSSL_cleanse(out.data(), out.size());  // Unauthenticated plaintext is nobody's to see.
    return std::nullopt;
  }
  return out;
}

}  // namespace redoubt
