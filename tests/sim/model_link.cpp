#include "tests/sim/model_link.hpp"

#include "redis/classify.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::sim {

constexpr Nanos kSweepEvery = std::chrono::milliseconds(50);
constexpr Nanos kHeldBackMin = std::chrono::milliseconds(1);
constexpr Nanos kHeldBackMax = std::chrono::milliseconds(100);

using redis::not_sent;
using redis::unknown_outcome;

// On its way, there and back. It outlives its sender.
struct ModelLink::Packet {
  ModelRedis* server;
  std::uint64_t run;
  std::uint64_t connection;
  std::uint64_t sequence;
  int instance;
  Nanos sent_at;
  std::string encoded;
  Value reply;
};

ModelLink::ModelLink(World& world, Network& network, LifePtr life, int instance, std::uint64_t run,
                     std::shared_ptr<redis::Shared> shared, Use use)
    : world_(world),
      network_(network),
      life_(std::move(life)),
      instance_(instance),
      client_(instance * kRunsPerMachine + static_cast<std::int64_t>(run)),
      shared_(std::move(shared)),
      use_(use),
      backoff_(shared_->options.backoff) {}

void ModelLink::later(Nanos delay, std::move_only_function<void(ModelLink&)> action) {
  world_.after(delay, life_, [weak = weak_from_this(), action = std::move(action)]() mutable {
    const auto self = weak.lock();
    if (self && !self->stopped_) action(*self);
  });
}

void ModelLink::stop() {
  if (std::exchange(stopped_, true)) return;
  const auto self = shared_from_this();
  ready_ = false;
  for (auto& [ticket, waiting] : std::exchange(waiting_, {})) {
    waiting.submission.sink->on_reply(waiting.submission.index, fail(not_sent("stopped")));
  }
  end_owed("stopped");
}

// ---- Connecting ----

bool ModelLink::may_connect() const {
  return use_ == Use::probe || !shared_->parts.may_connect || shared_->parts.may_connect();
}

void ModelLink::hold_back() {
  failing_ = true;
  const Nanos pause = world_.chance().between(kHeldBackMin, kHeldBackMax);
  later(pause, [](ModelLink& self) { self.connect(); });
  give_up_waiting();
}

void ModelLink::give_up_waiting() {
  const auto self = shared_from_this();
  for (auto& [ticket, waiting] : std::exchange(waiting_, {})) {
    waiting.submission.sink->on_reply(waiting.submission.index, fail(not_sent("no connection")));
  }
}

void ModelLink::connect() {
  if (!may_connect()) return hold_back();
  ModelRedis& server = network_.server_for(instance_);
  const Way& way = network_.to_redis(instance_, server.number());
  const Nanos there_and_back = network_.delay(way) + network_.delay(way);
  const std::uint64_t run = server.run();
  if (!server.reachable() && !way.cut()) {
    return later(there_and_back, [](ModelLink& self) { self.attempt_failed(false); });
  }
  if (way.cut() || server.hung()) {
    const Nanos limit = shared_->options.timeouts.connect;
    return later(limit, [](ModelLink& self) { self.attempt_failed(false); });
  }
  later(2 * there_and_back,
        [&server, run](ModelLink& self) { self.attempt_ended(server, run); });
}

void ModelLink::attempt_ended(ModelRedis& server, std::uint64_t run) {
  const Way& way = network_.to_redis(instance_, server.number());
  if (!server.reachable() || server.hung() || server.run() != run || way.cut()) {
    return attempt_failed(false);
  }
  redis::ServerFacts facts = server.facts();
  if (shared_->options.identity_key.empty()) facts.identity.clear();
  const bool role = !shared_->options.require_master || facts.role == "master";
  if (!role || !admits(facts)) return attempt_failed(false);
  facts_ = std::move(facts);
  connection_ = {};
  connection_.server = &server;
  connection_.run = run;
  connection_.number = ++connections_;
  connection_.last_heard = connection_.last_used = ready_since_ = world_.now();
  ready_ = true;
  failing_ = false;
  ++shared_->counts.connects;
  for (auto& [ticket, waiting] : std::exchange(waiting_, {})) send(waiting);
  sweep(connection_.number);
  ping_when_idle(connection_.number);
}

