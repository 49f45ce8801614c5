// One transaction with the units of a batch in it.
//
//   BEGIN; locks, the lane's first        one round trip
//     SAVEPOINT; tenant; work; RELEASE    a unit that succeeded: a round trip per statement of work
//     SAVEPOINT; tenant; work; ROLLBACK TO   a unit that failed: undone alone
//   journal; audit trail; number; COMMIT  the trail's end is locked here, once per batch; by its
//                                         number a commit is found again (postgres_outcome.hpp)
//
// The locks make units run as if one after the other. They are advisory, taken in ascending order
// before any row is touched, the audit trail's last; so batches wait for each other but never in a
// circle. A unit that says what it reaches takes everything's lock in share mode and each of its
// keys; one that does not takes everything's alone.
//
// Threads: the connection's.
#pragma once

#include "record/audit.hpp"
#include "record/postgres_outcome.hpp"
#include "record/record.hpp"
#include "sql/postgres/connection.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

class PostgresBatch {
 public:
  using Work = std::function<Task<void>(Unit&)>;

  // `units`: how many are to come. `lane`: with this batch's number.
  PostgresBatch(sql::postgres::Connection& connection, Clock& clock, std::string_view origin,
                const PostgresLane& lane, std::size_t units)
      : connection_(connection),
        clock_(clock),
        origin_(origin),
        lane_(lane),
        savepoints_(units > 1) {}

  // The lock of a key (Reach::keys).
  static std::int64_t lock_of(std::string_view key);

  // `locks`: sorted, without repetitions; empty: everything's.
  Task<void> begin(std::span<const std::int64_t> locks);

  // One unit's outcome, as far as it can be known before the commit.
  Task<void> run_unit(const Reach& reach, Work& work);
  // The last unit lost against another transaction, and may be tried again.
  bool conflicted() const { return conflicted_; }

  // Set once the transaction cannot be committed any more.
  const std::optional<Error>& lost() const { return lost_; }

  // The connection broke before COMMIT was sent: nothing of the batch is committed or will be. Not
  // of one that was silent: the next one would be too.
  bool broke_before_commit() const;
  // A unit's work was begun.
  bool worked() const { return worked_; }

  // On `failed` and `unknown`, lost() says why.
  boost::asio::awaitable<sql::postgres::Commit> commit();
  boost::asio::awaitable<void> roll_back();

  const std::vector<JournalEntry>& journal() const { return journal_; }
  bool wrote() const { return wrote_; }
  // Why the database failed a unit or the whole; empty: it did not.
  std::string_view failure() const { return failure_; }
  const std::string& failure_cause() const { return failure_cause_; }

 private:
  class BatchUnit;
  struct Audited {
    AuditEvent event;
    WallTime at;
  };

  Task<void> call(Work& work, BatchUnit& unit);
  Task<sql::Rows> run(const sql::Statement& statement, std::span<const sql::Param> params);
  void see_tenant(std::string_view tenant);
  void undo_unit();
  void queue_journal();
  Task<void> append_audit();
  void note_failure();

  sql::postgres::Connection& connection_;
  Clock& clock_;
  const std::string_view origin_;
  const PostgresLane& lane_;
  const bool savepoints_;
  std::string tenant_;  // Whose rows the transaction sees now.
  std::vector<JournalEntry> journal_;
  std::vector<Audited> audited_;
  std::optional<Error> lost_;
  bool conflicted_ = false;
  bool worked_ = false;
  bool in_question_ = false;  // COMMIT was sent, and its answer did not come.
  bool wrote_ = false;
  std::string_view failure_;
  std::string failure_cause_;
};

}  // namespace redoubt::record
