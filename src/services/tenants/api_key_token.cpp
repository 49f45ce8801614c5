#include "services/tenants/api_key_token.hpp"

#include "base/bytes.hpp"

#include <array>

namespace redoubt::tenants {
namespace {

constexpr std::string_view kPrefix = "rdk_";
constexpr std::size_t kIdDigits = 22;
constexpr std::size_t kSecretDigits = 44;
constexpr std::size_t kCrcDigits = 6;
constexpr std::size_t kSecretAt = kPrefix.size() + kIdDigits + 1;
constexpr std::size_t kCrcAt = kSecretAt + kSecretDigits + 1;
constexpr std::size_t kSize = kCrcAt + kCrcDigits;

}  // namespace

std::optional<ApiKeyToken> parse_api_key(std::string_view text) {
  if (text.size() != kSize || !text.starts_with(kPrefix)) return std::nullopt;
  if (text[kSecretAt - 1] != '_' || text[kCrcAt - 1] != '_') return std::nullopt;

  ApiKeyToken token;
  token.id = text.substr(kPrefix.size(), kIdDigits);
  token.hashed = text.substr(0, kCrcAt - 1);
  std::string crc;  // Six digits: no allocation.
  append_crc62(crc, crc32(token.hashed));
  if (text.substr(kCrcAt) != crc) return std::nullopt;

  Id128 id;
  Key256 secret;
  if (!decode_base62(token.id, id)) return std::nullopt;
  if (!decode_base62(text.substr(kSecretAt, kSecretDigits), secret)) return std::nullopt;
  return token;
}

std::string format_api_key(std::string_view id, const Key256& secret) {
  std::string text;
  text.reserve(kSize);
  text += kPrefix;
  text += id;
  text += '_';
  append_base62(text, secret);
  const std::uint32_t crc = crc32(text);
  text += '_';
  append_crc62(text, crc);
  return text;
}

}  // namespace redoubt::tenants
