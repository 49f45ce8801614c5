#include "base/bytes.hpp"

#include "base/assert.hpp"

#include <array>

namespace redoubt {
namespace {

constexpr std::string_view kBase62 =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t kNoDigit = 0xff;

constexpr std::array<std::uint8_t, 256> values_of(std::string_view alphabet) {
  std::array<std::uint8_t, 256> values;
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr auto kBase62Values = values_of(kBase62);
constexpr auto kBase64Values = values_of(kBase64);
constexpr auto kBase64UrlValues = values_of(kBase64Url);

constexpr std::array<std::uint32_t, 256> crc32_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0u);
    table[i] = crc;
  }
  return table;
}

constexpr auto kCrc32 = crc32_table();

std::uint8_t hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<std::uint8_t>(c - 'A' + 10);
  return kNoDigit;
}

std::string encode64(ByteView bytes, std::string_view alphabet) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  std::uint32_t pending = 0;
  int bits = 0;
  for (const std::uint8_t byte : bytes) {
    pending = pending << 8 | byte;
    for (bits += 8; bits >= 6; bits -= 6) text += alphabet[pending >> (bits - 6) & 63];
    pending &= (1u << bits) - 1;
  }
  if (bits > 0) text += alphabet[pending << (6 - bits) & 63];
  return text;
}

// `text` without padding. A last digit whose unused bits are not zero would be a second spelling.
std::optional<Bytes> decode64(std::string_view text, const std::array<std::uint8_t, 256>& values) {
  if (text.size() % 4 == 1) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t pending = 0;
  int bits = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<std::uint8_t>(c)];
    if (value == kNoDigit) return std::nullopt;
    pending = pending << 6 | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(pending >> bits));
    }
    pending &= (1u << bits) - 1;
  }
  if (pending != 0) return std::nullopt;
  return bytes;
}

void append_digits62(std::string& out, std::uint64_t value, std::size_t count) {
  std::array<char, 11> digits;
  for (std::size_t i = count; i-- > 0; value /= 62) digits[i] = kBase62[value % 62];
  out.append(digits.data(), count);
}

constexpr std::size_t kGroupBytes = 8;
constexpr std::size_t kGroupDigits = 11;

bool decode_group62(std::string_view digits, std::uint64_t& value) {
  value = 0;
  for (const char c : digits) {
    const std::uint8_t digit = kBase62Values[static_cast<std::uint8_t>(c)];
    if (digit == kNoDigit) return false;
    const bool fits = !__builtin_mul_overflow(value, std::uint64_t{62}, &value) &&
                      !__builtin_add_overflow(value, digit, &value);
    if (!fits) return false;
  }
  return true;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::uint8_t high = hex_value(text[i]);
    const std::uint8_t low = hex_value(text[i + 1]);
    if (high == kNoDigit || low == kNoDigit) return std::nullopt;
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

std::string to_base64url(ByteView bytes) {
  return encode64(bytes, kBase64Url);
}

std::optional<Bytes> from_base64url(std::string_view text) {
  return decode64(text, kBase64UrlValues);
}

std::string to_base64(ByteView bytes) {
  std::string text = encode64(bytes, kBase64);
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  return decode64(text, kBase64Values);
}

void append_base62(std::string& out, ByteView bytes) {
  RD_ASSERT(bytes.size() % kGroupBytes == 0, "base 62 works on groups of 8 bytes");
  for (std::size_t i = 0; i < bytes.size(); i += kGroupBytes) {
    std::uint64_t value = 0;
    for (std::size_t j = 0; j < kGroupBytes; ++j) value = value << 8 | bytes[i + j];
    append_digits62(out, value, kGroupDigits);
  }
}

bool decode_base62(std::string_view text, std::span<std::uint8_t> out) {
  if (out.size() % kGroupBytes != 0) return false;
  const std::size_t groups = out.size() / kGroupBytes;
  if (text.size() != groups * kGroupDigits) return false;
  for (std::size_t group = 0; group < groups; ++group) {
    std::uint64_t value = 0;
    if (!decode_group62(text.substr(group * kGroupDigits, kGroupDigits), value)) return false;
    for (std::size_t j = 0; j < kGroupBytes; ++j) {
      out[group * kGroupBytes + j] = static_cast<std::uint8_t>(value >> (56 - 8 * j));
    }
  }
  return true;
}

std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : text) crc = (crc >> 8) ^ kCrc32[(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
  return ~crc;
}

void append_crc62(std::string& out, std::uint32_t crc) {
  append_digits62(out, crc, 6);
}

}  // namespace redoubt
