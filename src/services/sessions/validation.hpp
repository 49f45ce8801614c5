// What a session may be made of. Every refusal is invalid_argument and names the field.
#pragma once

#include <redoubt/result.hpp>
#include <redoubt/sessions.hpp>

#include <string>
#include <string_view>

namespace redoubt::sessions {

inline constexpr std::size_t kIdentityMax = 256;  // user, agent, device, address
inline constexpr std::size_t kDataMax = 64 << 10;
inline constexpr Duration kLifetimeMin{1'000};
inline constexpr Duration kLifetimeMax{365LL * 86'400'000};
inline constexpr std::size_t kPageMax = 1000;

// 1..256 bytes of UTF-8 without control characters, with a letter or a digit in it: an id of
// punctuation alone ("*", "{}", ":") is a template or a glob that went wrong at the client.
Result<void> check_user(std::string_view user, std::string_view location);

// Also makes the data compact.
Result<void> check_new_session(NewSession& request, std::size_t data_max);

Result<void> check_lifetime(Duration lifetime, std::string_view location);

// The text of a JSON object, compact.
Result<std::string> check_data(std::string_view text, std::size_t bytes_max);

// `patch` merged into `data` (RFC 7396), compact. REQUIRES: data is the text of an object.
Result<std::string> merge_data(std::string_view data, std::string_view patch);

Result<void> check_page(std::size_t limit);

}  // namespace redoubt::sessions
