// Small parsers and printers of human-sized values, shared by configuration, API fields and the CLI.
#pragma once

#include <redoubt/clock.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

// "5" (seconds), "0.5", "250ms", "5s", "1h30m", "2d", "1.5h". Units: ms s m h d, in falling order. A
// fraction only when it stands alone and is a whole number of ms. No sign, no spaces; at most 100
// years. Empty on anything else.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration d);  // In the same grammar: "1h30m", "250ms", "0s".

// "1000", "64kb", "256mb", "2gb" (powers of 1024, any case, optional "b" or "ib"). Bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);

std::optional<std::int64_t> parse_int(std::string_view text);  // whole text, decimal, may be negative
std::optional<bool> parse_bool(std::string_view text);  // true/false, 1/0, yes/no, on/off, any case

std::string_view trim(std::string_view text);
std::vector<std::string_view> split(std::string_view text, char separator);
bool iequals(std::string_view a, std::string_view b);  // ASCII
std::string to_lower(std::string_view text);           // ASCII

// The candidate nearest to `word` by Damerau-Levenshtein distance, if near enough to be a typo.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

// Globs with * (any bytes), ? (one byte) and \ (the next byte itself). Linear in the text whatever the
// pattern, without backtracking: glob.cpp.
bool glob_match(std::string_view pattern, std::string_view text);

// RFC 3986 percent-decoding of a path segment or query component; empty on a bad escape.
// `plus_is_space` for application/x-www-form-urlencoded queries.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
std::string percent_encode(std::string_view text);  // keeps A-Z a-z 0-9 - . _ ~

}  // namespace redoubt
