#include "tests/sim/model_record.hpp"

#include "record/in_doubt.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>
#include <span>
#include <utility>

namespace redoubt::sim {
namespace {

namespace asio = boost::asio;
using record::JournalEntry;

constexpr int kLanes = 3;
constexpr std::size_t kBatchMax = 64;
constexpr std::uint64_t kRoundsPerBeat = 5;
constexpr Duration kBarrierPause{50};
constexpr int kBarrierRounds = 42;
constexpr Nanos kQuick = std::chrono::microseconds(100);
constexpr Nanos kUsual = std::chrono::milliseconds(2);
constexpr Nanos kSlow = std::chrono::milliseconds(300);

void surely(std::exception_ptr thrown) {
  if (thrown) std::terminate();
}

Error record_away() {
  return unavailable("record_unavailable", "The record is unavailable: cannot be reached.");
}
Error outcome_unknown() {
  return unavailable("record_outcome_unknown",
                     "The record is unavailable. The change may have been made or not: look, then "
                     "try again.");
}

Result<sql::Rows> run_on(Truth& truth, const sql::Statement& statement,
                         std::initializer_list<sql::Param> params) {
  return truth.connection().run(statement.text, std::span(params.begin(), params.size()));
}

}  // namespace

class ModelRecord::Unit final : public record::Unit {
 public:
  Unit(ModelRecord& record, Batch& batch) : record_(record), batch_(batch) {}

  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    if (failed_) co_return fail(*failed_);
    auto rows = run_on(record_.parts_.truth, statement, params);
    if (!rows) failed_ = rows.error();
    co_return rows;
  }
  void announce(JournalEntry entry) override { batch_.journal.push_back(std::move(entry)); }
  Task<void> audit(const record::AuditEvent& event) override {
    return record_.parts_.truth.audit().append(*this, event, record_.parts_.clock.wall());
  }
  const std::optional<Error>& failed() const { return failed_; }

 private:
  ModelRecord& record_;
  Batch& batch_;
  std::optional<Error> failed_;
};

class ModelRecord::Reader final : public sql::Transaction {
 public:
  explicit Reader(Truth& truth) : truth_(truth) {}
  Task<sql::Rows> run(const sql::Statement& statement,
                      std::initializer_list<sql::Param> params) override {
    co_return run_on(truth_, statement, params);
  }

 private:
  Truth& truth_;
};

ModelRecord::ModelRecord(const Parts& parts)
    : parts_(parts), availability_(parts.clock, parts.log, parts.metrics) {}

asio::awaitable<void> ModelRecord::pass(Nanos time) {
  const auto answer = std::make_shared<Answer<bool>>(parts_.life);
  parts_.world.after(time, parts_.life, [answer] { answer->give(true); });
  co_await answer->wait();
}

// ---- Reading ----

Task<void> ModelRecord::read_snapshot(std::function<Task<void>(sql::Transaction&)> work) {
  if (away()) co_return fail(record_away());
  co_await pass(delay());
  if (reachable()) {
    Reader reader(parts_.truth);
    Result<void> done = co_await work(reader);
    co_await pass(delay());
    if (!way().back_cut) co_return done;
  }
  co_await no_answer();
  co_return fail(record_away());
}

// ---- Writing ----

Task<void> ModelRecord::write_unit(std::function<Task<void>(record::Unit&)> work) {
  if (away()) co_return fail(record_away());
  const auto done = std::make_shared<Answer<Result<void>>>(parts_.life);
  waiting_.push_back({std::move(work), done, fail(internal("a unit of work was not reached"))});
  if (lanes_ < kLanes) start_lane();
  co_return co_await done->wait();
}

