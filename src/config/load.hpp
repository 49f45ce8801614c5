// From flags, environment, `.env` and redoubt.toml to a Config, knowing where every value came
// from.
//
// Precedence, highest first: flag, environment, `.env`, redoubt.toml, default. Every secret can
// also be given as the path of a file, NAME_FILE. A setting may have several environment names; two
// of them in the same place must agree. All problems are found before any is reported.
//
// Threads: any; nothing here is shared.
// Errors: invalid_argument "config_invalid": `message` has one line per problem and ends with their
// number; `fields` holds the same, the setting's name in `location`. Values of secrets are never
// quoted.
#pragma once

#include "config/config.hpp"

#include <redoubt/result.hpp>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::config {

enum class Origin : std::uint8_t { built_in, file, dotenv, environment, flag };

// Where the settings come from. The caller reads the process's environment, and nothing else does.
struct ConfigSources {
  // Flags as `--set section.key=value` (or `--port` and the like, mapped by the caller to their
  // keys).
  std::vector<std::pair<std::string, std::string>> flags;
  std::map<std::string, std::string> environment;
  std::string toml_path = "redoubt.toml";
  bool toml_required = false;        // True when the path was given by the user.
  std::string dotenv_path = ".env";  // "": do not look.
  // The whole text of a file; empty when there is no such file, an error when it cannot be read.
  std::function<Result<std::optional<std::string>>(const std::string& path)> read_file;
};

// A line of `redoubt config`.
struct SettingValue {
  std::string key;   // "http.listen": in redoubt.toml, [http] listen.
  std::string text;  // As in effect; "set" or "not set" for a secret.
  Origin origin = Origin::built_in;
  std::string source;  // "RATE_LIMIT_BURST_SIZE", "redoubt.toml:12", "--set", "default".
};

struct Loaded {
  Config config;
  std::vector<SettingValue> values;  // Every setting, in the order of the reference.
  std::vector<std::string> unused;   // Names given that this version knows and does not use.
};

Result<Loaded> load_config(const ConfigSources& sources);

// What `redoubt config` prints: key, value, origin; then what is not used by this version.
std::string render_config(const Loaded& loaded);

// docs/configuration.md.
std::string configuration_reference();

// ConfigSources::read_file over the file system. Refuses directories and what is over 1 MiB.
Result<std::optional<std::string>> read_settings_file(const std::string& path);

// The environment of the process, for ConfigSources. The one place that looks at it.
std::map<std::string, std::string> process_environment();

}  // namespace redoubt::config
