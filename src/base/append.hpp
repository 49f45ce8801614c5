// Text made of parts without a look at the buffer for each of them.
#pragma once

#include <redoubt/clock.hpp>

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace redoubt {

// The parts one behind the other, in one growth of `out`. REQUIRES: no part is in `out`.
void append_parts(std::string& out, std::initializer_list<std::string_view> parts);

// What append_json_string() appends, at `to`, which has room for two bytes more than `text`; where it
// ends. Null, and anything at `to`, when the text is not ASCII or needs an escape.
char* put_plain_json_string(char* to, std::string_view text);

// What append_rfc3339() appends; where its bytes end.
inline constexpr std::size_t kRfc3339Size = 24;
char* put_rfc3339(char* to, WallTime time);

}  // namespace redoubt
