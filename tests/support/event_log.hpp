// A log that remembers which lines were written, for tests of what is said and how often.
// Threads: any.
#pragma once

#include "base/log.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::test {

class EventLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField>) override {
    const std::lock_guard lock(mutex_);
    lines_.emplace_back(level, event);
  }

  std::ptrdiff_t count(std::string_view event) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::count(lines_, event, &Line::second);
  }
  std::ptrdiff_t count(LogLevel level, std::string_view event) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::count(lines_, Line(level, event));
  }

 private:
  using Line = std::pair<LogLevel, std::string>;

  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

}  // namespace redoubt::test
