#include "record/postgres_writer.hpp"

#include "record/completion.hpp"
#include "record/in_doubt.hpp"
#include "sql/postgres/errors.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace redoubt::record {

namespace asio = boost::asio;
using sql::postgres::Commit;
using sql::postgres::Connection;
using sql::postgres::ConnectionOptions;

namespace {

constexpr Duration kWorkMax{50};  // Of a batch, under its locks.

// The server gives up before we do: then it says why, and nothing is left undecided.
ConnectionOptions lane_options(const PostgresRecordOptions& options,
                               sql::postgres::ConnectionSet& connections) {
  ConnectionOptions out;
  out.set = &connections;
  out.connect_timeout = options.connect_timeout;
  out.reply_timeout = options.reply_timeout;
  out.settings = {{"synchronous_commit", "on"},
                  {"statement_timeout", "5000"},
                  {"lock_timeout", "3000"},
                  // A stopped instance must not hold its locks for longer.
                  {"idle_in_transaction_session_timeout", "2000"}};
  if (options.limits_by_own_clock) out.settings.emplace_back("redoubt.clock", "own");
  return out;
}

std::vector<std::int64_t> locks_of(const std::vector<Reach>& reaches) {
  std::vector<std::int64_t> locks;
  for (const Reach& reach : reaches) {
    std::ranges::transform(reach.keys, std::back_inserter(locks), PostgresBatch::lock_of);
  }
  std::ranges::sort(locks);
  const auto repeated = std::ranges::unique(locks);
  locks.erase(repeated.begin(), repeated.end());
  return locks;
}

Error outcome_unknown(const Error& error) {
  return unavailable("record_outcome_unknown",
                     "The connection to the database was lost during the commit, and the database "
                     "could not be asked since: the change may have been made or not. Look, then "
                     "try again.",
                     error.cause);
}

}  // namespace

PostgresWriter::PostgresWriter(asio::any_io_executor executor, const sql::postgres::Target& target,
                               const PostgresRecordOptions& options, std::string origin,
                               Clock& clock, Log& log, Availability& availability, Metrics& metrics,
                               sql::postgres::ConnectionSet& connections,
                               std::function<void()> in_doubt)
    : executor_(std::move(executor)),
      options_(options),
      origin_(std::move(origin)),
      clock_(clock),
      in_doubt_(std::move(in_doubt)),
      metrics_(metrics),
      retried_(metrics.counter("redoubt_record_write_retries_total",
                               "Batches that were tried again because their connection was lost "
                               "before the commit.")),
      availability_(availability),
      alone_(executor_),
      within_(executor_) {
  const std::size_t lanes = std::max<std::size_t>(2, options.connections_max / 3);
  for (std::size_t i = 0; i < lanes; ++i) {
    lanes_.push_back(Lane{PostgresLink(executor_, target, lane_options(options, connections)),
                          PostgresLane(origin_, i),
                          PostgresOutcome(executor_, target, options, log, connections),
                          i == 0 ? alone_ : within_});
  }
}

void PostgresWriter::start() {
  for (Lane& lane : lanes_) asio::co_spawn(executor_, run(lane), surely);
}

void PostgresWriter::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
  }
  asio::post(executor_, [this] {
    alone_.changed.notify_all();
    within_.changed.notify_all();
  });
}

