#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

namespace redoubt {
namespace {

constexpr Duration kDurationMax = std::chrono::hours(24 * 36'525);  // 100 years.

struct DurationUnit {
  std::string_view name;
  std::int64_t ms;
};

constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_while(std::string_view& text, bool (*wanted)(char)) {
  std::size_t n = 0;
  while (n < text.size() && wanted(text[n])) ++n;
  const std::string_view taken = text.substr(0, n);
  text.remove_prefix(n);
  return taken;
}

std::optional<std::uint64_t> parse_digits(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

// `whole`.`fraction` units in ms; empty when that is not a whole number of them, or too many.
std::optional<std::int64_t> scale(std::string_view whole, std::string_view fraction,
                                  std::int64_t unit_ms) {
  const auto value = parse_digits(whole);
  if (!value || *value > static_cast<std::uint64_t>(kDurationMax.count() / unit_ms)) return {};
  const std::int64_t ms = static_cast<std::int64_t>(*value) * unit_ms;
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  if (fraction.empty()) return ms;
  // A day is 2^10 times an odd number of ms, so that no exact fraction of one has more digits.
  constexpr std::size_t kFractionDigitsMax = 10;
  if (fraction.size() > kFractionDigitsMax) return {};
  const auto digits = parse_digits(fraction);
  if (!digits) return {};
  std::int64_t power = 1;
  for (std::size_t i = 0; i < fraction.size(); ++i) power *= 10;
  const std::int64_t parts = static_cast<std::int64_t>(*digits) * unit_ms;
  if (parts % power != 0) return {};
  return ms + parts / power;
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' ||
         c == '~';
}

}  // namespace

// number  = digits [ "." digits ]
// text    = number | number unit | 1*( digits unit ), units falling from d to ms
std::optional<Duration> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  bool first = true;
  do {
    const std::string_view whole = take_while(text, is_digit);
    std::string_view fraction;
    const bool has_fraction = first && text.starts_with('.');
    if (has_fraction) {
      text.remove_prefix(1);
      fraction = take_while(text, is_digit);
      if (fraction.empty()) return std::nullopt;
    }
    std::string_view unit = take_while(text, [](char c) { return !is_digit(c); });
    if (unit.empty() && first) unit = "s";
    while (next_unit < kDurationUnits.size() && kDurationUnits[next_unit].name != unit) ++next_unit;
    if (whole.empty() || next_unit == kDurationUnits.size()) return std::nullopt;
    const auto ms = scale(whole, fraction, kDurationUnits[next_unit++].ms);
    if (!ms || (has_fraction && !text.empty())) return std::nullopt;
    total += *ms;
    first = false;
  } while (!text.empty());
  if (total > kDurationMax.count()) return std::nullopt;
  return Duration(total);
}

std::string format_duration(Duration d) {
  if (d.count() == 0) return "0s";
  std::string text = d.count() < 0 ? "-" : "";
  // Unsigned, because the smallest duration has no positive twin.
  auto rest = static_cast<std::uint64_t>(d.count());
  if (d.count() < 0) rest = 0 - rest;
  for (const DurationUnit& unit : kDurationUnits) {
    const auto unit_ms = static_cast<std::uint64_t>(unit.ms);
    if (rest < unit_ms) continue;
    text += std::to_string(rest / unit_ms);
    text += unit.name;
    rest %= unit_ms;
  }
  return text;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto value = parse_digits(take_while(text, is_digit));
  if (!value) return std::nullopt;
  const std::string unit = to_lower(text);
  if (unit.empty() || unit == "b") return value;
  constexpr std::string_view kPrefixes = "kmgt";
  const std::size_t power = kPrefixes.find(unit.front());
  const std::string_view suffix = std::string_view(unit).substr(1);
  if (power == std::string_view::npos) return std::nullopt;
  if (!suffix.empty() && suffix != "b" && suffix != "ib") return std::nullopt;
  const std::size_t shift = 10 * (power + 1);
  if (*value > std::numeric_limits<std::uint64_t>::max() >> shift) return std::nullopt;
  return *value << shift;
}

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> parse_bool(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTrue{"true", "1", "yes", "on"};
  constexpr std::array<std::string_view, 4> kFalse{"false", "0", "no", "off"};
  const auto equals = [text](std::string_view word) { return iequals(text, word); };
  if (std::ranges::any_of(kTrue, equals)) return true;
  if (std::ranges::any_of(kFalse, equals)) return false;
  return std::nullopt;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t at = text.find(separator); at != std::string_view::npos;
       at = text.find(separator)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.push_back(text);
  return parts;
}

bool iequals(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower);
  return result;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] != '%') {
      decoded += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return decoded;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

}  // namespace redoubt
