// Identifiers: UUIDv7 for requests (RFC 9562), and time-ordered 128-bit ids with a typed prefix for
// objects, so that rows made together lie together in an index.
#pragma once

#include "base/bytes.hpp"
#include "base/random.hpp"

#include <redoubt/clock.hpp>

#include <array>
#include <string>
#include <string_view>

namespace redoubt {

using Id128 = std::array<std::uint8_t, 16>;  // 48 bits of wall milliseconds, 80 random bits.

Id128 new_id(WallTime now, Random& random);
// `prefix` as it is written, underscore included: "ses_" and 22 base62 digits.
std::string format_id(std::string_view prefix, const Id128& id);
bool parse_id(std::string_view prefix, std::string_view text, Id128& out);

// 36 characters into `out`. `random` need not be secure.
void append_uuid7(std::string& out, WallTime now, FastRandom& random);

}  // namespace redoubt
