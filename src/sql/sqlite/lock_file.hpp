// One process per database. SQLite itself would let a second one in; but the journal is a signal
// inside the process, so a second writer would make every copy in the first one silently stale.
#pragma once

#include <redoubt/result.hpp>

#include <memory>
#include <string>

namespace redoubt::sql::sqlite {

// Holds `<database>.lock`, beside the file that `database` leads to, for as long as it lives,
// however the process ends. The lock file stays.
class LockFile {
 public:
  // REQUIRES: the database's file is there, or its path is no link.
  // Errors: conflict "record_in_use" naming the process that has it.
  static Result<std::unique_ptr<LockFile>> acquire(const std::string& database);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  explicit LockFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace redoubt::sql::sqlite
