// The writer thread and its group commit.
//
//   queue:  unit unit unit | unit ...        whatever arrived while the last batch was committing
//   batch:  BEGIN IMMEDIATE
//             SAVEPOINT  work  RELEASE       a unit that succeeded
//             SAVEPOINT  work  ROLLBACK TO   a unit that failed: undone alone
//           COMMIT                           the log is on the disk
//           journal listeners, in order
//           callers, each on its own executor
//
// When the batch cannot be committed none of it is acknowledged. Nothing remembers that: the next
// batch tries again, and the first one that succeeds ends the outage.
//
// A commit whose sync failed may have left its pages in the log behind the last valid commit; they
// are overwritten by the next one. A crash in between can therefore bring back units that were
// refused as unavailable (never the reverse).
#pragma once

#include "record/audit.hpp"
#include "record/availability.hpp"
#include "record/completion.hpp"
#include "record/file_identity.hpp"
#include "record/record.hpp"
#include "record/sqlite_record.hpp"
#include "record/standing_queue.hpp"
#include "record/write_metrics.hpp"
#include "sql/sqlite/connection.hpp"

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::record {

class SqliteWriter {
 public:
  using Work = std::function<Task<void>(Unit&)>;

  SqliteWriter(std::unique_ptr<sql::sqlite::Connection> connection,
               sql::sqlite::ConnectionOptions reopen_with, const SqliteRecordOptions& options,
               Clock& clock, Log& log, Metrics& metrics);
  ~SqliteWriter();
  SqliteWriter(const SqliteWriter&) = delete;
  SqliteWriter& operator=(const SqliteWriter&) = delete;

  Task<void> submit(Work work, BootTime deadline = kNoDeadline);
  double queue_fill() const;
  void subscribe(JournalListener listener);
  Status status() const;
  void stop();   // Returns when the queue is empty and the thread has ended.
  void close();  // REQUIRES: stopped.

 private:
  struct Pending {
    Work work;
    Result<void> result = fail(internal("a unit of work was not reached"));
    Completion caller;
    BootTime deadline = kNoDeadline;
    BootTime since{};  // It waits.
  };
  struct Batch;
  class BatchUnit;

  void enqueue(Pending pending);
  static void refuse(Pending pending, Error error);
  void run();
  bool take(std::vector<Pending>& units);
  void drop_late(std::vector<Pending>& units, bool all);
  void commit(Batch& batch);
  boost::asio::awaitable<void> execute(Batch& batch);
  Task<void> execute_units(Batch& batch);
  Task<void> execute_unit(Batch& batch, Pending& pending);
  void forget_audit_end(Batch& batch);
  Task<void> call(Work& work, BatchUnit& unit);
  void abandon(Batch& batch, const Error& error);
  void note_outcome(const Batch& batch);
  void tell_listeners(const Batch& batch);
  void answer(Batch& batch);
  void checkpoint_if_due(const Batch& batch);
  void reopen_if_needed(const Batch& batch);

  std::unique_ptr<sql::sqlite::Connection> connection_;
  const sql::sqlite::ConnectionOptions reopen_with_;
  const FileIdentity file_;
  const SqliteRecordOptions options_;
  Clock& clock_;
  Log& log_;
  WriteMetrics metrics_;
  Availability availability_;
  AuditChain audit_;
  boost::asio::io_context io_{1};  // Carries out the units' coroutines, on the writer thread only.
  bool checkpoint_failing_ = false;
  bool replaced_ = false;  // Another file is where ours was.
  // At most so many units in the next batch: one after a failure, then twice as many each time. A
  // full disk undoes the whole batch, so that what frees space must not share one with what needs
  // it.
  std::size_t batch_units_;
  std::atomic<std::int64_t> commits_{0};
  std::atomic<std::int64_t> writes_{0};

  std::mutex listeners_mutex_;
  std::vector<JournalListener> listeners_;

  mutable std::mutex queue_mutex_;  // Guards the three below.
  std::condition_variable queue_changed_;
  std::deque<Pending> queue_;
  StandingQueue standing_;  // Of the queue; the writer thread's.
  bool stopping_ = false;

  std::thread thread_;  // Last: it uses everything above.
};

}  // namespace redoubt::record
