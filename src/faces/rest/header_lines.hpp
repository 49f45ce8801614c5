// Lines of a response's head.
#pragma once

#include "base/append.hpp"

#include <string>
#include <string_view>

namespace redoubt::faces {

inline void put_header(std::string& out, std::string_view name, std::string_view value) {
  append_parts(out, name, ": ", value, "\r\n");
}

}  // namespace redoubt::faces