bool ModelLink::admits(const redis::ServerFacts& facts) const {
  return !shared_->parts.admission || shared_->parts.admission(facts);
}

// The server may have been left behind since.
void ModelLink::sweep(std::uint64_t connection) {
  if (!ready_ || connection_.number != connection) return;
  if (!admits(facts_)) return lost("it is not admitted any more", true);
  later(kSweepEvery, [connection](ModelLink& self) { self.sweep(connection); });
}

void ModelLink::ping_when_idle(std::uint64_t connection) {
  if (!ready_ || connection_.number != connection) return;
  const redis::Timeouts& timeouts = shared_->options.timeouts;
  Nanos due = connection_.last_used + timeouts.idle_ping;
  if (due <= world_.now()) {
    if (connection_.owed.empty()) {
      send({&ping_, {}});
      later(timeouts.silence, [connection](ModelLink& self) { self.silence_passed(connection); });
    }
    due = world_.now() + timeouts.idle_ping;
  }
  later(due - world_.now(), [connection](ModelLink& self) { self.ping_when_idle(connection); });
}

void ModelLink::attempt_failed(bool refused) {
  failing_ = true;
  Random& random = shared_->parts.random;
  const Duration pause = refused ? backoff_.refused(random) : backoff_.lost(Duration(0), random);
  reconnect_after(pause);
  give_up_waiting();
}

void ModelLink::lost(const std::string& why, bool at_once) {
  if (!std::exchange(ready_, false)) return;
  const auto self = shared_from_this();
  const auto lived = std::chrono::duration_cast<Duration>(world_.now() - ready_since_);
  const Duration pause = backoff_.lost(lived, shared_->parts.random);
  reconnect_after(at_once ? Duration(0) : pause);
  end_owed(why);
}

void ModelLink::end_owed(const std::string& why) {
  for (auto& [sequence, submission] : std::exchange(connection_.owed, {})) {
    if (submission.sink == nullptr) continue;
    ++shared_->counts.unknown_outcomes;
    submission.sink->on_reply(submission.index, fail(unknown_outcome(why)));
  }
}

void ModelLink::reconnect_after(Duration pause) {
  later(pause, [](ModelLink& self) { self.connect(); });
}

// ---- Sending ----

void ModelLink::submit(const redis::Command& command, const redis::Submission& submission) {
  const Waiting waiting{&command, submission};
  if (ready_) return send(waiting);
  if (failing_ || stopped_) {
    submission.sink->on_reply(submission.index, fail(not_sent("no connection")));
    return;
  }
  const std::uint64_t ticket = ++tickets_;
  waiting_.emplace(ticket, waiting);
  later(submission.deadline - world_.boot(),
        [ticket](ModelLink& self) { self.waited_too_long(ticket); });
}

void ModelLink::waited_too_long(std::uint64_t ticket) {
  const auto it = waiting_.find(ticket);
  if (it == waiting_.end()) return;
  const redis::Submission submission = it->second.submission;
  waiting_.erase(it);
  submission.sink->on_reply(submission.index, fail(not_sent("no connection in time")));
}

void ModelLink::send(const Waiting& waiting) {
  const redis::Command& command = *waiting.command;
  auto packet = std::make_shared<Packet>();
  bool whole = waiting.submission.form == redis::ScriptForm::whole;
  if (waiting.submission.form == redis::ScriptForm::known_or_whole && command.script() != nullptr) {
    whole = !connection_.known.contains(command.script());
  }
  command.append_to(packet->encoded, whole);
  if (command.script() != nullptr) connection_.known.insert(command.script());
  packet->server = connection_.server;
  packet->run = connection_.run;
  packet->connection = connection_.number;
  packet->sequence = ++connection_.sent;
  packet->instance = instance_;
  packet->sent_at = world_.now();
  if (connection_.owed.empty()) connection_.last_heard = world_.now();
  connection_.last_used = world_.now();
  connection_.owed.emplace(packet->sequence, waiting.submission);
  ++shared_->counts.sent;

  const Way& way = network_.to_redis(instance_, packet->server->number());
  connection_.last_there = std::max(connection_.last_there, world_.now() + network_.delay(way));
  if (waiting.submission.sink != nullptr) {
    later(waiting.submission.deadline - world_.boot(),
          [number = packet->connection, sequence = packet->sequence](ModelLink& self) {
            self.deadline_passed(number, sequence);
          });
  }
  const Nanos delay = connection_.last_there - world_.now();
  world_.after(delay, [self = shared_from_this(), packet] { self->arrive(packet); });
}

