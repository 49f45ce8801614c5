#include "base/ids.hpp"

#include <span>

namespace redoubt {
namespace {

void put_wall_ms(std::span<std::uint8_t> out, WallTime now) {
  const auto ms = static_cast<std::uint64_t>(now.ms);
  for (std::size_t i = 0; i < 6; ++i) out[i] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
}

}  // namespace

Id128 new_id(WallTime now, Random& random) {
  Id128 id;
  put_wall_ms(id, now);
  random.fill(std::span(id).subspan(6));
  return id;
}

std::string format_id(std::string_view prefix, const Id128& id) {
  std::string text;
  text.reserve(prefix.size() + 22);
  text += prefix;
  append_base62(text, id);
  return text;
}

bool parse_id(std::string_view prefix, std::string_view text, Id128& out) {
  if (!text.starts_with(prefix)) return false;
  return decode_base62(text.substr(prefix.size()), out);
}

void append_uuid7(std::string& out, WallTime now, FastRandom& random) {
  std::array<std::uint8_t, 16> bytes;
  put_wall_ms(bytes, now);
  const std::uint64_t high = random.next();
  const std::uint64_t low = random.next();
  bytes[6] = static_cast<std::uint8_t>(0x70 | (high & 0x0f));
  bytes[7] = static_cast<std::uint8_t>(high >> 8);
  for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = static_cast<std::uint8_t>(low >> (8 * i));
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));

  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 36> text;
  std::size_t at = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text[at++] = '-';
    text[at++] = kDigits[bytes[i] >> 4];
    text[at++] = kDigits[bytes[i] & 15];
  }
  out.append(text.data(), text.size());
}

}  // namespace redoubt
