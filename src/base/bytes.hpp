// Bytes and their textual forms. Every decoder is strict: one accepted spelling per value, so that a
// token or an id cannot be written two ways.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteView bytes);  // lower case
std::optional<Bytes> from_hex(std::string_view text);  // both cases, even length

std::string to_base64url(ByteView bytes);  // RFC 4648 section 5, no padding
std::optional<Bytes> from_base64url(std::string_view text);
std::string to_base64(ByteView bytes);     // RFC 4648 section 4, padded
std::optional<Bytes> from_base64(std::string_view text);

// Base 62 (0-9 A-Z a-z) in groups: each 8 bytes, big-endian, become exactly 11 digits; so a text has
// one spelling, sorts like its bytes, and needs no big-number arithmetic. Sizes are multiples of 8.
void append_base62(std::string& out, ByteView bytes);  // REQUIRES: size % 8 == 0
bool decode_base62(std::string_view text, std::span<std::uint8_t> out);  // false: not canonical

// CRC-32 (ISO-HDLC, as in zip), for telling typos from forgeries offline. Not security.
std::uint32_t crc32(std::string_view text);
void append_crc62(std::string& out, std::uint32_t crc);  // exactly 6 digits

// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);
std::size_t utf8_sequence(std::string_view text);  // Length of the first character; 0: not UTF-8.

}  // namespace redoubt
