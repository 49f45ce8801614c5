#include "record/sqlite_writer.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::sqlite::Connection;

namespace {

constexpr std::string_view kReplaced = "file was replaced; restart";

constexpr std::string_view kBegin = "BEGIN IMMEDIATE";
constexpr std::string_view kCommit = "COMMIT";
constexpr std::string_view kRollback = "ROLLBACK";
constexpr std::string_view kSavepoint = "SAVEPOINT rd_unit";
constexpr std::string_view kRelease = "RELEASE rd_unit";
constexpr std::string_view kRollbackTo = "ROLLBACK TO rd_unit";

// All of the batch was written, and the disk does not say whether it has it. The engine takes it
// back, but a process that dies before the next commit may find it there.
Error outcome_unknown(Error error) {
  error.slug = "record_outcome_unknown";
  error.message += " The change may have been made or not: look, then try again.";
  return error;
}

}  // namespace

// What one transaction carries.
struct SqliteWriter::Batch {
  std::vector<Pending> units;
  std::vector<JournalEntry> journal;
  AuditChain::Mark audit_before;
  std::int64_t changes_before = 0;
  std::string_view failure;  // Why the database failed a unit or all of them; empty: it did not.
  std::string failure_cause;
  bool committed = false;
  bool abandoned = false;
};

// The Unit that `work` sees. Refuses to go on after a failed statement, as PostgreSQL does: a unit
// is done as a whole or not at all. (The engine may have undone the transaction; what followed
// would commit on its own.)
class SqliteWriter::BatchUnit final : public Unit {
 public:
  BatchUnit(SqliteWriter& writer, Batch& batch) : writer_(writer), batch_(batch) {}

  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    Connection& connection = *writer_.connection_;
    if (failed_) co_return fail(*failed_);
    auto rows = connection.run(statement.text, std::span(params.begin(), params.size()));
    if (!rows) failed_ = rows.error();
    if (!rows && !connection.failure_reason().empty()) {
      batch_.failure = connection.failure_reason();
      batch_.failure_cause = rows.error().cause;
    }
    co_return rows;
  }

  void announce(JournalEntry entry) override { batch_.journal.push_back(std::move(entry)); }

  Task<void> audit(const AuditEvent& event) override {
    auto done = co_await writer_.audit_.append(*this, event, writer_.clock_.wall());
    if (!done) audit_failed_ = true;
    co_return done;
  }

  // Set when a statement failed, whatever `work` made of it.
  const std::optional<Error>& failed() const { return failed_; }
  bool audit_failed() const { return audit_failed_; }

 private:
  SqliteWriter& writer_;
  Batch& batch_;
  std::optional<Error> failed_;
  bool audit_failed_ = false;
};

SqliteWriter::SqliteWriter(std::unique_ptr<Connection> connection,
                           sql::sqlite::ConnectionOptions reopen_with,
                           const SqliteRecordOptions& options, Clock& clock, Log& log,
                           Metrics& metrics)
    : connection_(std::move(connection)),
      reopen_with_(std::move(reopen_with)),
      file_(FileIdentity::of(reopen_with_.path)),
      options_(options),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      availability_(clock, log, metrics),
      batch_units_(options.batch_units_max),
      thread_([this] { run(); }) {}

SqliteWriter::~SqliteWriter() {
  stop();
}

Task<void> SqliteWriter::submit(Work work, BootTime deadline) {
  auto initiate = [this, deadline](auto handler, Work unit_work) {
    enqueue(Pending{std::move(unit_work), {}, Completion(std::move(handler)), deadline});
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(
      std::move(initiate), asio::use_awaitable, std::move(work));
}

void SqliteWriter::enqueue(Pending pending) {
  pending.since = clock_.boot();
  bool stopped = false;
  bool accepted = false;
  bool first = false;
  {
    const std::lock_guard lock(queue_mutex_);
    stopped = stopping_;
    accepted = !stopping_ && queue_.size() < options_.queue_units_max;
    first = accepted && queue_.empty();
    if (accepted) queue_.push_back(std::move(pending));
  }
  if (first) queue_changed_.notify_one();  // The thread sleeps only on an empty queue.
  if (accepted) return;
  if (stopped) {
    refuse(std::move(pending), unavailable("record_unavailable", "The record is closed."));
    return;
  }
  metrics_.overloaded.add();
  refuse(std::move(pending), too_many_writes());
}

void SqliteWriter::refuse(Pending pending, Error error) {
  std::vector<Completed> refused;
  refused.push_back({std::move(pending.caller), fail(std::move(error))});
  complete(std::move(refused));
}

void SqliteWriter::run() {
  Batch batch;
  while (take(batch.units)) {
    commit(batch);
    checkpoint_if_due(batch);
    batch = Batch{};
  }
}

// Waits for work; false: stopped, and nothing is left.
bool SqliteWriter::take(std::vector<Pending>& units) {
  for (;;) {
    bool all = false;
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      const std::size_t count = std::min(queue_.size(), batch_units_);
      if (count == 0) return false;
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
      units.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
      all = queue_.empty();
    }
    drop_late(units, all);
    if (!units.empty()) return true;
  }
}

