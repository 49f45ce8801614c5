// Text to values, with the sentence that says what is wrong with the text. Each parser is strict
// and has a printer whose output it accepts.
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::config {

// A value, or what is wrong: "must be between 1s and 1h, but is 2h".
template <class T>
using Parsed = std::expected<T, std::string>;
inline std::unexpected<std::string> wrong(std::string what) {
  return std::unexpected(std::move(what));
}

// The text in quotes, printable and short, for a message. Never pass it a secret.
std::string quote(std::string_view text);

Parsed<Duration> duration_in(std::string_view text, Duration low, Duration high);
Parsed<std::int64_t> integer_in(std::string_view text, std::int64_t low, std::int64_t high);
Parsed<std::uint64_t> size_in(std::string_view text, std::uint64_t low, std::uint64_t high);
Parsed<bool> boolean(std::string_view text);
std::string format_size(std::uint64_t bytes);  // "64mb", "1000"

// "127.0.0.1:3284, [::1]:3284"; a bare port listens on 127.0.0.1, "*:3284" on every IPv4 address,
// and "none" is the empty list.
Parsed<std::vector<ListenAddress>> listen_addresses(std::string_view text);

// "10.0.0.0/8, ::1": networks, or single addresses, canonical in the result.
Parsed<std::vector<std::string>> networks(std::string_view text);

// "https://app.example.com, http://localhost:3000", or "*".
Parsed<std::vector<std::string>> origins(std::string_view text);

// The items of a comma-separated list, trimmed; "none" and "" are the empty list. An empty item is
// wrong.
Parsed<std::vector<std::string_view>> list_items(std::string_view text);

}  // namespace redoubt::config
