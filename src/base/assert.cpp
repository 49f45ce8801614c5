#include "base/assert.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace redoubt {

void assert_failed(const char* expression, const char* file, int line, std::string_view message) {
  // Straight to the descriptor: the log's queue would die with the process.
  const std::string text =
      fmt::format("redoubt: assertion failed: {} at {}:{}: {}\n", expression, file, line, message);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
  std::abort();
}

}  // namespace redoubt
