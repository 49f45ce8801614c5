// A connection of an instance to the Redis that its name leads to, made again whenever it is lost:
// what redis::Link is over a socket, over the simulated network. Commands are sent in order and
// answered in order; each has its deadline. An idle connection is pinged, so that its end is noticed
// before somebody needs it.
//
// Threads: one.
#pragma once

#include "redis/backoff.hpp"
#include "redis/connection.hpp"
#include "redis/shared.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/world.hpp"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace redoubt::sim {

class ModelLink final : public std::enable_shared_from_this<ModelLink> {
 public:
  // `instance` and `run` say whose it is.
  enum class Use : std::uint8_t { all, probe };
  ModelLink(World& world, Network& network, LifePtr life, int instance, std::uint64_t run,
            std::shared_ptr<redis::Shared> shared, Use use);

  void start() { connect(); }
  void stop();

  // As redis::Link: for redis::run_on().
  void submit(const redis::Command& command, const redis::Submission& submission);
  bool is_failing() const { return failing_; }

  bool is_ready() const { return ready_; }
  const redis::ServerFacts& facts() const { return facts_; }

 private:
  using Value = wire::resp::Value;
  struct Waiting {
    const redis::Command* command;
    redis::Submission submission;
  };
  struct Connection {
    ModelRedis* server;
    std::uint64_t run;
    std::uint64_t number;
    Nanos last_there{0};  // When what was sent last arrives, each way.
    Nanos last_back{0};
    std::uint64_t sent = 0;
    std::map<std::uint64_t, redis::Submission> owed;
    Nanos last_heard{0};
    Nanos last_used{0};  // Sent or heard.
    std::set<const redis::Script*> known;
  };
  struct Packet;

  void connect();
  bool may_connect() const;
  void hold_back();
  void attempt_ended(ModelRedis& server, std::uint64_t run);
  void attempt_failed(bool refused);
  void give_up_waiting();
  void lost(const std::string& why, bool at_once);
  void end_owed(const std::string& why);
  void reconnect_after(Duration pause);
  void send(const Waiting& waiting);
  void arrive(std::shared_ptr<Packet> packet);
  void answer(std::shared_ptr<Packet> packet);
  void answered(std::uint64_t connection, std::uint64_t sequence, Value reply);
  void deadline_passed(std::uint64_t connection, std::uint64_t sequence);
  void silence_passed(std::uint64_t connection);
  bool admits(const redis::ServerFacts& facts) const;
  void sweep(std::uint64_t connection);
  void ping_when_idle(std::uint64_t connection);
  void waited_too_long(std::uint64_t ticket);
  void later(Nanos delay, std::move_only_function<void(ModelLink&)> action);

  World& world_;
  Network& network_;
  const LifePtr life_;
  const int instance_;
  const std::int64_t client_;
  const std::shared_ptr<redis::Shared> shared_;
  const Use use_;
  const redis::Command ping_{"PING"};
  redis::BackoffMachine backoff_;
  redis::ServerFacts facts_;
  Connection connection_{};
  std::map<std::uint64_t, Waiting> waiting_;  // By ticket, in order.
  std::uint64_t tickets_ = 0;
  std::uint64_t connections_ = 0;
  Nanos ready_since_{0};
  bool ready_ = false;
  bool failing_ = false;
  bool stopped_ = false;
};

}  // namespace redoubt::sim
