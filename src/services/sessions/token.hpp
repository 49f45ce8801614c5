// The text of a session token, and what can be said of it without looking anything up.
//
//   rds_ | 88 base62 digits | _ | 6 base62 digits of the CRC-32 of all before it
//
// The 88 digits are 64 bytes:  format (4) | session id (16) | secret (32) | tag (12)
//
// The tag is a truncated HMAC of the bytes before it, under a key that only this deployment has. So
// a token that was not issued here is refused by arithmetic, and never costs a look-up. What proves
// the bearer is the secret: the record keeps a keyed hash of it
// (docs/decisions/0005-session-tokens.md).
//
// Threads: any.
#pragma once

#include "base/crypto.hpp"
#include "base/ids.hpp"
#include "base/vault.hpp"

#include <redoubt/random.hpp>

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::sessions {

inline constexpr std::string_view kIdPrefix = "ses_";
inline constexpr std::string_view kTokenPrefix = "rds_";
inline constexpr std::size_t kCrcDigits = 6;
inline constexpr std::size_t kTokenLength = kTokenPrefix.size() + 88 + 1 + kCrcDigits;

struct TokenParts {
  Id128 id{};
  std::array<std::uint8_t, 32> secret{};
};

class TokenCodec {
 public:
  // REQUIRES: the vault has its pepper.
  explicit TokenCodec(const Vault& vault);

  static TokenParts make_parts(const Id128& id, Random& random);

  std::string write(const TokenParts& parts) const;

  // Empty unless `token` was written here, to the bit. No allocation.
  std::optional<TokenParts> authenticate(std::string_view token) const;

  // What the record keeps of the secret.
  Digest256 verifier(const TokenParts& parts) const;

 private:
  HmacSha256 tag_;
  HmacSha256 verifier_;
};

// `text` without "_" and the CRC digits at its end; empty when they are missing or wrong.
std::optional<std::string_view> without_crc(std::string_view text);
void append_crc(std::string& text);

}  // namespace redoubt::sessions
