// A setting is a row: its names, what it accepts, how its text becomes a field of Config and back.
// The loader, `redoubt config` and the reference are made from the rows.
//
// A new setting: a field in config.hpp, a row in config/<noun>_settings.cpp, and the reference made
// anew (UPDATE_GOLDEN=1 config_tests).
#pragma once

#include "config/values.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace redoubt::config {

struct SettingName {
  std::string_view key;  // "http.keep_alive"
  std::vector<std::string_view>
      environment;  // The first is the one to write; the rest are as good.
  std::string_view help;
};

struct Setting {
  SettingName name;
  std::string accepts;  // "1s to 1h"
  bool secret = false;  // Never shown; also read from the file that NAME_FILE names; never a flag.
  bool list = false;    // redoubt.toml may give an array.
  std::function<Parsed<void>(Config&, std::string_view text)> set;
  std::function<std::string(const Config&)> show;
  std::function<void(Config&, const std::string& path)> set_file{};  // Secrets: remembers the path.
};

// A name that other systems' setups carry and that this version knows without using it.
struct ReservedName {
  std::string_view name;
  std::string_view help;
};

// The rows of each noun.
std::vector<Setting> http_settings();
std::vector<Setting> record_settings();
std::vector<Setting> session_settings();
std::vector<Setting> limit_settings();
std::vector<Setting> cache_settings();
std::vector<Setting> crypto_settings();
std::vector<Setting> redis_settings();
std::vector<Setting> upstash_settings();
std::vector<Setting> log_settings();

// All of them in the order of the reference.
const std::vector<Setting>& all_settings();
std::span<const ReservedName> reserved_names();
std::span<const std::string_view> client_names();  // Read by the commands that call a server.

// at(&Config::http, &HttpSettings::keep_alive): the way to a field.
template <class... Members>
auto at(Members... members) {
  return [members...](auto& config) -> auto& {
    return (config.*....*members);
  };
}

template <class Range>
std::string joined(const Range& items) {
  std::string out;
  for (const auto& item : items) {
    if (!out.empty()) out += ", ";
    out += item;
  }
  return out.empty() ? "none" : out;
}

// A row from a parser and a printer.
template <class Field, class Parse, class Show>
Setting setting(SettingName name, std::string accepts, Field field, Parse parse, Show show) {
  Setting row;
  row.name = std::move(name);
  row.accepts = std::move(accepts);
  row.set = [field, parse](Config& config, std::string_view text) -> Parsed<void> {
    auto value = parse(text);
    if (!value) return wrong(std::move(value).error());
    field(config) =
        static_cast<std::remove_reference_t<decltype(field(config))>>(*std::move(value));
    return {};
  };
  row.show = [field, show](const Config& config) -> std::string { return show(field(config)); };
  return row;
}

template <class Field>
Setting duration_setting(SettingName name, Duration low, Duration high, Field field) {
  return setting(
      std::move(name), fmt::format("{} to {}", format_duration(low), format_duration(high)), field,
      [low, high](std::string_view text) { return duration_in(text, low, high); },
      [](Duration value) { return format_duration(value); });
}

template <class Field>
Setting integer_setting(SettingName name, std::int64_t low, std::int64_t high, Field field) {
  return setting(
      std::move(name), fmt::format("{} to {}", low, high), field,
      [low, high](std::string_view text) { return integer_in(text, low, high); },
      [](auto value) { return std::to_string(value); });
}

template <class Field>
Setting size_setting(SettingName name, std::uint64_t low, std::uint64_t high, Field field) {
  return setting(
      std::move(name), fmt::format("{} to {}", format_size(low), format_size(high)), field,
      [low, high](std::string_view text) { return size_in(text, low, high); },
      [](std::uint64_t value) { return format_size(value); });
}

template <class Field>
Setting boolean_setting(SettingName name, Field field) {
  return setting(std::move(name), "true, false", field, boolean,
                 [](bool value) { return std::string(value ? "true" : "false"); });
}

template <class Field>
Setting path_setting(SettingName name, Field field) {
  const auto parse = [](std::string_view text) -> Parsed<std::string> {
    if (text.find('\0') != std::string_view::npos) return wrong("a path has no NUL in it");
    return std::string(text);
  };
  return setting(std::move(name), "a path", field, parse,
                 [](const std::string& value) { return value.empty() ? "not set" : value; });
}

template <class Enum>
using EnumNames = std::vector<std::pair<std::string_view, Enum>>;

template <class Enum, class Field>
Setting enum_setting(SettingName name, EnumNames<Enum> names, Field field) {
  std::string accepts;
  for (const auto& [word, value] : names) {
    accepts += accepts.empty() ? "" : ", ";
    accepts += word;
  }
  const auto parse = [names, accepts](std::string_view text) -> Parsed<Enum> {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : names) {
      if (iequals(word, text)) return value;
      words.push_back(word);
    }
    const auto near = nearest(to_lower(text), words);
    return wrong(fmt::format("{} is not one of {}{}", quote(text), accepts,
                             near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  };
  const auto show = [names](Enum value) -> std::string {
    for (const auto& [word, candidate] : names) {
      if (candidate == value) return std::string(word);
    }
    return {};
  };
  return setting(std::move(name), accepts, field, parse, show);
}

}  // namespace redoubt::config
