// The log: one event per line, an event name and fields, no sentences to parse. Text on a terminal,
// JSON otherwise. Secrets have no way in: Field takes no Secret, and values are escaped, so a line
// cannot be forged by its content.
//
//   log.info("session.created", {{"session", id}, {"user", user}});
//
// Levels: error: someone should look. warn: we degraded. info: state changes. debug: the rest.
// Threads: any; a line is written whole. A blocked or full sink never blocks a request: lines are
// queued (8,192), then counted as dropped (redoubt_log_lines_dropped_total). A value is cut at 4 KiB.
// The destructor writes what is queued, and gives up on a sink that takes nothing for a second.
#pragma once

#include <redoubt/clock.hpp>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt {

enum class LogLevel : std::uint8_t { debug, info, warn, error, off };
enum class LogFormat : std::uint8_t { automatic, text, json };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), text(v) {}
  LogField(std::string_view k, const char* v) : key(k), text(v) {}
  LogField(std::string_view k, const std::string& v) : key(k), text(v) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view k, T v) : key(k), number(static_cast<double>(v)), is_number(true) {}

  std::string_view key;
  std::string_view text;
  double number = 0;
  bool is_number = false;
};

class Log {
 public:
  virtual ~Log() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view event,
                     std::initializer_list<LogField> fields) = 0;

  // Waits until what was written before is out; at most a second. The log goes on.
  virtual void flush() {}

  // Lines given up because the sink could not take them.
  virtual std::uint64_t dropped() const { return 0; }

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::debug)) write(LogLevel::debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::info)) write(LogLevel::info, event, fields);
  }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::warn)) write(LogLevel::warn, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (enabled(LogLevel::error)) write(LogLevel::error, event, fields);
  }
};

// To standard error. `automatic` is text when it is a terminal.
std::unique_ptr<Log> make_log(const Clock& clock, LogLevel level, LogFormat format);

// To any descriptor, which stays the caller's and must outlive the log.
std::unique_ptr<Log> make_log_to(int descriptor, const Clock& clock, LogLevel level,
                                 LogFormat format);

// Swallows everything; for tests.
Log& null_log();

}  // namespace redoubt
