// The Redis client: one per worker, one multiplexed connection per server it talks to.
//
// All commands issued in one turn of the event loop leave in one write. A call ends by its deadline
// at the latest (Timeouts::operation), connected or not; while there is no connection and the last
// attempt failed, it ends at once. Nothing here decides what to do without Redis: that is the
// caller's.
//
// Outcomes. A command that was not executed for certain has an error that says so; one that was
// sent and not answered is "redis_unknown_outcome": it may have been executed, now or a little
// later. It is never sent again unless Command::repeatable() or read_only() allow it. What each
// error reply becomes is in classify.hpp.
//
// REQUIRES: no command that changes or occupies the connection, which others share: MULTI, WATCH,
// SELECT, AUTH, CLIENT REPLY, SUBSCRIBE, MONITOR, BLPOP and its kin.
//
// Threads: everything on the executor given to make_client, which runs on one thread at a time. A
// call may be made from inside a SubscriptionHandler or an Admission. Cancellation: calls do not
// react to it; they are over by their deadline. Life: stop(), or the destructor, ends every call
// with redis_unavailable or redis_unknown_outcome; the coroutines that wait are resumed before it
// returns.
//
// Errors (slugs): redis_unavailable   not sent: no connection, and when it was tried to make one.
//                 redis_overloaded    not sent: too much waits to be sent.
//                 redis_unknown_outcome  sent, no answer in time, or the connection was lost.
//                 redis_refused, redis_full, redis_read_only, redis_denied, redis_script_missing,
//                 redis_moved, redis_exec_abort, redis_error   answered: see classify.hpp.
//                 redis_cross_slot    keys of one command in several slots of a cluster.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "redis/command.hpp"
#include "redis/options.hpp"
#include "redis/script.hpp"
#include "wire/resp.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/result.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::redis {

using wire::resp::Value;

// What a handshake learned of a server. Empty where the server would not say (managed services
// restrict INFO and ROLE).
struct ServerFacts {
  Endpoint endpoint;
  int protocol = 2;
  std::string version;
  std::string run_id;
  std::string replication_id;  // master_replid
  std::string role;            // master, slave, sentinel
  std::string maxmemory_policy;
  std::string identity;  // The value of Options::identity_key.
  bool tracks = false;   // It tells of changes to what was read (tracking.hpp).
};

// Says whether a server may be used; asked after each handshake. An error closes the connection,
// and the address is looked up anew before the next attempt.
using Admission = std::function<Result<void>(const ServerFacts&)>;

// Hears what becomes of keys that were read by a command with watch().
class TrackingHandler {
 public:
  virtual ~TrackingHandler() = default;
  // Somebody, perhaps this client, has changed, erased or evicted it; it is not watched any more.
  // A reply that was read before may still be on its way to its caller.
  virtual void changed(std::string_view key) = 0;
  // Nothing that was read before is watched: a connection was lost, or the server was emptied.
  virtual void all_changed() = 0;
};

// All of them outlive the client and every call made to it.
struct ClientParts {
  const Clock& clock;
  Timers& timers;  // Of the same executor.
  Random& random;
  Log& log;
  Metrics& metrics;
  Admission admission = {};
  TrackingHandler* tracking = nullptr;  // Null: no command is watched.
  // Asked before each attempt to connect to a Redis, but for those of probe(). While it says no,
  // what needs a connection fails at once. Null: always.
  std::function<bool()> may_connect = {};
};

struct SubscribeRequest {
  std::vector<std::string> channels;
  std::vector<std::string> patterns;  // Redis globs.
  // Instead: every command the server executes, each line of it as a message without a channel. Of
  // a cluster, those of one server. Costs the server a good part of its speed.
  bool monitor = false;
};

class SubscriptionHandler {
 public:
  virtual ~SubscriptionHandler() = default;
  // Subscribed to everything asked for. `gap`: not the first time, so messages may have been
  // missed.
  virtual void subscribed(bool gap) = 0;
  // `pattern` is empty for a channel subscribed to by name. Views live for the call.
  virtual void message(std::string_view channel, std::string_view payload,
                       std::string_view pattern) = 0;
  // The connection is gone; it is made again without being asked.
  virtual void lost(const Error& error) = 0;
};

// Ends, with no further call to the handler, when it is destroyed.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // Adds to what is subscribed to, or takes away from it; `subscribed` is told of additions.
  virtual void add(const SubscribeRequest& request) = 0;
  virtual void remove(const SubscribeRequest& request) = 0;
};

struct NodeStatus {
  ServerFacts facts;
  bool connected = false;
  bool replica = false;  // Known to the slot map, not used.
};

struct ClientStatus {
  bool connected = false;  // Standalone and Sentinel: the connection; Cluster: every slot has one.
  std::string last_error;  // Of the last lost or failed connection.
  std::vector<NodeStatus> nodes;
  std::uint64_t sent = 0;
  std::uint64_t unknown_outcomes = 0;
  std::uint64_t reconnects = 0;  // Connections made, the first included.
  std::uint64_t redirects = 0;
  std::size_t in_flight = 0;
};

// A command that is on its way. May be let go: then its reply is dropped.
class Sent {
 public:
  virtual ~Sent() = default;
  // Once. As Client::run() would have answered.
  virtual Task<Value> reply() = 0;
};

class Client {
 public:
  virtual ~Client() = default;

  // Waits until there is a connection (to a cluster: its slot map, too), at most `limit`. Calls
  // need not wait for it; it is for a start that wants to say what it found.
  virtual Task<void> connected(Duration limit) = 0;

  // One command, one round trip. An error reply is an Error too (classify.hpp), unless raw().
  virtual Task<Value> run(Command command) = 0;

  // The same in two steps: what is asked between them leaves in the same write. Where a transport
  // cannot, it is sent when the reply is asked for.
  virtual std::unique_ptr<Sent> send(Command command);

  // All in one pipeline, in order where they go to one server; one that fails keeps none of the
  // others. Not atomic. As many results as commands. On a cluster they are split by node.
  virtual boost::asio::awaitable<std::vector<Result<Value>>> run_all(
      std::vector<Command> commands) = 0;

  // MULTI, all of them, EXEC: executed together or, when one is refused while queueing, not at all
  // ("redis_exec_abort", its message being Redis' own words). The replies in order; one that failed
  // at run time is a Value of kind error, and the others stand. Keys in one slot. Never sent again.
  virtual Task<std::vector<Value>> transaction(std::vector<Command> commands) = 0;

  // By its SHA, whole if the server does not have it: see script.hpp. Keys in one slot.
  virtual Task<Value> script(const Script& script, std::span<const std::string_view> keys,
                             std::span<const std::string_view> arguments) = 0;

  // One command on a connection of its own, made for it when there is none: works, or says why not,
  // however full the other one is. For health probes; ClientParts::may_connect does not hold it
  // back. Cluster: a master of the command's slot.
  virtual Task<Value> probe(Command command) = 0;

  // A connection of its own. Not for every transport: unavailable "redis_not_supported".
  // REQUIRES: `handler` outlives the subscription.
  virtual Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest request,
                                                          SubscriptionHandler& handler) = 0;

  virtual ClientStatus status() const = 0;

  // Ends everything. Idempotent; later calls are redis_unavailable.
  virtual void stop() = 0;
};

// Starts to connect. Errors: invalid_argument "redis_options" as check_options says, or for TLS
// files that cannot be read.
Result<std::unique_ptr<Client>> make_client(boost::asio::any_io_executor executor,
                                            const Options& options, const ClientParts& parts);

}  // namespace redoubt::redis
