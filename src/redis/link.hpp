// A connection that is made again whenever it is lost, and the queue in front of it.
//
//   connecting --ready--> serving --lost--> waiting (jitter) --> connecting
//        \--failed--> waiting (backoff) --> connecting
//
// While connecting for the first time or after a loss, commands wait here, up to their deadlines.
// After a failed attempt, and while ClientParts::may_connect says no, they fail at once until an
// attempt succeeds: nobody waits for a server that is not there.
//
// Threads: one executor. Life: start() keeps it alive until stop().
#pragma once

#include "redis/backoff.hpp"
#include "redis/classify.hpp"
#include "redis/connection.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace redoubt::redis {

// Where to connect, asked before each attempt.
class Target {
 public:
  virtual ~Target() = default;
  virtual Task<Endpoint> find() = 0;
  // Nobody will ask any more.
  virtual void stop() {}
};
std::shared_ptr<Target> fixed_target(Endpoint endpoint);

class LinkObserver {
 public:
  virtual ~LinkObserver() = default;
  virtual void link_ready(const ServerFacts&) {}
  virtual void link_lost(const Error&) {}    // Was ready.
  virtual void link_failed(const Error&) {}  // An attempt failed.
  virtual void link_push(Value) {}
};

class Link final : public ConnectionEvents, public std::enable_shared_from_this<Link> {
 public:
  Link(std::shared_ptr<Shared> shared, ConnectionPlan plan, std::shared_ptr<Target> target,
       LinkObserver* observer);

  void start();
  void stop();

  // `command` lives until the sink has its reply.
  void submit(const Command& command, const Submission& submission);
  // All of them or none, one after the other on one connection.
  void submit_together(std::span<const Command> commands, const Submission& submission);
  // Closes the connection and looks for the server anew, at once.
  void renew(std::string why);
  // Closes the connection; the next attempt is when the backoff says.
  void drop(Error why);

  // Waits until it serves. Errors: redis_unavailable with the last failure.
  Task<void> connected(Duration limit);

  // Then what is submitted is encoded at once, and need not outlive the call.
  bool is_ready() const { return ready_ && !connection_->is_closed(); }
  bool is_failing() const { return failing_; }
  const ServerFacts& facts() const { return facts_; }
  const std::string& last_error() const { return last_error_; }
  std::size_t in_flight() const;

 private:
  struct Waiting {
    const Command* command;
    Submission submission;
  };
  // Learns whether a server that refused a write as a replica is one.
  class RoleCheck final : public ReplySink {
   public:
    explicit RoleCheck(Link& link) : link_(link) {}
    void on_reply(std::size_t, Result<Value> reply) override { link_.checked_role(reply); }

   private:
    Link& link_;
  };

  void on_push(Value value) override;
  void on_error_reply(Meaning meaning, std::string_view text) override;

  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> sweep_often();
  bool may_connect() const;
  void hold_back();
  Task<ServerFacts> attempt();
  Result<void> admits(const ServerFacts& facts) const;
  void became_ready(ServerFacts facts);
  Duration became_lost(const Error& why);
  Duration attempt_failed(const Error& why);
  void warn(Meaning meaning, std::string_view text);
  void watch(const Command& command, const Submission& submission);
  void forget_watched();
  void check_role();
  void checked_role(const Result<Value>& reply);
  Duration sweep();
  void give_up_waiting(const Error& why);
  std::optional<Error> why_not(std::size_t bytes) const;
  void refuse(const Submission& submission, Error error);
  void wake_sweeper();
  BootTime in(Duration duration) const { return shared_->now() + duration; }

  std::shared_ptr<Shared> shared_;
  const ConnectionPlan plan_;
  std::shared_ptr<Target> target_;
  LinkObserver* observer_;
  BackoffMachine backoff_;
  RoleCheck role_check_{*this};
  const Command ping_{"PING"};
  const Command role_{"ROLE"};

  std::shared_ptr<Connection> connection_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::vector<std::shared_ptr<Alarm>> watchers_;
  std::shared_ptr<Alarm> retry_;
  std::shared_ptr<Alarm> tick_;
  ServerFacts facts_;
  std::string last_error_;
  std::size_t attempts_ = 0;
  BootTime ready_since_;
  bool ready_ = false;
  bool failing_ = false;
  bool resting_ = false;  // The sweeper is: nothing is due soon.
  bool checking_role_ = false;
  bool warned_ = false;  // Of rights that lack or a full server, on this connection.
  bool stopped_ = false;
};

}  // namespace redoubt::redis
