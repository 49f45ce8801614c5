// The shared tier as this process has it: what it knows of Redis (one state, one monitor, on the
// control thread), and a client for each worker.
//
// There is always one, because a Redis may come while the server runs. Until then it is turned off
// and costs nothing: no connection, no look at the record, no memory of what changed.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "net/task_group.hpp"
#include "record/record.hpp"
#include "redis/client.hpp"
#include "redis/replaceable_client.hpp"
#include "services/cache/best_effort.hpp"
#include "shared/changes.hpp"
#include "shared/hint_channel.hpp"
#include "shared/journal_hints.hpp"
#include "shared/monitor.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace redoubt::app {

struct RedisTierParts {
  const std::optional<redis::Options>& options;  // Empty: there is no Redis.
  record::Record& record;
  const Clock& clock;
  Random& random;
  Log& log;
  Metrics& metrics;
};

class RedisTier {
 public:
  // On the control thread. Listens to the journal from now on: so it is made before everybody else
  // who keeps copies subscribes.
  // Errors: invalid_argument for TLS files that cannot be read.
  static Result<std::unique_ptr<RedisTier>> make(boost::asio::io_context& io,
                                                 const RedisTierParts& parts);

  // What instances are to tell each other beside the record. Before start(); it outlives this.
  void tell(cache::BestEffort& invalidations) { invalidations_ = &invalidations; }

  // Waits a moment for Redis; one that is away is used once it is there. Nothing without one.
  // REQUIRES: everybody who must hear the journal has subscribed.
  // Errors: precondition_failed "redis_of_another_record"; those of the record.
  Result<void> start(boost::asio::io_context& io);

  shared::SharedState& state() { return state_; }
  const shared::Changes& changes() const { return changes_; }
  // Empty until the first Redis was looked at. Any thread.
  std::string record_identity() const;
  std::string topology() const;  // "standalone", "sentinel", "cluster", "rest", "". Any thread.
  std::vector<std::string> warnings() const;      // What is not safe about it. Any thread.
  std::optional<redis::Options> options() const;  // Any thread.

  // Another Redis takes the place of this one, or the first one comes, or the same one is spoken to
  // in another way. Until it has proven itself it is not used; the workers are to make their
  // clients anew. On the control thread. Errors: invalid_argument for TLS files that cannot be
  // read; then nothing changed.
  Result<void> replace(boost::asio::io_context& io, const redis::Options& options);

  // Redis was turned off, or something about it may have been mended. On the control thread.
  void turn_on();

  // For a worker, on its loop; only the server that the monitor knows as ours is used. `tracking`
  // outlives it. Any thread.
  Result<std::unique_ptr<redis::Client>> worker_client(boost::asio::io_context& io, Timers& timers,
                                                       redis::TrackingHandler& tracking) const;

  // For commands of strangers: RESP2, and each may take `limit`. Any thread.
  Result<std::unique_ptr<redis::Client>> face_client(boost::asio::io_context& io, Timers& timers,
                                                     Duration limit) const;

  void start_background(net::TaskGroup& background);  // That outlives every replace().
  void stop();  // Any later use is away. On the control thread.

 private:
  RedisTier(boost::asio::io_context& io, const RedisTierParts& parts);
  Result<std::unique_ptr<redis::Client>> make_admitted(boost::asio::io_context& io, Timers& timers,
                                                       redis::Options options,
                                                       redis::TrackingHandler* tracking) const;
  Result<void> connect(boost::asio::io_context& io);
  void watch();
  Task<void> ask_record();
  void begun();
  Result<std::unique_ptr<redis::Client>> watching_client(boost::asio::io_context& io,
                                                         const redis::Options& options) const;
  void exchange_hints();
  void exchange_invalidations();

  const RedisTierParts parts_;
  mutable std::mutex mutex_;  // Of the two below.
  std::optional<redis::Options> options_;
  std::string record_identity_;
  const std::string instance_;  // Of this process alone.
  std::unique_ptr<Timers> timers_;
  shared::SharedState state_;
  shared::Changes changes_;
  std::unique_ptr<shared::Ledger> ledger_;
  std::unique_ptr<redis::ReplaceableClient> client_;
  std::unique_ptr<shared::Monitor> monitor_;
  std::unique_ptr<shared::JournalHints> hints_;  // Null: nobody else uses the record.
  std::unique_ptr<shared::HintChannel> told_;    // Likewise.
  cache::BestEffort* invalidations_ = nullptr;
  std::atomic<bool> hears_;  // The journal. True once there is a Redis, and from then on.
  bool begun_ = false;
  bool stopped_ = false;
  net::TaskGroup* background_ = nullptr;
};

}  // namespace redoubt::app
