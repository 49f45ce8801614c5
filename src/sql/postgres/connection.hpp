// One PostgreSQL connection: libpq, non-blocking, in pipeline mode on an executor.
//
// A round trip is a run(): whatever was queue()d before leaves with it in one write, and the
// replies are read in one go. Statements are prepared at their first use and found again by the
// address of their text. Parameters and results are binary.
//
// Threads: those of its executor, one at a time. One run() at a time.
// Errors: those of sql::Transaction. A connection that was lost stays lost; open another.
#pragma once

#include "sql/postgres/errors.hpp"
#include "sql/postgres/target.hpp"
#include "sql/postgres/values.hpp"
#include "sql/sql.hpp"

#include <redoubt/clock.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

struct pg_conn;
struct pg_result;

namespace redoubt::sql::postgres {

class Connection;

// Connections, open or being opened, whose waits can be ended together. It outlives them.
//
// Threads: those of their executor, one at a time.
class ConnectionSet {
 public:
  // As if whatever is waited for had been silent for too long. Idle ones stay.
  void end_waits();

 private:
  friend class Connection;
  std::unordered_set<Connection*> connections_;
};

struct ConnectionOptions {
  Duration connect_timeout{5'000};
  // A reply that takes longer ends the connection. Longer than the server's own limits, which it
  // gives up by with an answer.
  Duration reply_timeout{8'000};
  std::vector<std::pair<std::string, std::string>> settings;  // SET of the session.
  ConnectionSet* set = nullptr;                               // It joins this one.
};

enum class Commit : std::uint8_t {
  committed,
  failed,   // Certainly not committed.
  unknown,  // The connection was lost between the question and its answer.
};

class Connection final {
 public:
  // Connects and prepares the session. Looking the host's name up blocks the thread (libpq).
  static Task<std::unique_ptr<Connection>> open(boost::asio::any_io_executor executor,
                                                const Target& target,
                                                const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sent with the next run(), in front of it; if it fails, that run() fails with its error.
  void queue(std::string_view text, Params params = {});

  // Sends what is queued and this, and waits for all replies.
  Task<Rows> run(std::string_view text, Params params = {});

  // Commits, with what is queued in front. On `failed` and `unknown`, failure() says why.
  boost::asio::awaitable<Commit> commit();

  // A script of any number of statements, unprepared. REQUIRES: nothing is queued.
  Task<void> execute(std::string script);

  // How long replies to what is sent from now on may take; no longer than the options say.
  void limit_replies(Duration limit) { reply_timeout_ = std::min(limit, options_.reply_timeout); }

  // False once it is lost; asks the socket, without waiting, whether the server has gone.
  bool alive();
  bool in_transaction() const;

  // Why the last run(), commit() or execute() failed; empty when it did not.
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  friend class ConnectionSet;
  struct Io;
  struct Prepared {
    std::string name;
    std::string text;  // A copy: an address that is reused for another text must be noticed.
  };
  struct Sent {
    const char* prepares = nullptr;  // The statement's address when this prepares it.
  };
  struct ResultFree {
    void operator()(pg_result* result) const;
  };
  using ResultHandle = std::unique_ptr<pg_result, ResultFree>;

  Connection(boost::asio::any_io_executor executor, const ConnectionOptions& options);

  Task<void> connect(const Target& target);
  Result<void> watch_socket();
  Task<void> start_session();
  bool send(std::string_view text, const Params& params);
  bool prepare(std::string_view text, const Params::Arrays& params, Prepared& entry);
  Task<Rows> collect(bool pipelined);
  boost::asio::awaitable<bool> reply_ready();
  boost::asio::awaitable<bool> wait(bool for_writing);
  void take(ResultHandle result, const Sent& command, bool last, Rows& rows);
  void note_error(const pg_result* result);
  void lost(std::string_view reason);
  Unexpected failed() const;

  const ConnectionOptions options_;
  Duration reply_timeout_;
  std::shared_ptr<Io> io_;
  pg_conn* handle_ = nullptr;
  std::unordered_map<const char*, Prepared> statements_;
  std::uint64_t prepared_count_ = 0;
  std::vector<Sent> sent_;  // In the pipeline, in order.
  std::string tag_;         // Of the last command.
  std::optional<Failure> failure_;
  bool lost_ = false;
};

}  // namespace redoubt::sql::postgres
