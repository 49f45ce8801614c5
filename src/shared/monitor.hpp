// Watches the shared tier: asks the record which Redis is ours and which era it is, proves with a
// write that Redis works, and reconciles the two. Everything it finds is in SharedState.
//
// Two tasks, every kMonitorPeriod each. Neither waits for the other, so that a record that hangs does
// not hide what becomes of Redis:
//
//   ask_record   twice a second reads generation and era, and moves the era on when it is due; does
//                in the record what the other one asks for: a new generation (compare-and-set on the
//                page that was judged, then the new mark), or the word that the server is in use
//   run_once     1. writes rd:hb:<instance>, for 5 s, by the script that copies are written by, and
//                   reads it back, on a connection of its own. A Redis that refuses the write and
//                   answers the read is used for what it does: reading and deleting. What is denied
//                   is tried again only after a while (denial.hpp)
//                2. the server's process and rd:inc against the last page of the record
//                   (incarnation.hpp); when they do not agree, a new generation is asked for
//
// While Redis is away, run_once tries twice a second; one that denies even the read is left at
// once, and is tried again only after a while. From a canary that failed until one that is
// answered, its connection is the only one that this process tries to make (answers_probes()).
//
// Threads: the executor of the client, but for admit() and status(), which any thread may call.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "redis/client.hpp"
#include "shared/denial.hpp"
#include "shared/incarnation.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::shared {

inline constexpr Duration kMonitorPeriod{250};

struct MonitorParts {
  redis::Client& client;  // Its own; its admission is watches().
  Ledger& ledger;
  SharedState& state;
  const Clock& clock;
  Random& random;
  Log& log;
  Metrics& metrics;
};

struct MonitorOptions {
  std::string instance;   // Names the canary; of this process alone.
  Duration era{300'000};  // How long an era lasts; copies live for two of them at most.
};

class Monitor {
 public:
  Monitor(const MonitorParts& parts, MonitorOptions options);

  // Before the first request, and after everybody who must hear the journal has subscribed. Opens
  // the ledger and begins an era; then waits up to `limit` for Redis. A Redis that is away is no
  // error: it is used once it is there.
  // Errors: those of the record; precondition_failed "redis_of_another_record".
  Task<void> start(Duration limit);

  // Never fail but for a bug: what goes wrong is a state. Each one at a time. Without a start() the
  // first rounds of ask_record() do what it would have done, but for the wait: of a Redis that comes
  // while requests are served. Then, too, everybody who must hear the journal hears it before.
  Task<void> ask_record();
  Task<void> run_once();

  // The configuration has changed: what was denied may not be any more.
  void try_at_once();

  // The record was asked who we are, and an era has begun. On the executor of the client.
  bool began() const { return began_; }

  // For the clients of the workers (redis::Admission): only the server that the last round found to
  // be ours, until the record says that it is not any more. Any thread.
  Result<void> admit(const redis::ServerFacts& facts);

  // For its own client, on its executor: any server but one that was left behind for another that
  // is in use. Else an address that leads to another one by now would not be looked up while the
  // connection lasts. For the same reason a connection is given up when a worker was led elsewhere.
  Result<void> watches(const redis::ServerFacts& facts);

  SharedStatus status() const { return parts_.state.status(); }
  const std::string& identity() const { return identity_; }

 private:
  // A new generation that is asked for, because of what was seen and what the record said then.
  struct Move {
    Page page;
    Sight sight;
  };

  // Of ask_record():
  Task<void> begin();
  Task<void> learn();
  Task<void> begin_era();
  Task<void> advance_era(BootTime now);
  Task<void> move_on(Move move);
  // Says that the server is in use, when nobody else has for a while.
  boost::asio::awaitable<void> confirm();

  // Of run_once():
  Task<void> canary();
  // False: not taken, for a reason that leaves reading possible; or not even tried.
  Task<bool> beat_by_script(const std::string& key, const std::string& value);
  Task<Sight> look();
  Task<void> beat_plainly();
  void failed(const Error& why);
  // Empty: it is ours, as the record says. Otherwise why it cannot be used now.
  Task<std::string> reconcile();
  std::string judged(const Sight& sight);
  // There is nothing to be said of the server in the record.
  void found_none();
  // It was in use until a moment ago, and a new generation would let it stay so.
  bool may_settle() const;
  // Nobody has used the server that the record knows for so long that one that was left behind may
  // be taken again.
  bool is_unused() const;
  void admit_only(std::vector<std::string> servers, std::string mark);
  void report();

  MonitorParts parts_;
  const MonitorOptions options_;
  Counter& moves_;
  std::string identity_;
  Page page_;
  bool began_ = false;
  BootTime learn_at_{0};
  BootTime learned_at_{0};  // When the read of `page_` began.
  BootTime probe_at_{0};
  Denial denied_;         // Of everything,
  Denial script_denied_;  // of the write by a script,
  Denial write_denied_;   // and of the plain one.
  BootTime era_since_{0};
  BootTime confirmed_at_{0};  // When it was last seen that somebody uses the server.
  std::optional<Move> move_;
  bool moving_ = false;
  std::int64_t in_use_ = 0;     // The generation that the last look found in place; 0: none.
  BootTime unsettled_since_{0};  // 0: it is not.
  std::int64_t canary_ = 0;
  std::string no_writes_;  // Why the last write of a canary was refused; empty: it was not.
  bool unmarked_before_ = false;
  bool another_record_ = false;

  std::mutex mutex_;  // Of the three below.
  std::vector<std::string> servers_;
  std::string mark_;
  bool led_elsewhere_ = false;  // A worker, since the client of the monitor connected.
};

}  // namespace redoubt::shared
