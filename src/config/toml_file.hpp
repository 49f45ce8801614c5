// redoubt.toml, flattened: "section.key" to text, with the line. A limit's table becomes the
// one-line form of limit_policy.hpp, so that a policy has one grammar wherever it is written.
#pragma once

#include "config/values.hpp"

#include <map>
#include <string>
#include <string_view>

namespace redoubt::config {

struct TomlValue {
  std::string text;
  int line = 0;
  bool list = false;  // Was written as an array.
};

struct TomlProblem {
  int line = 0;
  std::string text;
};

struct TomlFile {
  std::map<std::string, TomlValue> values;
  std::vector<TomlProblem> problems;
};

TomlFile parse_toml(std::string_view text);

}  // namespace redoubt::config
