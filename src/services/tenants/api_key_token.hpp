// The written form of an API key:
//
//   rdk_<id>_<secret>_<crc>
//
//   id      22 base62 digits: 128 bits that begin with the time of creation
//   secret  44 base62 digits: 256 random bits
//   crc     6 base62 digits: CRC-32 of everything before its underscore
//
// Every part has one spelling. The prefix is for secret scanners; the checksum tells a typo or
// garbage from a forgery without any look-up, and is no protection.
#pragma once

#include "base/crypto.hpp"
#include "base/ids.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace redoubt::tenants {

struct ApiKeyToken {
  std::string_view id;      // 22 digits.
  std::string_view hashed;  // All before the checksum: what the keyed hash covers.
};

// Views into `text`. Empty when it is not the written form of any key.
std::optional<ApiKeyToken> parse_api_key(std::string_view text);

std::string format_api_key(std::string_view id, const Key256& secret);

}  // namespace redoubt::tenants
