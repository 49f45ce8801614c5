// Text made of parts without a look at the buffer for each of them.
#pragma once

#include <redoubt/clock.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace redoubt {

// The parts one behind the other, in one growth of `out`. REQUIRES: no part is in `out`.
// A template, so that a literal is stored and not copied: its length is known.
template <std::convertible_to<std::string_view>... Parts>
void append_parts(std::string& out, const Parts&... parts) {
  const std::size_t before = out.size();
  const std::size_t after = (before + ... + std::string_view(parts).size());
  // libstdc++ 12 passes the capacity instead of the size, so the size comes from here.
  out.resize_and_overwrite(after, [&](char* data, std::size_t) {
    char* to = data + before;
    const auto put = [&to](std::string_view part) {
      std::char_traits<char>::copy(to, part.data(), part.size());
      to += part.size();
    };
    (put(parts), ...);
    return after;
  });
}

// What append_json_string() appends, at `to`, which has room for two bytes more than `text`; where it
// ends. Null, and anything at `to`, when the text is not ASCII or needs an escape.
char* put_plain_json_string(char* to, std::string_view text);

// What append_rfc3339() appends; where its bytes end.
inline constexpr std::size_t kRfc3339Size = 24;
char* put_rfc3339(char* to, WallTime time);

}  // namespace redoubt
