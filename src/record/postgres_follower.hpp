// Follows the journal of all instances, keeps this one's heartbeat, knows who else runs, and
// notices when the database behind the address is another one than before (a failover, a restored
// backup).
//
// Threads: hurry(), fresh_until(), cut_off(), facts(): any. The rest: the record's.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "record/availability.hpp"
#include "record/journal_tail.hpp"
#include "record/membership.hpp"
#include "record/postgres_link.hpp"
#include "record/postgres_record.hpp"
#include "record/reach_watch.hpp"
#include "record/record.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>

namespace redoubt::record {

class PostgresFollower {
 public:
  // What identifies the database: equal while everything acknowledged to us is in it.
  struct Incarnation {
    std::string server;         // System identifier; empty: the server does not tell.
    std::int64_t timeline = 0;  // 0: the server does not tell.
    friend bool operator==(const Incarnation&, const Incarnation&) = default;
  };
  struct Facts {
    Incarnation incarnation;
    std::int64_t instances = 1;
  };

  PostgresFollower(boost::asio::any_io_executor executor, const sql::postgres::Target& target,
                   const PostgresRecordOptions& options, std::string origin, Clock& clock, Log& log,
                   Availability& availability, Metrics& metrics,
                   sql::postgres::ConnectionSet& others, JournalListener tell);

  Task<void> join();  // Registers this instance and reads the journal to its end.
  boost::asio::awaitable<void> follow();  // Until stop().
  boost::asio::awaitable<void> watch();   // Beside it.
  void stop();

  // Polls now; at most one poll more in each kHurryPause, however many hurry.
  static constexpr Duration kHurryPause{20};
  void hurry();
  // The database answered somebody else of this instance: nothing rests after a failure any longer.
  void wake();
  // For a while, this instance's own entries are heard from the table too: one may be committed
  // that nobody waits for any more.
  void hear_own();

  BootTime fresh_until() const { return {fresh_until_.load(std::memory_order_acquire)}; }
  bool cut_off() const { return reach_.cut_off(); }
  Facts facts() const;

  // Looks at the rows of all instances; the newest entry of the journal. Threads: any.
  Task<std::int64_t> look_around(sql::Transaction& tx);
  // Whether every other running instance had heard everything up to `seq` at that look.
  bool all_heard(std::int64_t seq) const;

 private:
  boost::asio::awaitable<void> rest();
  Task<void> round();
  Task<void> attach(sql::postgres::Connection& connection);
  Task<bool> note_incarnation(sql::postgres::Connection& connection, Incarnation now);
  Task<void> restart_tail(sql::postgres::Connection& connection);
  Task<void> poll(sql::postgres::Connection& connection);
  void hear(const sql::Rows& rows);
  Task<void> beat(sql::postgres::Connection& connection);
  void observe(std::span<const sql::Row> rows);
  Task<void> clean(sql::postgres::Connection& connection);

  const PostgresRecordOptions& options_;
  const std::string origin_;
  Clock& clock_;
  Log& log_;
  Availability& availability_;
  sql::postgres::ConnectionSet& others_;  // That are given up when the database does not answer.
  JournalListener tell_;
  PostgresLink link_;
  boost::asio::steady_timer alarm_;
  boost::asio::steady_timer watch_alarm_;
  boost::asio::steady_timer pause_;  // Until somebody who hurries may have a poll.
  std::atomic<bool> hurried_{false};
  Counter& polls_due_;
  Counter& polls_hurried_;

  JournalTail tail_;
  std::uint64_t attached_ = 0;  // link_.opened() of the connection whose database is known.
  BootTime polled_at_;          // The start of the last complete poll.
  BootTime cleaned_at_;
  BootTime hears_own_until_;
  std::int64_t rounds_ = 0;
  std::int64_t heartbeat_ = 0;
  std::int64_t reported_ = -1;  // journal_seq of our row.
  bool stopping_ = false;
  ReachWatch reach_;
  std::string lost_cause_;  // Why the last round failed; empty: it did not.
  std::atomic<std::int64_t> fresh_until_{0};

  mutable std::mutex mutex_;  // Guards the two below.
  Facts facts_;
  Membership members_;
};

}  // namespace redoubt::record
