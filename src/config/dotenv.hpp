// The grammar of `.env`, the common part of what Docker Compose and the dotenv libraries read:
//
//   # a comment
//   NAME=value            to the end of the line or to " #"; spaces around it do not count
//   export NAME=value     the same
//   NAME='any text'       literal, may span lines
//   NAME="any text"       with \n \r \t \" \\ \$ ; may span lines
//
// The last of several lines with one name counts. Nothing is expanded: an unquoted or double-quoted
// `$NAME` or `${NAME}` is marked, so that the loader can refuse it where it matters.
#pragma once

#include "config/values.hpp"

#include <map>
#include <string>
#include <string_view>

namespace redoubt::config {

struct DotenvValue {
  std::string text;
  int line = 0;
  bool expands = false;  // Another reader would have replaced a `$` in it.
};

// What is wrong names the line: "line 3: no = after NAME".
Parsed<std::map<std::string, DotenvValue>> parse_dotenv(std::string_view text);

}  // namespace redoubt::config
