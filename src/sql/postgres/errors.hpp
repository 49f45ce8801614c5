// What PostgreSQL's SQLSTATEs mean to us: the same slugs as SQLite's codes, so that nothing above
// knows which engine refused. Source: PostgreSQL documentation, appendix A.
#pragma once

#include <redoubt/error.hpp>

#include <string>
#include <string_view>

namespace redoubt::sql::postgres {

struct Failure {
  Error error;
  // Why the database cannot work at all ("disk full"); empty when only the statement was wrong.
  std::string_view reason;
  // A deadlock or a serialization failure: the same work may succeed in a transaction of its own.
  bool conflict = false;
};

// `cause` is the server's own words, for the log; it may quote values, so it never reaches a
// caller.
Failure classify(std::string_view sqlstate, std::string cause);

inline constexpr std::string_view kUnreachable = "database cannot be reached";
inline constexpr std::string_view kSilent = "database does not answer";
inline constexpr std::string_view kReadOnly = "database is read-only";

// Whether it is the way to the database that failed, or the whole of it that was not there.
bool concerns_the_way(std::string_view reason);

// The connection is gone or was never made.
Failure unreachable(std::string_view reason, std::string cause);

}  // namespace redoubt::sql::postgres
