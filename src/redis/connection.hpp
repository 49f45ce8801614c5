// One connection to one server, from connecting to closed, used once. Many commands are in flight
// at a time; replies come in order, so each belongs to the oldest command that has none.
//
// What is submitted in a turn of the event loop is written at its end, in one system call. A
// command whose deadline passes is given up at once; its place in the order stays, and its reply is
// dropped.
//
// Threads: one executor. Sinks and events are called from within; they may submit and close.
#pragma once

#include "redis/classify.hpp"
#include "redis/handshake.hpp"
#include "redis/reply.hpp"
#include "redis/shared.hpp"
#include "redis/stream.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::redis {

class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  virtual void on_push(Value value) = 0;
  virtual void on_error_reply(Meaning meaning, std::string_view text) = 0;
};

// How a connection is made and used.
struct ConnectionPlan {
  Handshake::Plan handshake;
  Tls tls;
  std::shared_ptr<boost::asio::ssl::context> tls_context;  // Null: no TLS.
  bool subscriber = false;  // Messages arrive on it, in RESP2 as ordinary arrays.
  bool probe = false;       // It is made to find out whether the server is there.
};

enum class ScriptForm : std::uint8_t { by_sha, whole, known_or_whole };

struct Submission {
  ReplySink* sink = nullptr;  // Null: nobody waits.
  std::size_t index = 0;
  BootTime deadline{};
  ScriptForm form = ScriptForm::by_sha;
  bool answered = true;  // Off for what is answered by messages: SUBSCRIBE and its kin.
  bool watched = true;   // Off where nothing may come between a command and the one before.
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Shared> shared, const ConnectionPlan& plan, ConnectionEvents& events);

  // Connects, tries the addresses of the name from the `attempt`-th on, and shakes hands.
  // Errors: redis_unavailable, and those of Handshake.
  Task<ServerFacts> open(Endpoint endpoint, std::size_t attempt);
  // Reads until the connection is closed, and says why it was.
  boost::asio::awaitable<Error> serve();

  void submit(const Command& command, const Submission& submission);
  // Gives up what is past its deadline, and closes a connection that is dead.
  void sweep(BootTime now);
  // Every command in flight ends now: unknown, or unsent if none of it was written.
  void close(Error reason);

  // Whether `bytes` of commands can be submitted without being refused as too much.
  bool has_room(std::size_t bytes) const;
  bool is_closed() const { return closed_; }
  std::size_t in_flight() const { return pending_.size() - answered_; }
  BootTime last_used() const { return last_used_; }        // Something was sent or came.
  BootTime last_awaited() const { return last_awaited_; }  // Somebody sent something and waits.

 private:
  struct Pending {
    ReplySink* sink;
    const Script* script;
    std::size_t index;
    BootTime deadline;
    BootTime submitted;
    std::uint64_t start;  // Where its bytes begin in all that was ever written.
  };

  Task<void> reach(Endpoint endpoint, std::size_t attempt);
  Task<std::vector<Value>> exchange(std::vector<Command> commands);
  void limit_phase(Duration limit, const char* phase);
  boost::asio::awaitable<bool> read_once();
  void decode();
  void deliver(Value value);
  void settle(const Pending& pending, Value value);
  bool is_message(const Value& value) const;
  void schedule_flush();
  void flush();
  bool knows(const Script& script) const;

  std::shared_ptr<Shared> shared_;
  const ConnectionPlan& plan_;
  ConnectionEvents& events_;
  Stream stream_;

  std::vector<Pending> pending_;  // From answered_ on.
  std::size_t answered_ = 0;
  std::vector<std::string> known_scripts_;

  std::string out_;           // Not yet written.
  std::string writing_;       // Being written.
  std::uint64_t queued_ = 0;  // Bytes ever put into out_,
  std::uint64_t handed_ = 0;  // and of them, given to the kernel or to TLS.
  bool flush_scheduled_ = false;
  bool decoding_ = false;

  std::unique_ptr<char[]> in_;
  std::size_t in_size_ = 0;
  wire::resp::Decoder decoder_;

  BootTime last_used_;
  BootTime last_awaited_;
  BootTime quiet_since_;  // Replies are owed, and nothing has come since.
  BootTime phase_end_{0};
  const char* phase_ = nullptr;  // Of opening; null when open.
  bool closed_ = false;
  Error reason_;
};

}  // namespace redoubt::redis
