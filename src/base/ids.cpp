#include "base/ids.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace redoubt {
namespace {

// "00" to "ff", one behind the other.
constexpr std::array<char, 512> kHexPairs = [] {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 512> pairs{};
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = kDigits[i / 16];
    pairs[2 * i + 1] = kDigits[i % 16];
  }
  return pairs;
}();

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

  std::array<char, 36> text;
  char* to = text.data();
  const auto put = [&](std::size_t first, std::size_t last) {
    for (std::size_t i = first; i < last; ++i) to = std::copy_n(&kHexPairs[2 * bytes[i]], 2, to);
  };
  put(0, 4);
  *to++ = '-';
  put(4, 6);
  *to++ = '-';
  put(6, 8);
  *to++ = '-';
  put(8, 10);
  *to++ = '-';
  put(10, 16);
  out.append(text.data(), text.size());
}

}  // namespace redoubt
