#include "services/sessions/token.hpp"

#include "base/bytes.hpp"

#include <algorithm>

namespace redoubt::sessions {
namespace {

// Names this layout and the pepper behind the tag, so that either can change while older tokens
// live.
constexpr std::array<std::uint8_t, 4> kFormat{0, 0, 0, 1};

constexpr std::size_t kIdAt = kFormat.size();
constexpr std::size_t kSecretAt = kIdAt + 16;
constexpr std::size_t kTagAt = kSecretAt + 32;
constexpr std::size_t kTagSize = 12;
constexpr std::size_t kSize = kTagAt + kTagSize;
static_assert(kSize % 8 == 0 && kSize / 8 * 11 == 88);

}  // namespace

TokenCodec::TokenCodec(const Vault& vault)
    : tag_(vault.credential_hash("session token")),
      verifier_(vault.credential_hash("session verifier")) {}

TokenParts TokenCodec::make_parts(const Id128& id, Random& random) {
  TokenParts parts;
  parts.id = id;
  random.fill(parts.secret);
  return parts;
}

std::string TokenCodec::write(const TokenParts& parts) const {
  std::array<std::uint8_t, kSize> bytes{};
  std::ranges::copy(kFormat, bytes.begin());
  std::ranges::copy(parts.id, bytes.begin() + kIdAt);
  std::ranges::copy(parts.secret, bytes.begin() + kSecretAt);
  const Digest256 tag = tag_(ByteView(bytes).first(kTagAt));
  std::copy_n(tag.begin(), kTagSize, bytes.begin() + kTagAt);

  std::string token(kTokenPrefix);
  token.reserve(kTokenLength);
  append_base62(token, bytes);
  append_crc(token);
  return token;
}

std::optional<TokenParts> TokenCodec::authenticate(std::string_view token) const {
  if (token.size() != kTokenLength || !token.starts_with(kTokenPrefix)) return std::nullopt;
  const auto body = without_crc(token);
  if (!body) return std::nullopt;

  std::array<std::uint8_t, kSize> bytes{};
  if (!decode_base62(body->substr(kTokenPrefix.size()), bytes)) return std::nullopt;
  if (!std::equal(kFormat.begin(), kFormat.end(), bytes.begin())) return std::nullopt;
  const Digest256 tag = tag_(ByteView(bytes).first(kTagAt));
  if (!constant_time_equal(ByteView(tag).first(kTagSize), ByteView(bytes).subspan(kTagAt))) {
    return std::nullopt;
  }

  TokenParts parts;
  std::copy_n(bytes.begin() + kIdAt, parts.id.size(), parts.id.begin());
  std::copy_n(bytes.begin() + kSecretAt, parts.secret.size(), parts.secret.begin());
  return parts;
}

Digest256 TokenCodec::verifier(const TokenParts& parts) const {
  return verifier_(parts.id, parts.secret);
}

std::optional<std::string_view> without_crc(std::string_view text) {
  if (text.size() < kCrcDigits + 1) return std::nullopt;
  const std::string_view body = text.substr(0, text.size() - kCrcDigits - 1);
  std::string crc;  // Seven characters: no allocation.
  crc += '_';
  append_crc62(crc, crc32(body));
  if (text.substr(body.size()) != crc) return std::nullopt;
  return body;
}

void append_crc(std::string& text) {
  const std::uint32_t crc = crc32(text);
  text += '_';
  append_crc62(text, crc);
}

}  // namespace redoubt::sessions
