// The record: the truth, committed before anybody is told.
//
// Writes of concurrent requests are committed together (group commit): a unit of work runs inside
// the batch's transaction under its own savepoint, so that one unit's failure undoes that unit
// alone, and its caller continues after the batch is durable. Reads see everything acknowledged
// before them.
//
// The journal announces what changed, in the transaction that changes it. Listeners hear an entry
// after the commit and before the writer is acknowledged; so a copy that listens is never older
// than an acknowledged write. On SQLite the journal is this in-process signal; no rows, no polling.
// On PostgreSQL it is a table that every instance follows: listeners hear their own instance's
// entries as above, and those of others soon after. fresh_until() says how long copies may be
// trusted.
//
// Units of work see each other as if they ran one after the other, whichever engine, instance or
// connection they run on. A unit that says what it reaches (Reach) may be committed beside others.
//
// Threads: any. Work passed to write() runs on the record's own thread: it must touch nothing but
// its captures and the Unit, and wait for nothing but the Unit. Work passed to read() runs on the
// calling thread. Cancellation: a write that was submitted happens, whether or not its caller still
// waits.
#pragma once

#include "sql/sql.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::record {

// Entries are commutative: a listener drops or marks its copies, whatever the order.
struct JournalEntry {
  enum class Kind : std::uint8_t {
    session,     // key: session id. Changed or ended; value: the version with the change, or 0.
    user,        // key: user. All sessions of the user ended or changed.
    tenant,      // The tenant was disabled or enabled.
    api_key,     // key: API key id. Changed or ended.
    cache,       // key: tag, or "" for all of the tenant; value: its new generation.
    key_ring,    // The ring was reloaded or the primary changed.
    everything,  // Entries were missed: no copy of anything is good any more.
  };
  Kind kind;
  std::string tenant;
  std::string key;
  std::int64_t value = 0;
};

struct AuditEvent {
  std::string tenant;
  std::string principal;       // Caller::principal.
  std::string action;          // "session.revoked", "api_key.created".
  std::string target;          // What it was done to; never a secret.
  std::string outcome = "ok";  // "ok" | "denied"
  std::string request_id;
  std::string address;
};

// One unit of work inside a batch.
class Unit : public sql::Transaction {
 public:
  // Heard by the listeners if and when the unit commits.
  virtual void announce(JournalEntry entry) = 0;
  // Appends to the hash-chained audit table (record/audit.hpp), in this transaction.
  virtual Task<void> audit(const AuditEvent& event) = 0;
};

inline constexpr BootTime kNoDeadline{INT64_MAX};

// What a unit may read and write, and until when it is worth beginning.
struct Reach {
  // Rows of this tenant alone, which PostgreSQL enforces (row-level security); empty: of any
  // tenant.
  std::string tenant;
  // Names of what it reads in order to write, and of what it writes that others may write too:
  // "user:acme:alice". Units without a common key may be committed at the same time, and such a
  // unit may run a second time when the engine could not commit it: its work must bear that. Empty:
  // it may touch anything, runs once, and nothing is committed beside it. Reads have none.
  std::vector<std::string> keys;
  // Nobody waits for it any longer: what has not begun by then is dropped, and has changed nothing.
  BootTime deadline = kNoDeadline;
};

// The same, begun before the request's deadline or not at all.
inline Reach with_deadline_of(const Context& context, Reach reach = {}) {
  reach.deadline = context.deadline;
  return reach;
}

// Reads of the caller's tenant, begun before the request's deadline or not at all.
inline Reach reads_of(const Context& context) {
  return with_deadline_of(context, Reach{context.caller.tenant, {}});
}

enum class State : std::uint8_t { normal, down };

struct Status {
  State state = State::normal;
  std::string reason;        // "disk full", "read-only file system"; empty when normal.
  WallTime since;            // When `state` was entered.
  std::string engine;        // "sqlite", "postgresql"
  std::int64_t schema = 0;   // Newest applied migration.
  std::int64_t commits = 0;  // Transactions committed since start.
  std::int64_t writes = 0;   // Units in them.
  // Of PostgreSQL; empty and 0 on SQLite, or when the server does not tell.
  std::string server;          // The server's system identifier.
  std::int64_t timeline = 0;   // Grows at each failover of the server.
  std::int64_t instances = 1;  // Running ones, this included.
};

using JournalListener = std::function<void(const JournalEntry&)>;

// How long a copy may be used after the journal was last read to its end.
inline constexpr std::chrono::seconds kCopiesTrustedFor{2};

class Record {
 public:
  virtual ~Record() = default;

