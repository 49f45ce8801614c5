// The record of one instance on the truth that all share: group commit, the journal followed with
// the production JournalTail, Membership, ReachWatch and Availability, and a network in between that
// can be cut at any moment, also between a commit and its reply.
//
// It stands for src/record/postgres_*, which needs sockets; what those decide without I/O runs here
// as it is.
//
// Threads: one. Life: ends with that of its instance.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/availability.hpp"
#include "record/journal_tail.hpp"
#include "record/membership.hpp"
#include "record/reach_watch.hpp"
#include "record/record.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/truth.hpp"
#include "tests/sim/world.hpp"

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace redoubt::sim {

struct RecordHabits {
  Duration poll_interval{200};
  Duration reply_timeout{1'500};  // How long an answer is waited for.
  unsigned slow_commits = 1;      // Of a hundred; up to 300 ms.
  unsigned lost_replies = 0;      // Of a thousand commits: done, and nobody is told.
  unsigned lost_commits = 0;      // Of a thousand: not done, and nobody is told.
  // Deliberate mistakes (bugs.hpp).
  bool gives_up_holes = false;
  bool tells_doubt = false;
  Duration tells_late{0};
};

class ModelRecord final : public record::Record {
 public:
  struct Parts {
    World& world;
    Network& network;
    Truth& truth;
    LifePtr life;
    int instance = 0;
    std::string origin;
    Clock& clock;
    Log& log;
    Metrics& metrics;
    const RecordHabits& habits;
  };
  explicit ModelRecord(const Parts& parts);
  ~ModelRecord() override;

  // Reads the journal to its end and says that this instance runs.
  Task<void> join();
  void follow();  // From then on.

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override;
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override;
  void subscribe(record::JournalListener listener) override {
    listeners_.push_back(std::move(listener));
  }
  BootTime fresh_until() const override { return fresh_until_; }
  bool cut_off() const override { return reach_.cut_off(); }
  Task<void> wait_for_all() override;
  record::Status status() const override;
  void stop() override {}

 private:
  class Unit;
  class Reader;
  using Done = std::shared_ptr<Answer<Result<void>>>;
  struct Pending {
    std::function<Task<void>(record::Unit&)> work;
    Done done;
    Result<void> result;
  };
  struct Batch {
    std::vector<Pending> units;
    std::uint64_t xid = 0;
    std::vector<std::int64_t> drawn;
    std::vector<record::JournalEntry> journal;
  };
  using BatchPtr = std::shared_ptr<Batch>;

  Way& way() { return parts_.network.to_record(parts_.instance); }
  bool reachable() { return parts_.truth.up() && !way().cut(); }
  // For longer than a moment: nobody waits for it.
  bool away() const { return cut_off() && parts_.clock.boot() >= fresh_until_; }
  Nanos delay() { return parts_.network.delay(way()); }
  boost::asio::awaitable<void> pass(Nanos time);

  void start_lane();
  void begin(const BatchPtr& batch);
  void execute(const BatchPtr& batch);
  boost::asio::awaitable<void> run_units(BatchPtr batch);
  boost::asio::awaitable<void> run_unit(Batch& batch, Pending& pending);
  void reply(const BatchPtr& batch);
  void refuse(const BatchPtr& batch, Error error, Nanos when);
  void end_lane(const BatchPtr& batch);
  void ended(Batch& batch);
  void tell_own(const BatchPtr& batch);
  void tell(const record::JournalEntry& entry);

  boost::asio::awaitable<void> follow_journal();
  boost::asio::awaitable<void> watch();
  // Each: whether it had its answer.
  boost::asio::awaitable<bool> round();
  boost::asio::awaitable<bool> poll();
  boost::asio::awaitable<bool> beat();
  boost::asio::awaitable<bool> no_answer();
  void hear(const Truth::Snapshot& snapshot);
  void observe();

  const Parts parts_;
  std::vector<record::JournalListener> listeners_;
  record::Availability availability_;
  record::JournalTail tail_;
  record::Membership members_;
  record::ReachWatch reach_;
  std::deque<Pending> waiting_;
  std::set<std::uint64_t> open_;  // Transactions.
  int lanes_ = 0;
  BootTime fresh_until_{0};
  std::int64_t heartbeat_ = 0;
  std::int64_t reported_ = 0;
  std::int64_t instances_ = 1;
  std::uint64_t rounds_ = 0;
};

}  // namespace redoubt::sim
