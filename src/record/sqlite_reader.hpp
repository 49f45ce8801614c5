// Read connections, handed out one per running read. The last one returned is the next one given,
// so its statements and pages are warm, and there are never more than reads that ran at once.
//
// Threads: any.
#pragma once

#include "record/file_identity.hpp"
#include "record/record.hpp"
#include "sql/sqlite/connection.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace redoubt::record {

class SqliteReader {
 public:
  // REQUIRES: the file is there; it is the only one that is read.
  explicit SqliteReader(sql::sqlite::ConnectionOptions options)
      : options_(std::move(options)), file_(FileIdentity::of(options_.path)) {}

  // Runs `work` here and now, inside one read transaction.
  Task<void> run(std::function<Task<void>(sql::Transaction&)> work);

  void close();  // No read may run or follow.

 private:
  class Lease;
  Result<std::unique_ptr<sql::sqlite::Connection>> take();
  void give_back(std::unique_ptr<sql::sqlite::Connection> connection);

  const sql::sqlite::ConnectionOptions options_;
  const FileIdentity file_;
  std::mutex mutex_;  // Guards the rest.
  std::vector<std::unique_ptr<sql::sqlite::Connection>> idle_;
};

}  // namespace redoubt::record
