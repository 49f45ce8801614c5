// One SQLite connection: opened the way the record needs it, with its prepared statements.
//
// Journal mode WAL with synchronous=FULL: a commit returns after its log is on the disk, and
// readers never wait for the writer. WAL with NORMAL would lose commits at power loss.
//
// Threads: one at a time; the engine's own mutexes are off.
// Errors: those of sql::Transaction, and at open sentences for the operator.
#pragma once

#include "sql/sql.hpp"
#include "sql/sqlite/errors.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace redoubt::sql::sqlite {

struct ConnectionOptions {
  enum class Mode : std::uint8_t { writer, reader };

  std::string path;
  Mode mode = Mode::writer;
  bool durable = true;           // false: commits survive the process, not the machine.
  Duration busy_timeout{2'000};  // How long to wait for a lock somebody else holds.
  std::int64_t cache_bytes = 2 << 20;
  std::int64_t pages_max = 0;       // The file never grows beyond it; 0: no bound but the disk.
  std::int64_t application_id = 0;  // A writer refuses a database of another; 0: takes any.
  std::string vfs;                  // SQLite's file layer by name; empty: the default one.
};

class Connection final {
 public:
  static Result<std::unique_ptr<Connection>> open(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one prepared statement to its end. The statement stays prepared, found again by the
  // address of its text; texts live as long as the program.
  Result<Rows> run(std::string_view text, std::span<const Param> params = {});

  // Runs a script of any number of statements, unprepared.
  Result<void> execute(const std::string& script);

  // The single integer that `text` yields (a PRAGMA, a count). Unprepared.
  Result<std::int64_t> integer(const std::string& text);

  // False as soon as the engine has rolled back by itself, as it may on a full disk or an I/O
  // error.
  bool in_transaction() const;

  std::int64_t changes_total() const;  // Rows changed since open.

  // Why the last run() or execute() failed when the database itself was at fault; else empty.
  std::string_view failure_reason() const { return failure_reason_; }
  // That it was a sync: what was written before may still reach the disk.
  bool sync_failed() const { return sync_failed_; }

  // Pages in the write-ahead log after the last commit of this connection.
  std::int64_t log_pages() const { return log_pages_; }

  // True: the file is new, false: it is this application's. Changes nothing.
  // Errors: conflict "record_foreign": another program's database.
  Result<bool> is_new_or_of(std::int64_t application_id);

  // Copies the log into the database file as far as no reader needs it. Disk writes and two syncs.
  Result<void> checkpoint();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  using StatementHandle = std::unique_ptr<sqlite3_stmt, Finalize>;
  struct Prepared {
    StatementHandle handle;
    std::string text;  // A copy: an address that is reused for another text must be noticed.
    std::vector<std::size_t> order;  // order[i]: which $number the engine's parameter i + 1 is.
  };

  explicit Connection(sqlite3* handle) : handle_(handle) {}
  Result<void> configure(const ConnectionOptions& options);
  Result<void> configure_writer(const ConnectionOptions& options);
  Result<Prepared*> prepared(std::string_view text);
  Unexpected failed(int code);

  sqlite3* handle_;
  std::unordered_map<const char*, Prepared> statements_;
  std::string_view failure_reason_;
  bool sync_failed_ = false;
  std::int64_t log_pages_ = 0;
};

}  // namespace redoubt::sql::sqlite
