#include "services/cache/names.hpp"

#include <algorithm>
#include <optional>

namespace redoubt::cache {
namespace {

bool is_whole_segments(std::string_view prefix) {
  return prefix.ends_with(':') &&
         static_cast<std::size_t>(std::ranges::count(prefix, ':')) <= kPrefixDepthMax;
}

std::string escaped(std::string_view literal) {
  std::string out;
  for (const char c : literal) {
    if (c == '*' || c == '?' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// Runs of '*' match what one does.
std::string with_single_stars(std::string_view pattern) {
  std::string out;
  bool escaped_next = false;
  bool after_star = false;
  for (const char c : pattern) {
    const bool star = c == '*' && !escaped_next;
    if (!star || !after_star) out += c;
    after_star = star;
    escaped_next = c == '\\' && !escaped_next;
  }
  return out;
}

struct Literal {
  std::string text;
  bool then_star = false;  // Exactly one '*' follows, at the end.
};

// The pattern as literal text, or literal text and a final star; empty when it is more than that.
std::optional<Literal> as_literal(std::string_view pattern) {
  Literal literal;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '?') return std::nullopt;
    if (c == '*') {
      if (i + 1 != pattern.size()) return std::nullopt;
      literal.then_star = true;
      break;
    }
    if (c == '\\' && i + 1 < pattern.size()) c = pattern[++i];
    literal.text += c;
  }
  return literal;
}

std::string named(char kind, std::string_view text) {
  std::string name(1, kind);
  name += text;
  return name;
}

}  // namespace

std::string tag_name(std::string_view tag) {
  return named(kTagName, tag);
}

std::string key_name(std::string_view key) {
  return named(kKeyName, key);
}

std::string prefix_name(std::string_view prefix) {
  if (prefix.empty()) return {};
  if (is_whole_segments(prefix)) return named(kPrefixName, prefix);
  return named(kGlobName, escaped(prefix) + '*');
}

std::string pattern_name(std::string_view pattern) {
  const std::string simple = with_single_stars(pattern);
  if (simple == "*") return {};
  const auto literal = as_literal(simple);
  if (!literal) return named(kGlobName, simple);
  if (!literal->then_star) return named(kKeyName, literal->text);
  return prefix_name(literal->text);
}

}  // namespace redoubt::cache
