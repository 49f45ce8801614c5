#include "shared/keys.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace redoubt::shared {
namespace {

constexpr std::array<std::string_view, 9> kNouns{
    "session", "user", "chat", "temp", "cache", "ratelimit", "circuit", "lock", "agent_meta"};
constexpr std::array<std::string_view, 2> kTopics{"journal", "invalidations"};
constexpr std::string_view kDigits = "0123456789ABCDEF";

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void append_encoded(std::string& out, std::string_view text) {
  for (;;) {
    const auto reserved = std::ranges::find_if_not(text, is_unreserved);
    const auto plain = static_cast<std::size_t>(reserved - text.begin());
    out += text.substr(0, plain);
    if (reserved == text.end()) return;
    text.remove_prefix(plain + 1);
    const char c = *reserved;
    const auto byte = static_cast<std::uint8_t>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

// One spelling per text: capitals, and nothing encoded that stands for itself.
std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_unreserved(text[i])) {
      out += text[i];
      continue;
    }
    if (text[i] != '%' || text.size() - i < 3) return std::nullopt;
    const std::size_t high = kDigits.find(text[i + 1]);
    const std::size_t low = kDigits.find(text[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    if (is_unreserved(out.back())) return std::nullopt;
    i += 2;
  }
  return out;
}

// Takes what stands before `mark`, and the mark, from the front of `rest`.
std::optional<std::string_view> take_until(std::string_view& rest, std::string_view mark) {
  const std::size_t at = rest.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(at + mark.size());
  return taken;
}

bool read_generation(std::string_view text, std::int64_t& out) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
  const auto end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  return read.ec == std::errc() && read.ptr == end && out >= 0;
}

bool read_segments(std::string_view rest, std::vector<std::string>& out) {
  for (;;) {
    const std::size_t colon = rest.find(':');
    auto segment = decode(rest.substr(0, colon));
    if (!segment) return false;
    out.push_back(std::move(*segment));
    if (colon == std::string_view::npos) return true;
    rest.remove_prefix(colon + 1);
  }
}

}  // namespace

std::string_view noun_name(Noun noun) {
  return kNouns[static_cast<std::size_t>(noun)];
}

KeySpace::KeySpace(std::int64_t generation)
    : generation_(generation), prefix_(fmt::format("rd:{}:{{", generation)) {
  RD_ASSERT(generation >= 0, "generations count up from 0");
}

void KeySpace::append_key(std::string& out, std::string_view tenant, Noun noun,
                          std::span<const std::string_view> segments) const {
  RD_ASSERT(!tenant.empty(), "a key of no tenant has no slot");
  out += prefix_;
  append_encoded(out, tenant);
  out += "}:";
  out += noun_name(noun);
  for (const std::string_view segment : segments) {
    out += ':';
    append_encoded(out, segment);
  }
}

std::string KeySpace::key(std::string_view tenant, Noun noun,
                          std::span<const std::string_view> segments) const {
  std::size_t size = prefix_.size() + tenant.size() + 2 + 10;
  for (const std::string_view segment : segments) size += segment.size() + 1;
  std::string out;
  out.reserve(size + size / 4);
  append_key(out, tenant, noun, segments);
  return out;
}

std::string KeySpace::channel(Topic topic, std::string_view identity) const {
  std::string out = fmt::format("rd:{}:{}:", generation_, kTopics[static_cast<std::size_t>(topic)]);
  append_encoded(out, identity);
  return out;
}

std::optional<ParsedKey> parse_key(std::string_view key) {
  ParsedKey parsed;
  constexpr std::string_view kStart = "rd:";
  if (!key.starts_with(kStart)) return std::nullopt;
  key.remove_prefix(kStart.size());
  const auto generation = take_until(key, ":{");
  if (!generation || !read_generation(*generation, parsed.generation)) return std::nullopt;
  const auto tenant = take_until(key, "}:");
  if (!tenant || tenant->empty()) return std::nullopt;
  auto name = decode(*tenant);
  if (!name) return std::nullopt;
  parsed.tenant = std::move(*name);
  const std::size_t colon = key.find(':');
  const auto noun = std::ranges::find(kNouns, key.substr(0, colon));
  if (noun == kNouns.end()) return std::nullopt;
  parsed.noun = static_cast<Noun>(noun - kNouns.begin());
  if (colon == std::string_view::npos) return parsed;
  if (!read_segments(key.substr(colon + 1), parsed.segments)) return std::nullopt;
  return parsed;
}

}  // namespace redoubt::shared
