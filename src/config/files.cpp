#include "config/load.hpp"
#include "config/values.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

extern "C" char** environ;

namespace redoubt::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMax = 1u << 20;

Unexpected unreadable(const std::string& path, std::string_view why) {
  return fail(Error(Errc::invalid_argument, "config_file_unreadable",
                    fmt::format("{} cannot be read: {}", quote(path), why)));
}

}  // namespace

Result<std::optional<std::string>> read_settings_file(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return std::nullopt;
  if (error) return unreadable(path, error.message());
  if (fs::is_directory(status)) return unreadable(path, "it is a directory");
  // Not only regular files: a secret may come through a pipe, as in <(pass show redoubt).
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(path, std::strerror(errno));
  std::string text(kFileMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return unreadable(path, "the read failed");
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > kFileMax) return unreadable(path, "it is larger than 1 MiB");
  return text;
}

std::map<std::string, std::string> process_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return variables;
}

}  // namespace redoubt::config
