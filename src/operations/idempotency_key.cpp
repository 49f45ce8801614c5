#include "operations/idempotency_key.hpp"

#include <redoubt/idempotency.hpp>

#include <algorithm>
#include <optional>

namespace redoubt::operations {
namespace {

bool is_printable(char c) {
  return c >= 0x20 && c <= 0x7e;
}

// Between the quotes; a backslash stands before a quote and itself, and nothing else.
std::optional<std::string> unescaped(std::string_view inner) {
  std::string out;
  for (std::size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '"' || !is_printable(inner[i])) return std::nullopt;
    if (inner[i] == '\\') {
      ++i;
      if (i == inner.size() || (inner[i] != '"' && inner[i] != '\\')) return std::nullopt;
    }
    out += inner[i];
  }
  return out;
}

// Without quotes it has nothing that would need them, or that joins several fields into one.
bool is_bare(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return is_printable(c) && !std::string_view(" \",;\\").contains(c); });
}

std::optional<std::string> read(std::string_view value) {
  if (!value.starts_with('"')) {
    return is_bare(value) ? std::optional<std::string>(value) : std::nullopt;
  }
  if (value.size() < 2 || !value.ends_with('"')) return std::nullopt;
  return unescaped(value.substr(1, value.size() - 2));
}

}  // namespace

Result<std::string> parse_idempotency_key(std::string_view value) {
  auto key = read(value);
  if (!key) {
    return fail(invalid_argument("header.Idempotency-Key",
                                 "must be a quoted string of ASCII, or one without spaces, quotes, "
                                 "commas and semicolons"));
  }
  if (key->empty() || key->size() > kIdempotencyKeyMax) {
    return fail(
        invalid_argument("header.Idempotency-Key", "must have 1 to 128 characters", "length"));
  }
  return std::move(*key);
}

}  // namespace redoubt::operations