// Work that nobody waits for any longer would only make others wait.
void SqliteWriter::drop_late(std::vector<Pending>& units, bool all) {
  const BootTime now = clock_.boot();
  standing_.taken(all, now);
  std::erase_if(units, [&](Pending& pending) {
    if (pending.deadline == kNoDeadline) return false;
    const bool late = now >= pending.deadline;
    if (!late && !standing_.refuses(pending.since, now)) return false;
    (late ? metrics_.late : metrics_.overloaded).add();
    refuse(std::move(pending), late ? too_late() : too_many_writes());
    return true;
  });
}

double SqliteWriter::queue_fill() const {
  const std::lock_guard lock(queue_mutex_);
  return static_cast<double>(queue_.size()) / static_cast<double>(options_.queue_units_max);
}

void SqliteWriter::commit(Batch& batch) {
  const BootTime started = clock_.boot();
  batch.changes_before = connection_->changes_total();
  batch.audit_before = audit_.mark();
  std::exception_ptr thrown;
  asio::co_spawn(io_, execute(batch), [&thrown](std::exception_ptr e) { thrown = std::move(e); });
  io_.restart();
  io_.run();
  if (thrown) abandon(batch, internal("an exception ended a batch of writes"));
  if (!batch.committed && !batch.abandoned) {
    abandon(batch, internal("a unit of work waited for something other than its unit"));
  }
  batch_units_ = batch.failure.empty() ? std::min(batch_units_ * 2, options_.batch_units_max) : 1;
  if (batch.committed) {
    metrics_.commit_duration.observe_ns((clock_.boot() - started).count());
    metrics_.batches.add();
    metrics_.units.add(batch.units.size());
  }
  note_outcome(batch);
  tell_listeners(batch);
  answer(batch);
  reopen_if_needed(batch);
}

asio::awaitable<void> SqliteWriter::execute(Batch& batch) {
  Result<void> done = co_await execute_units(batch);
  if (done) {
    batch.committed = true;
    co_return;
  }
  const std::string_view reason = connection_->failure_reason();
  if (!reason.empty() && !replaced_) {  // Of an earlier batch when this one did not begin.
    batch.failure = reason;
    batch.failure_cause = done.error().cause;
  }
  abandon(batch, done.error());
}

// An error means that the batch as a whole is lost.
Task<void> SqliteWriter::execute_units(Batch& batch) {
  // Where the path leads now: commits to a file without a name would be gone at the next start.
  replaced_ = replaced_ || file_.was_replaced_at(reopen_with_.path);
  if (replaced_) {
    batch.failure = kReplaced;
    co_return fail(unavailable("record_unavailable",
                               "The record is unavailable: its file was replaced; restart."));
  }
  RD_CO_CHECK(connection_->run(kBegin));
  for (Pending& pending : batch.units) {
    RD_CO_CHECK(co_await execute_unit(batch, pending));
  }
  BatchUnit tail(*this, batch);
  RD_CO_CHECK(co_await audit_.store_head(tail, batch.audit_before));
  auto committed = connection_->run(kCommit);
  if (!committed && connection_->sync_failed()) {
    co_return fail(outcome_unknown(std::move(committed).error()));
  }
  RD_CO_CHECK(committed);
  co_return Result<void>{};
}

Task<void> SqliteWriter::execute_unit(Batch& batch, Pending& pending) {
  const std::size_t journal_before = batch.journal.size();
  const AuditChain::Mark audit_before = audit_.mark();
  RD_CO_CHECK(connection_->run(kSavepoint));

  BatchUnit unit(*this, batch);
  pending.result = co_await call(pending.work, unit);
  if (unit.failed()) pending.result = fail(*unit.failed());
  if (!connection_->in_transaction()) {
    co_return fail(pending.result ? internal("a unit of work ended the transaction it runs in")
                                  : pending.result.error());
  }

  if (!pending.result) {
    batch.journal.resize(journal_before);
    audit_.restore(audit_before);
    if (unit.audit_failed()) forget_audit_end(batch);
    RD_CO_CHECK(connection_->run(kRollbackTo));
  }
  RD_CO_CHECK(connection_->run(kRelease));
  co_return Result<void>{};
}

