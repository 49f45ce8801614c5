// Programmer errors stop the program, in release builds too, with the values that show why.
#pragma once

#include <string_view>

namespace redoubt {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line,
                                std::string_view message);
}  // namespace redoubt

#define RD_ASSERT(condition, message) \
  ((condition) ? static_cast<void>(0) \
               : ::redoubt::assert_failed(#condition, __FILE__, __LINE__, message))
