// What SQLite's result codes mean to us. One table, so that the reason an operator reads is the
// same in an answer, in the log and in the status.
#pragma once

#include <redoubt/error.hpp>

#include <string>
#include <string_view>

namespace redoubt::sql::sqlite {

inline constexpr std::string_view kDiskFull = "disk full";
inline constexpr std::string_view kReadOnly = "read-only file system";
inline constexpr std::string_view kNotPermitted = "permission denied";
inline constexpr std::string_view kInputOutput = "I/O error";
inline constexpr std::string_view kDamaged = "database damaged";

struct Failure {
  Error error;
  // Why the database cannot work at all ("disk full"); empty when only the statement was wrong.
  std::string_view reason;
};

// `code` is an extended result code, `system_errno` the system's (0: none), `cause` the
// engine's own words, for the log.
Failure classify(int code, int system_errno, std::string cause);

}  // namespace redoubt::sql::sqlite
