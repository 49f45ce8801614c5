#include "config/toml_file.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

namespace redoubt::config {
namespace {

int line_of(const toml::node& node) {
  return static_cast<int>(node.source().begin.line);
}

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
  if (const auto* number = node.as_floating_point(); number && std::isfinite(number->get())) {
    return fmt::format("{}", number->get());
  }
  return std::nullopt;
}

// Walks the tables of the file. A method per kind of node; problems are collected, not returned.
class Flattener {
 public:
  TomlFile take() && { return std::move(file_); }

  void flatten(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (const auto* section = node.as_table()) {
        flatten_section(name, *section);
      } else {
        add(name, node);
      }
    }
  }

 private:
  void flatten_section(const std::string& section, const toml::table& table) {
    for (const auto& [key, node] : table) {
      const auto name = fmt::format("{}.{}", section, key.str());
      const auto* inner = node.as_table();
      if (inner == nullptr) {
        add(name, node);
      } else if (section == "limits") {
        add_policy(name, *inner);
      } else {
        problem(node, fmt::format("{}: there is no such table", name));
      }
    }
  }

  void add(const std::string& name, const toml::node& node) {
    if (const auto* items = node.as_array()) {
      add_list(name, *items);
    } else if (auto text = scalar_text(node)) {
      keep(name, TomlValue{*std::move(text), line_of(node), false});
    } else {
      problem(node, fmt::format("{}: expected text, a number, true or false", name));
    }
  }

  void add_list(const std::string& name, const toml::array& items) {
    std::string joined;
    for (const auto& item : items) {
      const auto text = scalar_text(item);
      if (!text || text->find(',') != std::string::npos) {
        return problem(item, fmt::format("{}: an item is text without a comma", name));
      }
      if (!joined.empty()) joined += ',';
      joined += text->empty() ? " " : *text;
    }
    if (items.empty()) joined = "none";
    keep(name, TomlValue{std::move(joined), line_of(items), true});
  }

  void add_policy(const std::string& name, const toml::table& table) {
    std::map<std::string, std::string, std::less<>> words;
    for (const auto& [key, node] : table) {
      constexpr std::array<std::string_view, 5> kKeys{"limit", "period", "burst", "algorithm",
                                                      "class"};
      const auto text = scalar_text(node);
      if (std::ranges::find(kKeys, key.str()) == kKeys.end()) {
        return problem(
            node, fmt::format("{}.{}: a limit has limit, period, burst, algorithm, class", name,
                              key.str()));
      }
      if (!text || text->empty() || text->find(' ') != std::string::npos) {
        return problem(node, fmt::format("{}.{}: expected one word or number", name, key.str()));
      }
      words.emplace(key.str(), *text);
    }
    if (!words.contains("limit") || !words.contains("period")) {
      return problem(table, fmt::format("{}: needs limit and period", name));
    }
    auto text = fmt::format("{}/{}", words["limit"], words["period"]);
    if (words.contains("burst")) text += " burst " + words["burst"];
    if (words.contains("algorithm")) text += " " + words["algorithm"];
    if (words.contains("class")) text += " " + words["class"];
    keep(name, TomlValue{std::move(text), line_of(table), false});
  }

  // TOML itself refuses a key written twice; "a.b" as one quoted key beside [a] b gets past it.
  void keep(const std::string& name, TomlValue value) {
    const int line = value.line;
    const auto [kept, first] = file_.values.emplace(name, std::move(value));
    if (!first) {
      file_.problems.push_back(
          {line, fmt::format("{}: already set on line {}", name, kept->second.line)});
    }
  }

  void problem(const toml::node& node, std::string text) {
    file_.problems.push_back({line_of(node), std::move(text)});
  }

  TomlFile file_;
};

}  // namespace

TomlFile parse_toml(std::string_view text) {
  try {
    Flattener flattener;
    flattener.flatten(toml::parse(text));
    return std::move(flattener).take();
  } catch (const toml::parse_error& error) {
    const auto where = error.source().begin;
    TomlFile file;
    file.problems.push_back({static_cast<int>(where.line),
                             fmt::format("column {}: {}", where.column, error.description())});
    return file;
  }
}

}  // namespace redoubt::config
