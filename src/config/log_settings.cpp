#include "config/setting.hpp"

namespace redoubt::config {

std::vector<Setting> log_settings() {
  const EnumNames<LogLevel> levels{{"debug", LogLevel::debug},
                                   {"info", LogLevel::info},
                                   {"warn", LogLevel::warn},
                                   {"error", LogLevel::error},
                                   {"off", LogLevel::off}};
  const EnumNames<LogFormat> formats{
      {"auto", LogFormat::automatic}, {"text", LogFormat::text}, {"json", LogFormat::json}};
  return {
      enum_setting({"log.level", {"REDOUBT_LOG_LEVEL"}, "The least severe events that are logged."},
                   levels, at(&Config::log, &LogSettings::level)),
      enum_setting(
          {"log.format", {"REDOUBT_LOG_FORMAT"}, "auto: text on a terminal, JSON otherwise."},
          formats, at(&Config::log, &LogSettings::format)),
  };
}

}  // namespace redoubt::config