Task<void> PostgresWriter::submit(Reach reach, Work work) {
  auto initiate = [this](auto handler, Reach unit_reach, Work unit_work) {
    Pending pending;
    pending.reach = std::move(unit_reach);
    pending.work = std::move(unit_work);
    pending.complete = completion_of(std::move(handler));
    enqueue(std::move(pending));
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(
      std::move(initiate), asio::use_awaitable, std::move(reach), std::move(work));
}

void PostgresWriter::enqueue(Pending pending) {
  Queue& queue = pending.reach.keys.empty() || pending.again ? alone_ : within_;
  pending.since = clock_.boot();
  bool accepted = false;
  bool stopped = false;
  bool first = false;
  {
    const std::lock_guard lock(queue_mutex_);
    stopped = stopping_;
    accepted = !stopped && queue.units.size() < options_.queue_units_max;
    first = accepted && queue.units.empty();
    if (accepted) queue.units.push_back(std::move(pending));
  }
  if (first) asio::post(executor_, [&queue] { queue.changed.notify_one(); });
  if (accepted) return;
  if (stopped) {
    pending.complete(fail(unavailable("record_unavailable", "The record is closed.")));
    return;
  }
  metrics_.overloaded.add();
  pending.complete(fail(too_many_writes()));
}

asio::awaitable<void> PostgresWriter::run(Lane& lane) {
  Batch batch;
  while (take(lane, batch)) {
    if (batch.empty()) {
      co_await wait_for_work(lane.queue);
      continue;
    }
    if (has_work(lane.queue)) lane.queue.changed.notify_one();  // More than this lane takes.
    co_await commit(lane, batch);
    batch.clear();
  }
}

// Not when something has come meanwhile, as when a whole batch was late.
asio::awaitable<void> PostgresWriter::wait_for_work(Queue& queue) {
  if (!has_work(queue)) co_await queue.changed.wait();
}

bool PostgresWriter::has_work(Queue& queue) const {
  const std::lock_guard lock(queue_mutex_);
  return !queue.units.empty() || stopping_;
}

bool PostgresWriter::take(Lane& lane, Batch& batch) {
  Queue& queue = lane.queue;
  const std::lock_guard lock(queue_mutex_);
  const std::size_t count = std::min(queue.units.size(), lane.units_max);
  const auto end = queue.units.begin() + static_cast<std::ptrdiff_t>(count);
  batch.assign(std::make_move_iterator(queue.units.begin()), std::make_move_iterator(end));
  queue.units.erase(queue.units.begin(), end);
  const BootTime now = clock_.boot();
  queue.standing.taken(queue.units.empty(), now);
  drop_late(queue.standing, now, batch);
  return count > 0 || !stopping_;
}

// Work that nobody waits for any longer would only make others wait. What was tried before is not
// late: part of its time was ours.
void PostgresWriter::drop_late(const StandingQueue& standing, BootTime now, Batch& batch) {
  std::erase_if(batch, [&](Pending& pending) {
    if (pending.again || pending.reach.deadline == kNoDeadline) return false;
    const bool late = now >= pending.reach.deadline;
    if (!late && !standing.refuses(pending.since, now)) return false;
    (late ? metrics_.late : metrics_.overloaded).add();
    pending.work = nullptr;
    pending.complete(fail(late ? too_late() : too_many_writes()));
    return true;
  });
}

double PostgresWriter::queue_fill() const {
  const std::lock_guard lock(queue_mutex_);
  return static_cast<double>(std::max(alone_.units.size(), within_.units.size())) /
         static_cast<double>(options_.queue_units_max);
}

asio::awaitable<void> PostgresWriter::commit(Lane& lane, Batch& batch) {
  retries_.attempted();
  const bool done = co_await attempt(lane, batch, Attempt::first);
  if (!done) co_await attempt(lane, batch, Attempt::last);
  answer(batch);
}

asio::awaitable<bool> PostgresWriter::attempt(Lane& lane, Batch& batch, Attempt which) {
  const BootTime started = clock_.boot();
  auto connection = co_await lane.link.get();
  if (!connection) {
    note_failure(lane.link.reason(), connection.error().cause);
    refuse(batch, connection.error());
    co_return true;
  }
  ++lane.name.batch;
  PostgresBatch transaction(**connection, clock_, origin_, lane.name, batch.size());
  const Commit outcome = co_await execute(lane, transaction, batch);
  if (!transaction.failure().empty()) lane.link.drop();
  if (which == Attempt::first && may_repeat(transaction, batch)) co_return false;
  if (outcome == Commit::committed) {
    metrics_.commit_duration.observe_ns((clock_.boot() - started).count());
    metrics_.batches.add();
    metrics_.units.add(batch.size());
  }
  note_outcome(transaction, outcome, batch);
  // Of an unknown outcome the copies may be older; dropping one too many does no harm. One that was
  // found out is told again: copies may have been made while it was asked about.
  if (outcome != Commit::failed) {
    for (const JournalEntry& entry : transaction.journal()) {
      tell(outcome == Commit::unknown ? in_doubt(entry) : entry);
    }
    if (!transaction.journal().empty()) announced();
  }
  co_return true;
}

// Work that may touch anything runs once (Reach::keys).
bool PostgresWriter::may_repeat(const PostgresBatch& transaction, const Batch& batch) {
  const BootTime now = clock_.boot();
  const auto bears = [&](const Pending& pending) {
    return now < pending.reach.deadline && (!transaction.worked() || !pending.reach.keys.empty());
  };
  if (!transaction.broke_before_commit() || !std::ranges::all_of(batch, bears)) return false;
  if (!retries_.take()) return false;
  retried_.add();
  return true;
}

// Runs the units and commits. Afterwards each unit has its result.
asio::awaitable<Commit> PostgresWriter::execute(Lane& lane, PostgresBatch& transaction,
                                                Batch& batch) {
  const bool alone = &lane.queue == &alone_;
  std::vector<Reach> reaches;
  for (const Pending& pending : batch) {
    if (!alone) reaches.push_back(pending.reach);
  }
  const auto begun = co_await transaction.begin(locks_of(reaches));
  const BootTime locked = clock_.boot();
  bool any = false;
  for (Pending& pending : batch) {
    if (!begun || transaction.lost()) break;
    pending.result = co_await transaction.run_unit(pending.reach, pending.work);
    any = any || pending.result.has_value();
    pending.again = transaction.conflicted() && !alone;
  }
  const bool done = begun && !transaction.lost();
  if (done) {
    pace(lane, batch.size(), clock_.boot() - locked);
  } else {
    lane.units_max = 1;
  }
  if (batch.size() == 1 && begun && !any) {  // Its error is its own.
    co_await transaction.roll_back();
    co_return Commit::failed;
  }
  if (transaction.lost()) {
    co_await transaction.roll_back();
    refuse(batch, *transaction.lost());
    co_return Commit::failed;
  }
  Commit outcome = co_await transaction.commit();
  if (outcome == Commit::unknown) outcome = co_await find_out(lane, transaction, batch);
  if (outcome == Commit::failed) refuse(batch, *transaction.lost());
  if (outcome == Commit::unknown) refuse(batch, outcome_unknown(*transaction.lost()));
  co_return outcome;
}

void PostgresWriter::pace(Lane& lane, std::size_t units, std::chrono::nanoseconds work) const {
  const auto took = static_cast<std::size_t>(std::max<std::int64_t>(1, work.count()));
  const auto whole = static_cast<std::size_t>(std::chrono::nanoseconds(kWorkMax).count());
  lane.units_max = std::clamp<std::size_t>(units * whole / took, 1, options_.batch_units_max);
}

// The connection was lost during the commit. What only read has its answers.
asio::awaitable<Commit> PostgresWriter::find_out(Lane& lane, const PostgresBatch& transaction,
                                                 Batch& batch) {
  if (!transaction.wrote()) co_return Commit::committed;
  // It may be committed already: no copy that was made before is good while we ask.
  for (const JournalEntry& entry : transaction.journal()) tell(in_doubt(entry));
  const Error unknown = outcome_unknown(*transaction.lost());
  const auto is_awaited = [&] {
    answer_late(batch, unknown);
    return !batch.empty();
  };
  const Commit outcome = co_await lane.outcome.find_out(lane.name, is_awaited);
  if (outcome == Commit::unknown) in_doubt_();
  co_return outcome;
}

// Whoever waits no longer for what became of a commit.
void PostgresWriter::answer_late(Batch& batch, const Error& error) {
  const BootTime now = clock_.boot();
  std::erase_if(batch, [&](Pending& pending) {
    if (now < pending.reach.deadline) return false;
    const Result<void> result = fail(error);
    metrics_.count(result);
    pending.work = nullptr;
    pending.complete(result);
    return true;
  });
}

// Gives every unit the reason, also those that had been refused for reasons of their own: they may
// have seen what is now undone.
void PostgresWriter::refuse(Batch& batch, const Error& error) {
  for (Pending& pending : batch) {
    pending.result = fail(error);
    pending.again = false;
  }
}

void PostgresWriter::note_failure(std::string_view reason, const std::string& cause) {
  using By = Availability::By;
  const By by = sql::postgres::concerns_the_way(reason) ? By::way : By::refusal;
  availability_.failed(reason, cause, by);
}

void PostgresWriter::note_outcome(const PostgresBatch& transaction, Commit outcome,
                                  const Batch& batch) {
  if (outcome == Commit::committed) {
    if (transaction.wrote()) availability_.succeeded();
  } else if (!transaction.failure().empty()) {
    note_failure(transaction.failure(), transaction.failure_cause());
  }
  for (const Pending& pending : batch) {
    if (!pending.again) metrics_.count(pending.result);
  }
  if (outcome != Commit::committed) return;
  commits_.fetch_add(1, std::memory_order_relaxed);
  writes_.fetch_add(
      std::ranges::count_if(batch, [](const Pending& p) { return p.result.has_value(); }),
      std::memory_order_relaxed);
}

void PostgresWriter::answer(Batch& batch) {
  bool stopping = false;
  {
    const std::lock_guard lock(queue_mutex_);
    stopping = stopping_;  // The lane of second attempts may have ended.
  }
  for (Pending& pending : batch) {
    if (pending.again && !stopping) {
      enqueue(std::move(pending));
      continue;
    }
    pending.work = nullptr;  // Its captures may not outlive the caller's wait.
    pending.complete(std::move(pending.result));
  }
}

void PostgresWriter::subscribe(JournalListener listener) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.push_back(std::move(listener));
}

void PostgresWriter::when_announced(std::function<void()> listener) {
  const std::lock_guard lock(listeners_mutex_);
  announced_.push_back(std::move(listener));
}

void PostgresWriter::announced() {
  const std::lock_guard lock(listeners_mutex_);
  for (const auto& listener : announced_) listener();
}

void PostgresWriter::tell(const JournalEntry& entry) {
  const std::lock_guard lock(listeners_mutex_);
  for (const JournalListener& listener : listeners_) listener(entry);
}

}  // namespace redoubt::record
