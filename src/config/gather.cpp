#include "config/gather.hpp"

#include "config/dotenv.hpp"
#include "config/limit_policy.hpp"
#include "config/setting.hpp"
#include "config/toml_file.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace redoubt::config {
namespace {

constexpr std::string_view kFileSuffix = "_FILE";
constexpr std::string_view kFileKeySuffix = "_file";
constexpr std::array kPoolSizes{"REDIS_MAX_POOL_SIZE", "REDIS_MAX_CONNECTIONS"};
constexpr std::int64_t kPoolSizeMax = 1'000'000;

using Layer = std::map<std::string, Given>;

struct Variable {
  std::string text;
  std::string source;
  bool expands = false;
};
using Variables = std::map<std::string, Variable>;

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const auto near = nearest(word, candidates);
  return near.empty() ? "" : fmt::format("; did you mean {}?", near);
}

// The name a variable of ours would have had, were the prefix not there: REDOUBT_SESSION_TTL.
std::string unknown_variable(std::string_view name) {
  static const std::vector<std::string> file_names = [] {
    std::vector<std::string> names;
    for (const auto& row : all_settings()) {
      for (const auto variable : row.name.environment) {
        if (row.secret) names.push_back(std::string(variable) + std::string(kFileSuffix));
      }
    }
    return names;
  }();
  std::vector<std::string_view> names(file_names.begin(), file_names.end());
  for (const auto& row : all_settings()) {
    names.insert(names.end(), row.name.environment.begin(), row.name.environment.end());
  }
  for (const auto& reserved : reserved_names()) names.push_back(reserved.name);
  const auto bare = name.substr(std::string_view("REDOUBT_").size());
  if (std::ranges::find(names, bare) != names.end()) {
    return fmt::format("there is no such setting; it is called {}", bare);
  }
  return "there is no such setting" + did_you_mean(name, names);
}

std::string unknown_key(std::string_view key) {
  std::vector<std::string_view> keys;
  for (const auto& row : all_settings()) keys.push_back(row.name.key);
  return fmt::format("{}: there is no such setting{}", quote(key), did_you_mean(key, keys));
}

bool is_policy_key(std::string_view key) {
  return key.starts_with(kPolicyPrefix) && find_setting(key) == nullptr;
}

// Do two texts of one setting mean the same? Secrets only if they are the same.
bool agree(const Setting& row, const std::string& a, const std::string& b) {
  if (a == b || row.secret) return a == b;
  Config first, second;
  // A text that does not parse is reported as such when it is applied.
  if (!row.set(first, a) || !row.set(second, b)) return true;
  return row.show(first) == row.show(second);
}

class Gatherer {
 public:
  explicit Gatherer(const ConfigSources& sources) : sources_(sources) {}

  Gathered gather() && {
    // Lowest precedence first; each source replaces what is there.
    merge(toml_layer());
    merge(variable_layer(dotenv_variables(), Origin::dotenv));
    Variables environment;
    for (const auto& [name, text] : sources_.environment) environment[name] = {text, name, false};
    merge(variable_layer(environment, Origin::environment));
    merge(flag_layer());
    return std::move(out_);
  }

 private:
  void problem(std::string source, std::string text) {
    out_.problems.push_back({std::move(source), std::move(text)});
  }

  void merge(Layer layer) {
    for (auto& [key, given] : layer) out_.given.insert_or_assign(key, std::move(given));
  }

  std::optional<std::string> read(const std::string& source, const std::string& path,
                                  bool required) {
    auto text = sources_.read_file(path);
    if (!text) {
      problem(source, text.error().message);
      return std::nullopt;
    }
    if (!*text && required) problem(source, fmt::format("there is no file {}", quote(path)));
    return *std::move(text);
  }

  Layer toml_layer() {
    Layer layer;
    if (sources_.toml_path.empty()) return layer;
    const auto text = read(sources_.toml_path, sources_.toml_path, sources_.toml_required);
    if (!text) return layer;
    auto file = parse_toml(*text);
    const auto source = [this](int line) { return fmt::format("{}:{}", sources_.toml_path, line); };
    for (auto& found : file.problems) problem(source(found.line), std::move(found.text));
    for (auto& [key, value] : file.values) {
      put_key(layer, key,
              {std::move(value.text), source(value.line), Origin::file, value.list, {}});
    }
    return layer;
  }

  Layer flag_layer() {
    Layer layer;
    for (const auto& [key, text] : sources_.flags) {
      const auto* row = find_setting(key);
      if (row != nullptr && row->secret) {
        problem("--set " + key,
                "a secret on the command line is seen by every user of the machine; "
                "give it in the environment, or its file as " +
                    key + "_file");
        continue;
      }
      put_key(layer, key, {text, "--set " + key, Origin::flag, false, {}});
    }
    return layer;
  }

  void put_key(Layer& layer, const std::string& key, Given given) {
    if (const auto* row = find_setting(key)) {
      if (given.list && !row->list) {
        return problem(given.source, fmt::format("{} is one value, not a list", key));
      }
      return put(layer, *row, std::move(given));
    }
    if (key.ends_with(kFileKeySuffix)) {
      const auto* row = find_setting(key.substr(0, key.size() - kFileKeySuffix.size()));
      if (row != nullptr && row->secret) return put_file(layer, *row, std::move(given));
    }
    if (is_policy_key(key) && !given.list) return put_policy(layer, key, std::move(given));
    problem(given.source, unknown_key(key));
  }

