#include "record/postgres_batch.hpp"

#include "base/bytes.hpp"
#include "base/crypto.hpp"

#include <exception>
#include <tuple>
#include <utility>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::postgres::Commit;
using sql::postgres::Params;

namespace {

constexpr std::string_view kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED";
constexpr std::string_view kSavepoint = "SAVEPOINT rd_unit";
constexpr std::string_view kRelease = "RELEASE rd_unit";
constexpr std::string_view kRollbackTo = "ROLLBACK TO rd_unit";
constexpr std::string_view kRollback = "ROLLBACK";
constexpr std::string_view kLock = "SELECT pg_advisory_xact_lock($1)";
constexpr std::string_view kLockShared = "SELECT pg_advisory_xact_lock_shared($1)";
constexpr std::string_view kSeeTenant = "SELECT set_config('redoubt.tenant', $1, true)";
// A transaction that draws a number of the journal has its id before: what JournalTail requires.
constexpr std::string_view kTakeId = "SELECT pg_current_xact_id()";
constexpr std::string_view kJournal =
    "INSERT INTO rd_journal (origin, tenant, kind, key, value) VALUES ($1, $2, $3, $4, $5)";

constexpr std::string_view kEverybody = "*";
constexpr std::int64_t kEverything = 0x7264627400000001;  // "rdbt", 1
constexpr std::int64_t kAuditTrail = 0x7264627400000002;

Params one(std::int64_t number) {
  const sql::Param param[] = {number};
  return Params(param);
}

}  // namespace

// The Unit that `work` sees. Refuses to go on after a failed statement: the transaction does too.
class PostgresBatch::BatchUnit final : public Unit {
 public:
  explicit BatchUnit(PostgresBatch& batch) : batch_(batch) {}

  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    if (failed_) co_return fail(*failed_);
    auto rows = co_await batch_.run(statement, std::span(params.begin(), params.size()));
    if (!rows) failed_ = rows.error();
    co_return rows;
  }

  void announce(JournalEntry entry) override { batch_.journal_.push_back(std::move(entry)); }

  Task<void> audit(const AuditEvent& event) override {
    batch_.audited_.push_back({event, batch_.clock_.wall()});
    co_return Result<void>{};
  }

  const std::optional<Error>& failed() const { return failed_; }

 private:
  PostgresBatch& batch_;
  std::optional<Error> failed_;
};

std::int64_t PostgresBatch::lock_of(std::string_view key) {
  const Digest256 digest = sha256(as_bytes(key));
  std::uint64_t lock = 0;
  for (std::size_t i = 0; i < sizeof lock; ++i) lock = (lock << 8) | digest[i];
  return static_cast<std::int64_t>(lock);
}

Task<void> PostgresBatch::begin(std::span<const std::int64_t> locks) {
  connection_.queue(kBegin);
  connection_.queue(kLock, one(lane_.lock));
  Result<sql::Rows> begun;
  if (locks.empty()) {
    begun = co_await connection_.run(kLock, one(kEverything));
  } else {
    connection_.queue(kLockShared, one(kEverything));
    for (const std::int64_t lock : locks.first(locks.size() - 1)) {
      connection_.queue(kLock, one(lock));
    }
    begun = co_await connection_.run(kLock, one(locks.back()));
  }
  if (begun) co_return Result<void>{};
  note_failure();
  lost_ = begun.error();
  co_return fail(std::move(begun).error());
}

Task<void> PostgresBatch::run_unit(const Reach& reach, Work& work) {
  const std::size_t journal_before = journal_.size();
  const std::size_t audited_before = audited_.size();
  const std::string tenant_before = tenant_;
  conflicted_ = false;
  if (savepoints_) connection_.queue(kSavepoint);
  see_tenant(reach.tenant.empty() ? kEverybody : std::string_view(reach.tenant));

  BatchUnit unit(*this);
  worked_ = true;
  Result<void> result = co_await call(work, unit);
  if (unit.failed()) result = fail(*unit.failed());
  if (!lost_ && !connection_.in_transaction()) {
    lost_ = result ? internal("a unit of work ended the transaction it runs in") : result.error();
  }
  if (lost_) co_return fail(*lost_);
  if (!result) {
    journal_.resize(journal_before);
    audited_.resize(audited_before);
    tenant_ = tenant_before;
    undo_unit();
  } else if (savepoints_) {
    connection_.queue(kRelease);
  }
  co_return result;
}

