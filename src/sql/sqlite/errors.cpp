#include "sql/sqlite/errors.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <utility>

namespace redoubt::sql::sqlite {
namespace {

// The engine says "I/O error" for all of these; the kernel knows better.
std::string_view reason_of_io(int system_errno) {
  switch (system_errno) {
    case ENOSPC:
    case EDQUOT:
      return kDiskFull;
    case EROFS:
      return kReadOnly;
    case EACCES:
    case EPERM:
      return kNotPermitted;
    case EMFILE:
    case ENFILE:
      return "too many open files";
    default:
      return kInputOutput;
  }
}

// Empty: the fault is the statement's, not the database's.
std::string_view reason_of(int code, int system_errno) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return kDiskFull;
    case SQLITE_READONLY:
      return kReadOnly;
    case SQLITE_IOERR:
      return code == SQLITE_IOERR_NOMEM ? "out of memory" : reason_of_io(system_errno);
    case SQLITE_CANTOPEN:
      return "database file cannot be opened";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return "locked by another process";
    case SQLITE_PROTOCOL:
      return "file locking failed";
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return kNotPermitted;
    case SQLITE_NOMEM:
      return "out of memory";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return kDamaged;
    default:
      return {};
  }
}

}  // namespace

Failure classify(int code, int system_errno, std::string cause) {
  cause = fmt::format("{} (sqlite {}, errno {})", cause, code, system_errno);
  const std::string_view reason = reason_of(code, system_errno);
  if (reason == kDamaged) {
    return {Error(Errc::internal, "record_corrupt",
                  "The record's database is damaged; restore it from a backup.", std::move(cause)),
            reason};
  }
  if (!reason.empty()) {
    Error error =
        unavailable("record_unavailable", fmt::format("The record is unavailable: {}.", reason),
                    std::move(cause));
    error.retry_after = std::chrono::seconds(1);
    return {std::move(error), reason};
  }
  if ((code & 0xff) == SQLITE_CONSTRAINT) {
    return {Error(Errc::conflict, "constraint", "The change contradicts what is already stored.",
                  std::move(cause)),
            {}};
  }
  return {internal(std::move(cause)), {}};
}

}  // namespace redoubt::sql::sqlite
