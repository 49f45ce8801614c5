#include "config/load.hpp"
#include "config/setting.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::config {
namespace {

std::string_view origin_word(Origin origin) {
  switch (origin) {
    case Origin::built_in:
      return "default";
    case Origin::file:
      return "file";
    case Origin::dotenv:
      return ".env";
    case Origin::environment:
      return "environment";
    case Origin::flag:
      return "flag";
  }
  return {};
}

}  // namespace

std::string render_config(const Loaded& loaded) {
  std::size_t key_width = 0;
  std::size_t text_width = 0;
  for (const auto& value : loaded.values) {
    key_width = std::max(key_width, value.key.size());
    // A long list of addresses does not push every origin off the screen.
    text_width = std::max(text_width, std::min<std::size_t>(value.text.size(), 40));
  }
  std::string out;
  for (const auto& value : loaded.values) {
    out += fmt::format("{:<{}}  {:<{}}  {}", value.key, key_width, value.text, text_width,
                       origin_word(value.origin));
    if (value.source != origin_word(value.origin)) out += fmt::format(" ({})", value.source);
    out += '\n';
  }
  if (!loaded.unused.empty()) {
    out += fmt::format("\nnot used by this version: {}\n", joined(loaded.unused));
  }
  return out;
}

}  // namespace redoubt::config
