// Commands over HTTP: a queue, and keep-alive connections that take from it.
//
// What is submitted in a turn of the event loop waits for its end and leaves as one pipeline; so
// does what gathers while all connections are busy. A connection carries one request at a time, and
// is closed when it was idle for 30 s: before the usual server would, since a request that meets a
// closing connection has an unknown outcome.
//
// Deadlines, waiting and failing are those of Link: a command ends by its deadline; after a failed
// attempt to connect, all end at once until one succeeds. When every command of a request has
// passed its deadline, the connection is closed with it.
//
// Threads: one executor. Life: start() keeps it alive until stop().
#pragma once

#include "redis/backoff.hpp"
#include "redis/connection.hpp"
#include "redis/rest_protocol.hpp"

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace redoubt::redis {

inline constexpr std::size_t kRestCommandsMax = 1000;      // Of a request,
inline constexpr std::size_t kRestBytesMax = 1024 * 1024;  // unless one command is larger.

// Commands that go together, and where their replies go.
struct RestBatch {
  struct Item {
    ReplySink* sink = nullptr;  // Null: given up.
    std::size_t index = 0;
    BootTime deadline;
  };
  RestRequest request;
  std::vector<Item> items;
  bool may_grow = false;  // By commands whose deadline is nearly that of the first.
};

class RestConnection;

class RestLink final : public std::enable_shared_from_this<RestLink> {
 public:
  RestLink(std::shared_ptr<Shared> shared, RestTarget target, std::size_t connections_max);

  void start();
  void stop();

  void submit(const Command& command, const Submission& submission);
  // In one request; the sink gets them from submission.index on. REQUIRES: all can_share().
  void submit_together(std::span<const Command> commands, const Submission& submission,
                       RestShape shape);
  // Whether JSON can carry it: no bytes that are not UTF-8.
  static bool can_share(const Command& command);

  bool is_failing() const { return failing_; }
  bool is_connected() const { return was_open_ && !failing_ && !stopped_; }
  const std::string& last_error() const { return last_error_; }
  std::size_t in_flight() const;

 private:
  friend class RestConnection;

  // What a connection tells.
  void opened(RestConnection& connection);
  void open_failed(RestConnection& connection, const Error& why);
  void became_idle(RestConnection& connection);
  void lost(RestConnection& connection, const std::string& why);

  std::optional<Error> why_not(std::size_t bytes) const;
  void refuse(const RestBatch::Item& item, const Error& error);
  void enqueue(RestBatch batch);
  void dispatch_later();
  void dispatch();
  void open_one();
  void give_up_waiting(const Error& error);
  bool may_join(const RestBatch::Item& item, std::size_t bytes) const;
  void settle(RestBatch& batch, std::vector<Result<Value>> outcomes);
  void account(const Result<Value>& outcome);
  void warn(Meaning meaning, std::string_view text);
  void forget(RestConnection& connection);
  boost::asio::awaitable<void> retry_later(Duration pause);
  boost::asio::awaitable<void> sweep_often();
  Duration sweep();
  void sweep_waiting(BootTime now);

  std::shared_ptr<Shared> shared_;
  const RestTarget target_;
  const std::size_t connections_max_;
  const Secret token_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  BackoffMachine backoff_;
  std::deque<RestBatch> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::list<std::shared_ptr<RestConnection>> connections_;
  std::shared_ptr<Alarm> tick_;
  std::shared_ptr<Alarm> retry_;
  std::string last_error_;
  std::size_t attempts_ = 0;
  bool dispatch_posted_ = false;
  bool failing_ = false;
  bool was_open_ = false;
  bool resting_ = false;
  bool retrying_ = false;
  bool denied_ = false;  // And said so.
  BootTime warn_again_at_{0};  // Of rights that lack or a full server.
  bool stopped_ = false;
};

// A connection to the service that is ready to be written to, for commands or for events.
class RestStream {
 public:
  RestStream(std::shared_ptr<Shared> shared, const RestTarget& target,
             std::shared_ptr<boost::asio::ssl::context> tls);

  // Errors: redis_unavailable.
  Task<void> open(std::size_t attempt);
  // Closes what takes longer to open than it may.
  void check_phase(BootTime now);

  Stream& stream() { return stream_; }

 private:
  void limit_phase(Duration limit) { phase_end_ = shared_->now() + limit; }

  std::shared_ptr<Shared> shared_;
  const RestTarget target_;
  Stream stream_;
  std::optional<BootTime> phase_end_;
};

// The TLS of a REST address: verified like any other, whether the options say TLS or not.
Result<std::shared_ptr<boost::asio::ssl::context>> make_rest_tls(const Options& options,
                                                                 const RestTarget& target);

}  // namespace redoubt::redis