  // Two texts for one setting in one source must mean the same, or neither is to be trusted.
  void put(Layer& layer, const Setting& row, Given given) {
    const std::string key(row.name.key);
    const auto found = layer.find(key);
    if (found == layer.end()) {
      layer.emplace(key, std::move(given));
    } else if (given.origin == Origin::flag) {
      found->second = std::move(given);  // The last flag counts, as everywhere.
    } else if (!agree(row, found->second.text, given.text)) {
      problem(found->second.source,
              fmt::format("contradicts {}; both are {}, and {} would win: unset {}", given.source,
                          key, found->second.source, given.source));
    }
  }

  void put_file(Layer& layer, const Setting& row, Given given) {
    const std::string path = given.text;
    const auto text = read(given.source, path, true);
    if (!text) return;
    given.text = trim(*text);
    given.path = path;
    if (given.text.empty()) return problem(given.source, fmt::format("{} is empty", quote(path)));
    put(layer, row, std::move(given));
  }

  void put_policy(Layer& layer, const std::string& key, Given given) {
    if (!is_policy_name(std::string_view(key).substr(kPolicyPrefix.size()))) {
      return problem(given.source,
                     fmt::format("{} is not a name for a limit: 1 to 64 of a-z 0-9 _ . -",
                                 quote(key.substr(kPolicyPrefix.size()))));
    }
    layer.insert_or_assign(key, std::move(given));
  }

  Variables dotenv_variables() {
    Variables variables;
    if (sources_.dotenv_path.empty()) return variables;
    const auto text = read(sources_.dotenv_path, sources_.dotenv_path, false);
    if (!text) return variables;
    auto values = parse_dotenv(*text);
    if (!values) {
      problem(sources_.dotenv_path, values.error());
      return variables;
    }
    for (auto& [name, value] : *values) {
      variables[name] = {std::move(value.text),
                         fmt::format("{}:{} {}", sources_.dotenv_path, value.line, name),
                         value.expands};
    }
    return variables;
  }

  Layer variable_layer(const Variables& variables, Origin origin) {
    Layer layer;
    // In the order of the rows, so that the spelling to write is the one a contradiction starts
    // with.
    for (const auto& row : all_settings()) {
      for (const auto name : row.name.environment) {
        take(layer, row, variables, std::string(name), origin, false);
        if (row.secret) {
          take(layer, row, variables, std::string(name) + std::string(kFileSuffix), origin, true);
        }
      }
    }
    for (const auto& [name, variable] : variables) {
      if (!variable.text.empty()) take_other(layer, name, variable, origin);
    }
    check_pool_size(variables);
    return layer;
  }

  // Not used, yet checked: who mistypes it here would not be told elsewhere either.
  void check_pool_size(const Variables& variables) {
    const Variable* first = nullptr;
    std::int64_t size = 0;
    for (const auto* const name : kPoolSizes) {
      const auto found = variables.find(name);
      if (found == variables.end() || found->second.text.empty()) continue;
      const auto& variable = found->second;
      const auto number = integer_in(trim(variable.text), 1, kPoolSizeMax);
      if (!number) {
        problem(variable.source, number.error());
      } else if (first == nullptr) {
        first = &variable;
        size = *number;
      } else if (*number != size) {
        problem(first->source, fmt::format("contradicts {}; both are the size of a pool, which "
                                           "is not used: unset both",
                                           variable.source));
      }
    }
  }

  // An empty variable is an unset one: `REDIS_PASSWORD=` is how Compose files say "none".
  void take(Layer& layer, const Setting& row, const Variables& variables, const std::string& name,
            Origin origin, bool file) {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.text.empty()) return;
    const auto& variable = found->second;
    if (!expandable(variable)) return;
    Given given{std::string(trim(variable.text)), variable.source, origin, row.list, {}};
    if (file) return put_file(layer, row, std::move(given));
    put(layer, row, std::move(given));
  }

  void take_other(Layer& layer, const std::string& name, const Variable& variable, Origin origin) {
    const auto is_reserved = [&](const ReservedName& row) { return row.name == name; };
    if (std::ranges::any_of(reserved_names(), is_reserved)) {
      out_.reserved.insert_or_assign(name, variable.source);
    } else if (name.starts_with(kPolicyVariable)) {
      if (!expandable(variable)) return;
      const auto key = std::string(kPolicyPrefix) + to_lower(name.substr(kPolicyVariable.size()));
      if (!is_policy_key(key)) {
        return problem(variable.source,
                       fmt::format("a limit cannot be called {}; the name is taken",
                                   key.substr(kPolicyPrefix.size())));
      }
      put_policy(layer, key, {variable.text, variable.source, origin, false, {}});
    } else if (name.starts_with("REDOUBT_") && !is_known(name)) {
      problem(variable.source, unknown_variable(name));
    }
  }

  bool expandable(const Variable& variable) {
    if (!variable.expands) return true;
    problem(
        variable.source,
        "has a $ that is not expanded here; write the value itself, or put it in single quotes");
    return false;
  }

  static bool is_known(std::string_view name) {
    if (std::ranges::find(client_names(), name) != client_names().end()) return true;
    return std::ranges::any_of(all_settings(), [name](const Setting& row) {
      return std::ranges::any_of(row.name.environment, [&](std::string_view known) {
        return name == known || (row.secret && name == fmt::format("{}{}", known, kFileSuffix));
      });
    });
  }

  const ConfigSources& sources_;
  Gathered out_;
};

}  // namespace

const Setting* find_setting(std::string_view key) {
  for (const auto& row : all_settings()) {
    if (row.name.key == key) return &row;
  }
  return nullptr;
}

Gathered gather(const ConfigSources& sources) {
  return Gatherer(sources).gather();
}

}  // namespace redoubt::config
