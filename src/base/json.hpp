// JSON in and out: strict reading over Boost.JSON, and appending without a DOM.
//
// Reading refuses what RFC 8259 leaves to the implementation and attackers enjoy: duplicate keys,
// invalid UTF-8, lone surrogates, depth over 64, texts over 1 MiB (the caller's limit may be lower),
// objects of more than 1,024 members (their hash table has no secret, so its chains can be aimed at),
// and numbers that a double or int64 cannot hold exactly enough (integers beyond +-2^53 must be
// strings; 1e400 and 1e-400 are refused).
#pragma once

#include <redoubt/result.hpp>

#include <boost/json/value.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace redoubt {

namespace json = boost::json;

inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kJsonBytesMax = 1 << 20;
inline constexpr std::size_t kJsonMembersMax = 1024;

// Errors: invalid_argument "json_invalid", with the byte offset in the message.
Result<json::value> parse_json(std::string_view text, std::size_t bytes_max = kJsonBytesMax);

// Compact text of a value.
std::string to_json(const json::value& value);
void append_json(std::string& out, const json::value& value);

// A quoted, escaped JSON string. REQUIRES: text is UTF-8 (others are replaced by U+FFFD).
void append_json_string(std::string& out, std::string_view text);
void append_int(std::string& out, std::int64_t value);

// RFC 7396: `patch` merged into `target`.
void merge_patch(json::value& target, const json::value& patch);

}  // namespace redoubt
