// Group commit on PostgreSQL. Units wait in two queues, and lanes (a connection each) commit what
// has gathered, a batch at a time:
//
//   alone    units that may touch anything: one lane, one batch at a time in the whole cluster
//   within   units that say what they reach: several lanes side by side
//
// The server's own group commit then shares one sync among lanes and instances.
//
// A batch holds the locks of all its units until the last of them is done, and others wait for
// them. So it has no more units than were done in a twentieth of a second at the pace of the one
// before: else a slow database makes batches gather, gathered batches wait for each other until
// they give up, and the more gather meanwhile.
//
// A connection that idled while the server was restarted may be found dead only when it is used. A
// batch that met one before it sent its COMMIT has changed nothing, and runs once more on a new
// one.
//
// Threads: submit(), subscribe(), when_announced(), queue_fill(), stop(): any. The rest: the
// record's.
#pragma once

#include "base/retry_budget.hpp"
#include "record/availability.hpp"
#include "record/postgres_batch.hpp"
#include "record/postgres_link.hpp"
#include "record/postgres_record.hpp"
#include "record/record.hpp"
#include "record/signal.hpp"
#include "record/standing_queue.hpp"
#include "record/write_metrics.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <vector>

namespace redoubt::record {

class PostgresWriter {
 public:
  using Work = PostgresBatch::Work;

  // `in_doubt`: called when it stays unknown whether a batch was committed; it may be later.
  PostgresWriter(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
                 const PostgresRecordOptions& options, std::string origin, Clock& clock, Log& log,
                 Availability& availability, Metrics& metrics,
                 sql::postgres::ConnectionSet& connections, std::function<void()> in_doubt);
  PostgresWriter(const PostgresWriter&) = delete;
  PostgresWriter& operator=(const PostgresWriter&) = delete;

  void start();  // The lanes; they end after stop(), when nothing waits.
  void stop();

  Task<void> submit(Reach reach, Work work);
  void subscribe(JournalListener listener);
  void when_announced(std::function<void()> listener);
  void tell(const JournalEntry& entry);
  double queue_fill() const;  // Of the fuller one.
  std::int64_t commits() const { return commits_.load(std::memory_order_relaxed); }
  std::int64_t writes() const { return writes_.load(std::memory_order_relaxed); }

 private:
  struct Pending {
    Reach reach;
    Work work;
    Result<void> result = fail(internal("a unit of work was not reached"));
    std::move_only_function<void(Result<void>)> complete;  // On the caller's executor.
    BootTime since{};                                      // It waits.
    bool again = false;
  };
  struct Queue {
    explicit Queue(const boost::asio::any_io_executor& executor) : changed(executor) {}
    std::deque<Pending> units;  // Guarded by queue_mutex_.
    StandingQueue standing;     // The same.
    Signal changed;
  };
  struct Lane {
    PostgresLink link;
    PostgresLane name;
    PostgresOutcome outcome;
    Queue& queue;
    std::size_t units_max = 1;  // Of the next batch.
  };
  using Batch = std::vector<Pending>;

  void enqueue(Pending pending);
  boost::asio::awaitable<void> run(Lane& lane);
  boost::asio::awaitable<void> wait_for_work(Queue& queue);
  bool has_work(Queue& queue) const;
  bool take(Lane& lane, Batch& batch);  // False: stopped, and nothing is left.
  void drop_late(const StandingQueue& standing, BootTime now, Batch& batch);
  boost::asio::awaitable<void> commit(Lane& lane, Batch& batch);
  enum class Attempt : std::uint8_t { first, last };
  // False: nothing came of it, and the batch may be tried again.
  boost::asio::awaitable<bool> attempt(Lane& lane, Batch& batch, Attempt which);
  bool may_repeat(const PostgresBatch& transaction, const Batch& batch);
  boost::asio::awaitable<sql::postgres::Commit> execute(Lane& lane, PostgresBatch& transaction,
                                                        Batch& batch);
  void pace(Lane& lane, std::size_t units, std::chrono::nanoseconds work) const;
  boost::asio::awaitable<sql::postgres::Commit> find_out(Lane& lane,
                                                         const PostgresBatch& transaction,
                                                         Batch& batch);
  void answer_late(Batch& batch, const Error& error);
  void refuse(Batch& batch, const Error& error);
  void note_failure(std::string_view reason, const std::string& cause);
  void note_outcome(const PostgresBatch& transaction, sql::postgres::Commit outcome,
                    const Batch& batch);
  void announced();
  void answer(Batch& batch);

  boost::asio::any_io_executor executor_;
  const PostgresRecordOptions& options_;
  const std::string origin_;
  Clock& clock_;
  const std::function<void()> in_doubt_;
  WriteMetrics metrics_;
  RetryBudget retries_;
  Counter& retried_;
  Availability& availability_;
  Queue alone_;
  Queue within_;
  std::list<Lane> lanes_;
  std::atomic<std::int64_t> commits_{0};
  std::atomic<std::int64_t> writes_{0};

  std::mutex listeners_mutex_;
  std::vector<JournalListener> listeners_;
  std::vector<std::function<void()>> announced_;

  mutable std::mutex queue_mutex_;  // Guards the queues' units and this:
  bool stopping_ = false;
};

}  // namespace redoubt::record
