// The cryptographic primitives, thin over OpenSSL: nothing here decides policy.
//
// Errors: functions that can fail on bad input return Result or optional; a failure inside OpenSSL
// (out of memory) aborts, because continuing without cryptography is worse.
// Threads: any.
#pragma once

#include "base/bytes.hpp"

#include <redoubt/random.hpp>
#include <redoubt/result.hpp>

#include <array>
#include <optional>
#include <string_view>

namespace redoubt {

using Key256 = std::array<std::uint8_t, 32>;
using Digest256 = std::array<std::uint8_t, 32>;

Digest256 sha256(ByteView data);

// RFC 2104 with SHA-256. The class precomputes the key's inner and outer state.
class HmacSha256 {
 public:
  explicit HmacSha256(ByteView key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&);
  HmacSha256& operator=(const HmacSha256&) = delete;
  Digest256 operator()(ByteView data) const;
  // Of the concatenation a | b, without building it.
  Digest256 operator()(ByteView a, ByteView b) const;

 private:
  struct State;
  State* state_;
};

// RFC 5869, one block: 32 bytes for `info` from `secret`, empty salt.
Key256 hkdf_sha256(ByteView secret, std::string_view info);

bool constant_time_equal(ByteView a, ByteView b);  // Of equal length; else false at once.

// XAES-256-GCM (C2SP): AES-256-GCM under a key derived per message from a 192-bit random nonce, so
// that one key seals any number of messages. Output of seal: 24-byte nonce | ciphertext | 16-byte tag.
class Xaes256Gcm {
 public:
  static constexpr std::size_t kOverhead = 24 + 16;

  explicit Xaes256Gcm(const Key256& key);
  ~Xaes256Gcm();
  Xaes256Gcm(Xaes256Gcm&&) noexcept;
  Xaes256Gcm& operator=(Xaes256Gcm&&) noexcept;

  Bytes seal(Random& random, ByteView plaintext, ByteView aad) const;
  Bytes seal_with_nonce(std::span<const std::uint8_t, 24> nonce, ByteView plaintext,
                        ByteView aad) const;
  // Empty when anything (nonce, ciphertext, tag, aad, key) differs by a bit.
  std::optional<Bytes> open(ByteView sealed, ByteView aad) const;

 private:
  struct State;
  State* state_;
};

}  // namespace redoubt