  // Runs `work` in the next batch. An error from `work` undoes it and is returned.
  // Errors: unavailable "record_unavailable" with the reason; nothing of the unit is then durable.
  // unavailable "record_outcome_unknown": the connection to the database was lost during the
  // commit and what became of it could not be found out; the unit is durable as a whole or not at
  // all. Listeners have then heard its entries.
  virtual Task<void> write_unit(std::function<Task<void>(Unit&)> work) = 0;

  // The same for a unit that reaches no further than it says, and is not begun after its deadline.
  // Errors: deadline_exceeded when it was not begun.
  virtual Task<void> write_within(Reach reach, std::function<Task<void>(Unit&)> work) {
    static_cast<void>(reach);
    return write_unit(std::move(work));
  }

  // Runs `work` against one consistent snapshot; a second time, from its beginning, when the
  // connection to the database was lost.
  virtual Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) = 0;

  // The same with the rows of one tenant alone.
  virtual Task<void> read_tenant(std::string tenant,
                                 std::function<Task<void>(sql::Transaction&)> work) {
    static_cast<void>(tenant);
    return read_snapshot(std::move(work));
  }

  // The same for a read that has a deadline.
  // Errors: deadline_exceeded when it was not begun.
  virtual Task<void> read_within(Reach reach, std::function<Task<void>(sql::Transaction&)> work) {
    return read_tenant(std::move(reach.tenant), std::move(work));
  }

  // Called on the record's thread: this instance's entries in commit order, others' in none.
  // Subscribe before the first request.
  virtual void subscribe(JournalListener listener) = 0;

  // Called on the record's thread after a commit that announced something, when it has been heard
  // here: other instances on the same record do not know of it yet. May only note it. False: there
  // are no others, ever, and it is not called.
  virtual bool when_announced(std::function<void()> listener) {
    static_cast<void>(listener);
    return false;
  }

  // Others may have announced something: looks at the journal now, not when it is time. A look that
  // has just been is not repeated before a short pause, so any number of calls costs little.
  virtual void hurry() {}

  // Until then copies that listen reflect every change that was acknowledged anywhere
  // kCopiesTrustedFor earlier; afterwards nothing freshness-critical may be answered from a copy.
  // One atomic load.
  virtual BootTime fresh_until() const { return BootTime{INT64_MAX}; }

  // The record is out of reach: the journal could not be read, or for 1.2 s not even an answer
  // came. Not so when this process itself was stopped for a while and has not looked again yet.
  // False where the record is in this process. One atomic load.
  virtual bool cut_off() const { return false; }

  // How much of the room for waiting writes is taken: 0 to 1.
  virtual double queue_fill() const { return 0; }

  // Returns when every running instance has heard every entry committed before the call, or has
  // stopped trusting its copies: 2.1 s at most, whatever the database does.
  virtual Task<void> wait_for_all() { co_return Result<void>{}; }

  virtual Status status() const = 0;

  // Waits for queued writes, then closes. No call may follow.
  virtual void stop() = 0;

  template <class T>
  Task<T> write(std::function<Task<T>(Unit&)> work) {
    return write<T>(Reach{}, std::move(work));
  }

  template <class T>
  Task<T> write(Reach reach, std::function<Task<T>(Unit&)> work) {
    std::optional<T> value;
    std::function<Task<void>(Unit&)> unit = [&value, &work](Unit& u) {
      return keep(value, work, u);
    };
    RD_CO_CHECK(co_await write_within(std::move(reach), std::move(unit)));
    co_return std::move(*value);
  }

  template <class T>
  Task<T> read(std::function<Task<T>(sql::Transaction&)> work) {
    return read<T>(std::string(), std::move(work));
  }

  // Of one tenant's rows; empty: of anybody's.
  template <class T>
  Task<T> read(std::string tenant, std::function<Task<T>(sql::Transaction&)> work) {
    std::optional<T> value;
    std::function<Task<void>(sql::Transaction&)> unit = [&value, &work](sql::Transaction& tx) {
      return keep(value, work, tx);
    };
    RD_CO_CHECK(co_await read_tenant(std::move(tenant), std::move(unit)));
    co_return std::move(*value);
  }

  // Of the rows of reach.tenant, with a deadline.
  template <class T>
  Task<T> read_by(Reach reach, std::function<Task<T>(sql::Transaction&)> work) {
    std::optional<T> value;
    std::function<Task<void>(sql::Transaction&)> unit = [&value, &work](sql::Transaction& tx) {
      return keep(value, work, tx);
    };
    RD_CO_CHECK(co_await read_within(std::move(reach), std::move(unit)));
    co_return std::move(*value);
  }

 private:
  template <class T, class Tx>
  static Task<void> keep(std::optional<T>& value, const std::function<Task<T>(Tx&)>& work, Tx& tx) {
    RD_CO_TRY(result, co_await work(tx));
    value = std::move(result);
    co_return Result<void>{};
  }
};

}  // namespace redoubt::record