void PostgresBatch::undo_unit() {
  if (savepoints_) {
    connection_.queue(kRollbackTo);
    connection_.queue(kRelease);
  } else {
    lost_ = internal("the only unit of the batch failed");
  }
}

Task<void> PostgresBatch::call(Work& work, BatchUnit& unit) {
  try {
    co_return co_await work(unit);
  } catch (const std::exception& e) {
    co_return fail(internal(e.what()));
  }
}

Task<sql::Rows> PostgresBatch::run(const sql::Statement& statement,
                                   std::span<const sql::Param> params) {
  auto rows = co_await connection_.run(statement.for_postgres(), Params(params));
  if (rows) {
    wrote_ = wrote_ || rows->changed > 0;
    co_return rows;
  }
  note_failure();
  if (!connection_.alive()) lost_ = rows.error();
  co_return rows;
}

void PostgresBatch::see_tenant(std::string_view tenant) {
  if (tenant_ == tenant) return;
  tenant_ = tenant;
  const sql::Param param[] = {tenant};
  connection_.queue(kSeeTenant, Params(param));
}

void PostgresBatch::queue_journal() {
  connection_.queue(kTakeId);
  for (const JournalEntry& entry : journal_) {
    const sql::Param params[] = {origin_, std::string_view(entry.tenant),
                                 static_cast<std::int64_t>(entry.kind), std::string_view(entry.key),
                                 entry.value};
    connection_.queue(kJournal, Params(params));
  }
}

// Under the trail's lock its end is read, moved on and stored; whoever else audits waits until this
// is committed.
Task<void> PostgresBatch::append_audit() {
  RD_CO_CHECK(co_await connection_.run(kLock, one(kAuditTrail)));
  BatchUnit tail(*this);
  AuditChain chain;
  for (const Audited& audited : audited_) {
    RD_CO_CHECK(co_await chain.append(tail, audited.event, audited.at));
  }
  co_return co_await chain.store_head(tail, std::nullopt);
}

asio::awaitable<Commit> PostgresBatch::commit() {
  if (!journal_.empty() || !audited_.empty()) see_tenant(kEverybody);
  if (!journal_.empty()) queue_journal();
  wrote_ = wrote_ || !journal_.empty() || !audited_.empty();
  if (!audited_.empty()) {
    const auto appended = co_await append_audit();
    if (!appended) {
      note_failure();
      lost_ = appended.error();
      co_await roll_back();
      co_return Commit::failed;
    }
  }
  if (wrote_) queue_batch_number(connection_, lane_);
  const Commit outcome = co_await connection_.commit();
  in_question_ = outcome == Commit::unknown;
  if (outcome == Commit::committed) co_return outcome;
  note_failure();
  lost_ = connection_.failure()->error;
  if (outcome == Commit::failed) co_await roll_back();
  co_return outcome;
}

bool PostgresBatch::broke_before_commit() const {
  return lost_ && !in_question_ && sql::postgres::concerns_the_way(failure_) &&
         failure_ != sql::postgres::kSilent;
}

asio::awaitable<void> PostgresBatch::roll_back() {
  if (connection_.alive()) std::ignore = co_await connection_.run(kRollback);
}

void PostgresBatch::note_failure() {
  const auto& failure = connection_.failure();
  if (!failure) return;
  conflicted_ = failure->conflict;
  if (failure->reason.empty()) return;
  failure_ = failure->reason;
  failure_cause_ = failure->error.cause;
}

}  // namespace redoubt::record
