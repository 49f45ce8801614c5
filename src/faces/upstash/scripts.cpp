#include "faces/upstash/scripts.hpp"

#include "base/text.hpp"
#include "redis/script.hpp"

namespace redoubt::faces {
namespace {

constexpr std::size_t kScriptsMax = 1024;
constexpr std::string_view kFlag = "allow-key-locking";
constexpr std::string_view kShebang = "#!lua";

std::string sha_of(std::string_view script) {
  return std::string(redis::Script(std::string(script)).sha());
}

bool is_load(std::span<const std::string_view> arguments) {
  return arguments.size() == 3 && iequals(arguments[0], "script") && iequals(arguments[1], "load");
}

bool has_source(std::span<const std::string_view> arguments) {
  if (is_load(arguments)) return true;
  return arguments.size() > 1 &&
         (iequals(arguments[0], "eval") || iequals(arguments[0], "eval_ro"));
}

bool has_sha(std::span<const std::string_view> arguments) {
  return arguments.size() > 1 &&
         (iequals(arguments[0], "evalsha") || iequals(arguments[0], "evalsha_ro"));
}

}  // namespace

std::string UpstashScripts::without_flag(std::string_view script) {
  if (!script.starts_with(kShebang)) return {};
  const std::size_t end = std::min(script.find('\n'), script.size());
  const std::string_view line = script.substr(0, end);
  if (line.find(kFlag) == std::string_view::npos) return {};
  const std::size_t at = line.find("flags=");
  if (at == std::string_view::npos) return {};
  std::string kept;
  for (const std::string_view flag : split(trim(line.substr(at + 6)), ',')) {
    if (trim(flag) == kFlag) continue;
    kept += kept.empty() ? "" : ",";
    kept += trim(flag);
  }
  // With no flag left the line goes: a script with a first line like that obeys other rules.
  std::string out;
  if (!kept.empty()) out.assign(line.substr(0, at)).append("flags=").append(kept);
  out += script.substr(end);
  return out;
}

std::string UpstashScripts::loaded_sha(std::span<const std::string_view> arguments) {
  if (!is_load(arguments) || without_flag(arguments[2]).empty()) return {};
  return sha_of(arguments[2]);
}

std::span<const std::string_view> UpstashScripts::translate(
    std::span<const std::string_view> arguments) {
  if (has_sha(arguments)) {
    const auto known = shas_.find(to_lower(arguments[1]));
    if (known == shas_.end()) return arguments;
    changed_.assign(arguments.begin(), arguments.end());
    changed_[1] = known->second;
    return changed_;
  }
  if (!has_source(arguments)) return arguments;
  const std::size_t at = is_load(arguments) ? 2 : 1;
  script_ = without_flag(arguments[at]);
  if (script_.empty()) return arguments;
  if (shas_.size() >= kScriptsMax) shas_.clear();
  shas_[sha_of(arguments[at])] = sha_of(script_);
  changed_.assign(arguments.begin(), arguments.end());
  changed_[at] = script_;
  return changed_;
}

}  // namespace redoubt::faces
