// The first half of loading: what each source says, by setting, with the spellings of one name
// settled. Nothing is parsed yet but the files' grammars.
#pragma once

#include "config/load.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::config {

struct Setting;

// A setting's text as one source gives it.
struct Given {
  std::string text;
  std::string source;  // "SESSION_TTL", ".env:3 SESSION_TTL", "redoubt.toml:12", "--set".
  Origin origin = Origin::built_in;
  bool list = false;  // Came as an array.
  std::string path;   // Of the file a secret was read from.
};

struct ConfigProblem {
  std::string source;
  std::string text;
};

struct Gathered {
  std::map<std::string, Given> given;           // By key; the source that wins.
  std::map<std::string, std::string> reserved;  // Names known and unused, and their source.
  std::vector<ConfigProblem> problems;
};

inline constexpr std::string_view kPolicyPrefix = "limits.";
inline constexpr std::string_view kPolicyVariable = "REDOUBT_LIMIT_";

const Setting* find_setting(std::string_view key);

Gathered gather(const ConfigSources& sources);

}  // namespace redoubt::config