// The trail refused an entry, so its end is perhaps not where it was left: somebody else has
// written to the file. It is read again, unless this batch has added entries, which the stored end
// does not know yet; then the next batch meets the same refusal and reads it.
void SqliteWriter::forget_audit_end(Batch& batch) {
  const AuditChain::Mark& end = audit_.mark();
  const bool added = end && batch.audit_before && end->seq != batch.audit_before->seq;
  if (added || (end && !batch.audit_before)) return;
  audit_.restore(std::nullopt);
  batch.audit_before = std::nullopt;
}

Task<void> SqliteWriter::call(Work& work, BatchUnit& unit) {
  try {
    co_return co_await work(unit);
  } catch (const std::exception& e) {
    co_return fail(internal(e.what()));
  }
}

// Undoes everything and gives every unit the reason, also those that had been refused for reasons
// of their own: they may have seen what is now undone.
void SqliteWriter::abandon(Batch& batch, const Error& error) {
  if (connection_->in_transaction()) std::ignore = connection_->run(kRollback);
  batch.abandoned = true;
  audit_.restore(std::nullopt);
  batch.journal.clear();
  for (Pending& pending : batch.units) pending.result = fail(error);
}

void SqliteWriter::note_outcome(const Batch& batch) {
  if (!batch.failure.empty()) {
    availability_.failed(batch.failure, batch.failure_cause);
  } else if (batch.committed && connection_->changes_total() != batch.changes_before) {
    availability_.succeeded();
  }
  if (!batch.committed) {
    metrics_.unavailable.add(batch.units.size());
    return;
  }
  commits_.fetch_add(1, std::memory_order_relaxed);
  for (const Pending& pending : batch.units) {
    metrics_.count(pending.result);
    if (pending.result) writes_.fetch_add(1, std::memory_order_relaxed);
  }
}

void SqliteWriter::tell_listeners(const Batch& batch) {
  if (batch.journal.empty()) return;
  const std::lock_guard lock(listeners_mutex_);
  for (const JournalEntry& entry : batch.journal) {
    for (const JournalListener& listener : listeners_) listener(entry);
  }
}

void SqliteWriter::answer(Batch& batch) {
  std::vector<Completed> completed;
  completed.reserve(batch.units.size());
  for (Pending& pending : batch.units) {
    pending.work = nullptr;  // Its captures may not outlive the caller's wait.
    completed.push_back({std::move(pending.caller), std::move(pending.result)});
  }
  complete(std::move(completed));
}

// After the callers have their answers, so that nobody waits for it but the next batch. On a full
// disk at once: a log that has been copied is written from its beginning again and needs no new
// space.
void SqliteWriter::checkpoint_if_due(const Batch& batch) {
  const bool full = batch.failure == sql::sqlite::kDiskFull && connection_->log_pages() > 0;
  if (!full && connection_->log_pages() < options_.checkpoint_pages) return;
  const Result<void> done = connection_->checkpoint();
  if (!done && !checkpoint_failing_) {
    log_.warn("record.checkpoint_failed", {{"cause", done.error().cause}});
  }
  checkpoint_failing_ = !done;
}

// A connection that was opened read-only stays so. A stuck transaction must not meet the next
// batch. Another file under the same path is not ours to go on with: readers and copies in memory
// are of the old one.
void SqliteWriter::reopen_if_needed(const Batch& batch) {
  const bool read_only = batch.failure == sql::sqlite::kReadOnly;
  if (!read_only && !connection_->in_transaction()) return;
  if (replaced_) return;
  auto fresh = Connection::open(reopen_with_);
  if (fresh) connection_ = std::move(*fresh);
}

void SqliteWriter::subscribe(JournalListener listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

Status SqliteWriter::status() const {
  Status status = availability_.status();
  status.commits = commits_.load(std::memory_order_relaxed);
  status.writes = writes_.load(std::memory_order_relaxed);
  return status;
}

void SqliteWriter::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  queue_changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void SqliteWriter::close() {
  connection_.reset();
}

}  // namespace redoubt::record