void ModelRecord::start_lane() {
  ++lanes_;
  const auto batch = std::make_shared<Batch>();
  const std::size_t count = std::min(waiting_.size(), kBatchMax);
  for (std::size_t i = 0; i < count; ++i) {
    batch->units.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (!parts_.truth.up() && !way().cut()) return refuse(batch, record_away(), delay());
  if (way().cut()) return refuse(batch, record_away(), parts_.habits.reply_timeout);
  parts_.world.after(delay(), parts_.life, [this, batch] { begin(batch); });
}

// The transaction has its id, and draws its numbers, a while before it commits: others that began
// later may commit earlier.
void ModelRecord::begin(const BatchPtr& batch) {
  if (!reachable()) return refuse(batch, record_away(), parts_.habits.reply_timeout);
  Chance& chance = parts_.world.chance();
  batch->xid = parts_.truth.begin();
  for (std::int64_t n = chance.between(0, 2); n > 0; --n) {
    batch->drawn.push_back(parts_.truth.draw());
  }
  open_.insert(batch->xid);
  const bool slow = chance.percent(parts_.habits.slow_commits);
  parts_.world.after(chance.between(kQuick, slow ? kSlow : kUsual), parts_.life,
                     [this, batch] { execute(batch); });
}

void ModelRecord::ended(Batch& batch) {
  parts_.truth.ended(batch.xid);
  open_.erase(batch.xid);
}

// What a process that died leaves running is undone.
ModelRecord::~ModelRecord() {
  for (const std::uint64_t xid : open_) parts_.truth.ended(xid);
}

void ModelRecord::execute(const BatchPtr& batch) {
  if (!reachable()) {
    ended(*batch);
    return refuse(batch, record_away(), parts_.habits.reply_timeout);
  }
  asio::co_spawn(parts_.world.io(), run_units(batch), surely);
}

asio::awaitable<void> ModelRecord::run_units(BatchPtr batch) {
  sql::sqlite::Connection& connection = parts_.truth.connection();
  const record::AuditChain::Mark audit_before = parts_.truth.audit().mark();
  bool good = connection.run("BEGIN IMMEDIATE").has_value();
  for (Pending& pending : batch->units) co_await run_unit(*batch, pending);
  Unit tail(*this, *batch);
  good = good && (co_await parts_.truth.audit().store_head(tail, audit_before)).has_value();
  if (!good) std::terminate();  // The simulator's own mistake.
  if (parts_.world.chance().below(1'000) < parts_.habits.lost_commits) {
    static_cast<void>(connection.run("ROLLBACK"));
    parts_.truth.audit().restore(audit_before);
    ended(*batch);
    co_return refuse(batch, outcome_unknown(), parts_.habits.reply_timeout);
  }
  if (!connection.run("COMMIT")) std::terminate();
  for (const JournalEntry& entry : batch->journal) {
    std::int64_t seq = 0;
    if (batch->drawn.empty()) {
      seq = parts_.truth.draw();
    } else {
      seq = batch->drawn.front();
      batch->drawn.erase(batch->drawn.begin());
    }
    parts_.truth.append({seq, parts_.origin, entry});
  }
  ended(*batch);
  const bool lost = parts_.world.chance().below(1'000) < parts_.habits.lost_replies;
  if (lost) {
    refuse(batch, outcome_unknown(), parts_.habits.reply_timeout);
  } else {
    parts_.world.after(delay(), parts_.life, [this, batch] { reply(batch); });
  }
}

asio::awaitable<void> ModelRecord::run_unit(Batch& batch, Pending& pending) {
  sql::sqlite::Connection& connection = parts_.truth.connection();
  const std::size_t journal_before = batch.journal.size();
  const record::AuditChain::Mark audit_before = parts_.truth.audit().mark();
  static_cast<void>(connection.run("SAVEPOINT rd_unit"));
  Unit unit(*this, batch);
  pending.result = co_await pending.work(unit);
  if (unit.failed()) pending.result = fail(*unit.failed());
  if (!pending.result) {
    batch.journal.resize(journal_before);
    parts_.truth.audit().restore(audit_before);
    static_cast<void>(connection.run("ROLLBACK TO rd_unit"));
  }
  static_cast<void>(connection.run("RELEASE rd_unit"));
}

// The reply to a commit has arrived, or would have.
void ModelRecord::reply(const BatchPtr& batch) {
  if (way().back_cut) return refuse(batch, outcome_unknown(), parts_.habits.reply_timeout);
  availability_.succeeded();
  tell_own(batch);
  end_lane(batch);
}

void ModelRecord::refuse(const BatchPtr& batch, Error error, Nanos when) {
  const bool unknown = error.slug == "record_outcome_unknown";
  for (Pending& pending : batch->units) pending.result = fail(error);
  parts_.world.after(when, parts_.life, [this, batch, unknown] {
    availability_.failed("cannot be reached", "simulated");
    // Of an unknown outcome the copies may be older.
    for (const JournalEntry& entry : batch->journal) {
      if (unknown) tell(parts_.habits.tells_doubt ? entry : record::in_doubt(entry));
    }
    end_lane(batch);
  });
}

void ModelRecord::end_lane(const BatchPtr& batch) {
  --lanes_;
  if (!waiting_.empty()) start_lane();
  for (Pending& pending : batch->units) {
    pending.work = nullptr;  // Its captures may not outlive the caller's wait.
    pending.done->give(std::move(pending.result));
  }
}

void ModelRecord::tell_own(const BatchPtr& batch) {
  const auto all = [this, batch] {
    for (const JournalEntry& entry : batch->journal) tell(entry);
  };
  if (parts_.habits.tells_late == Duration(0)) return all();
  parts_.world.after(parts_.habits.tells_late, parts_.life, all);
}

void ModelRecord::tell(const JournalEntry& entry) {
  for (const record::JournalListener& listener : listeners_) listener(entry);
}

// ---- Following ----

Task<void> ModelRecord::join() {
  tail_.start(0);
  tell({.kind = JournalEntry::Kind::everything, .tenant = {}, .key = {}});
  while (!co_await poll() || !co_await beat()) co_await pass(parts_.habits.poll_interval);
  co_return Result<void>{};
}

void ModelRecord::follow() {
  asio::co_spawn(parts_.world.io(), follow_journal(), surely);
  asio::co_spawn(parts_.world.io(), watch(), surely);
}

asio::awaitable<void> ModelRecord::follow_journal() {
  for (;;) {
    co_await pass(parts_.habits.poll_interval);
    reach_.look_begins();
    const bool good = co_await round();
    reach_.look_ended(good);
    if (good) availability_.reached();
  }
}

asio::awaitable<void> ModelRecord::watch() {
  for (;;) {
    co_await pass(record::ReachWatch::kTick);
    if (reach_.tick() && away()) availability_.unreachable("cannot be reached", "simulated");
  }
}

asio::awaitable<bool> ModelRecord::round() {
  if (!co_await poll()) co_return false;
  ++rounds_;
  const bool beats = rounds_ % kRoundsPerBeat == 0 || tail_.heard() != reported_;
  co_return !beats || co_await beat();
}

// A server that is down says so; into a cut one waits.
asio::awaitable<bool> ModelRecord::no_answer() {
  co_await pass(way().cut() ? Nanos(parts_.habits.reply_timeout) : delay());
  co_return false;
}

asio::awaitable<bool> ModelRecord::poll() {
  const BootTime began = parts_.clock.boot();
  co_await pass(delay());
  if (!reachable()) co_return co_await no_answer();
  const Truth::Snapshot snapshot = parts_.truth.look(tail_.after(), tail_.holes());
  co_await pass(delay());
  if (way().back_cut) co_return co_await no_answer();
  hear(snapshot);
  fresh_until_ = began + record::kCopiesTrustedFor;
  co_return true;
}

void ModelRecord::hear(const Truth::Snapshot& snapshot) {
  const std::uint64_t xmin = parts_.habits.gives_up_holes ? UINT64_MAX : snapshot.xmin;
  record::JournalTail::Poll seen{xmin, snapshot.xmax, {}};
  std::map<std::int64_t, const JournalRow*> by_seq;
  for (const JournalRow& row : snapshot.rows) {
    seen.seen.push_back(row.seq);
    by_seq.emplace(row.seq, &row);
  }
  for (const std::int64_t seq : tail_.take(seen)) {
    const JournalRow& row = *by_seq.at(seq);
    if (row.origin != parts_.origin) tell(row.entry);  // Its own were heard when they committed.
  }
  if (tail_.overflowed()) tell({.kind = JournalEntry::Kind::everything, .tenant = {}, .key = {}});
}

asio::awaitable<bool> ModelRecord::beat() {
  const std::int64_t heard = tail_.heard();
  co_await pass(delay());
  if (!reachable()) co_return co_await no_answer();
  parts_.truth.beat({parts_.origin, ++heartbeat_, heard});
  co_await pass(delay());
  if (way().back_cut) co_return co_await no_answer();
  reported_ = heard;
  observe();
  co_return true;
}

void ModelRecord::observe() {
  std::vector<record::InstanceRow> others = parts_.truth.instances();
  std::erase_if(others, [this](const auto& row) { return row.id == parts_.origin; });
  const BootTime now = parts_.clock.boot();
  members_.observe(others, now);
  instances_ = members_.running(now) + 1;
}

Task<void> ModelRecord::wait_for_all() {
  co_await pass(delay());
  if (!reachable()) co_return fail(record_away());
  const std::int64_t seq = parts_.truth.newest();
  for (int i = 0; i < kBarrierRounds; ++i) {
    co_await pass(delay());
    if (!reachable()) co_return fail(record_away());
    observe();
    if (members_.all_heard(seq, parts_.clock.boot())) break;
    co_await pass(kBarrierPause);
  }
  co_return Result<void>{};
}

record::Status ModelRecord::status() const {
  record::Status status = availability_.status();
  status.engine = "model";
  status.instances = instances_;
  return status;
}

}  // namespace redoubt::sim