// At the server, whatever has become of the sender meanwhile.
void ModelLink::arrive(std::shared_ptr<Packet> packet) {
  const Way& way = network_.to_redis(packet->instance, packet->server->number());
  const auto self = shared_from_this();
  if (way.there_cut) {
    if (world_.now() - packet->sent_at > kGiveUpAfter) return;
    world_.after(kResendEvery, [self, packet] { self->arrive(packet); });
    return;
  }
  if (!packet->server->reachable() || packet->server->run() != packet->run) {
    // What answers at this address has never heard of the connection.
    const std::uint64_t number = packet->connection;
    later(network_.delay(way), [number](ModelLink& link) {
      if (link.connection_.number == number) link.lost("reset", false);
    });
    return;
  }
  std::string encoded = std::move(packet->encoded);
  packet->server->submit(std::move(encoded), client_, [self, packet](Value reply) {
    packet->reply = std::move(reply);
    Connection& connection = self->connection_;
    const Way& back = self->network_.to_redis(packet->instance, packet->server->number());
    Nanos at = self->world_.now() + self->network_.delay(back);
    if (connection.number == packet->connection) {
      connection.last_back = at = std::max(connection.last_back, at);
    }
    self->world_.after(at - self->world_.now(), self->life_,
                       [self, packet] { self->answer(packet); });
  });
}

void ModelLink::answer(std::shared_ptr<Packet> packet) {
  const Way& way = network_.to_redis(packet->instance, packet->server->number());
  if (way.back_cut) {
    const auto self = shared_from_this();
    world_.after(kResendEvery, life_, [self, packet] { self->answer(packet); });
    return;
  }
  answered(packet->connection, packet->sequence, std::move(packet->reply));
}

void ModelLink::answered(std::uint64_t connection, std::uint64_t sequence, Value reply) {
  if (!ready_ || stopped_ || connection_.number != connection) return;
  connection_.last_heard = connection_.last_used = world_.now();
  const auto it = connection_.owed.find(sequence);
  const bool demoted =
      reply.is_error() && redis::classify(reply.text()) == redis::Meaning::read_only;
  if (it != connection_.owed.end()) {
    const redis::Submission submission = it->second;
    connection_.owed.erase(it);
    if (submission.sink != nullptr) submission.sink->on_reply(submission.index, std::move(reply));
  }
  if (demoted && connection_.number == connection) lost("it is a replica", true);
}

void ModelLink::deadline_passed(std::uint64_t connection, std::uint64_t sequence) {
  if (!ready_ || connection_.number != connection) return;
  const auto it = connection_.owed.find(sequence);
  if (it == connection_.owed.end() || it->second.sink == nullptr) return;
  const redis::Submission submission = it->second;
  it->second.sink = nullptr;  // Its reply is still owed.
  ++shared_->counts.unknown_outcomes;
  const Nanos silence = shared_->options.timeouts.silence;
  later(connection_.last_heard + silence - world_.now(),
        [connection](ModelLink& self) { self.silence_passed(connection); });
  submission.sink->on_reply(submission.index, fail(unknown_outcome("no reply in time")));
}

void ModelLink::silence_passed(std::uint64_t connection) {
  if (!ready_ || connection_.number != connection || connection_.owed.empty()) return;
  if (world_.now() - connection_.last_heard < shared_->options.timeouts.silence) return;
  lost("it is silent", false);
}

}  // namespace redoubt::sim
