// The client of a cluster: each command to the owner of its slot, and after it where it moved.
#include "redis/calls.hpp"
#include "redis/cluster_nodes.hpp"
#include "redis/subscription.hpp"
#include "redis/topology.hpp"

namespace redoubt::redis {
namespace {

const Command& asking() {
  static const Command command("ASKING");
  return command;
}

// One command on its way: where it goes, and how.
struct Trip {
  RedirectMachine machine;
  std::shared_ptr<Link> link;
  ScriptForm form = ScriptForm::by_sha;
  BootTime deadline;
  Duration pause{0};
  bool asking = false;
  bool repeated = false;
  bool over = false;
};

Error nobody_owns(const ClusterNodes& nodes) {
  const std::string& last = nodes.last_error();
  return not_sent(last.empty() ? "no node owns the slot" : last);
}

// The host that a redirect leaves out is that of the node which answered.
Endpoint full(const Redirect& redirect, const Link& answered) {
  Endpoint endpoint = redirect.endpoint;
  if (endpoint.host.empty()) endpoint.host = answered.facts().endpoint.host;
  return endpoint;
}

class ClusterCalls {
 public:
  ClusterCalls(std::shared_ptr<Shared> shared, std::shared_ptr<ClusterNodes> nodes, LinkUse use)
      : shared_(std::move(shared)), nodes_(std::move(nodes)), use_(use) {}

  Shared& shared() const { return *shared_; }
  ClusterNodes& nodes() const { return *nodes_; }

  Trip begin(const Command& command, ScriptForm form) const {
    shared_->retries->attempted();
    return {.machine = {}, .link = {}, .form = form, .deadline = deadline_of(*shared_, command)};
  }

  // Sends it to the owner, or to where the trip was sent.
  void send(const Command& command, Trip& trip, ReplySink& sink, std::size_t index) const {
    if (!trip.link) trip.link = nodes_->link_for(command.slot(), use_);
    if (!trip.link) {
      nodes_->refresh(std::nullopt);
      return sink.on_reply(index, fail(nobody_owns(*nodes_)));
    }
    const Submission submission{.sink = &sink,
                                .index = index,
                                .deadline = trip.deadline,
                                .form = trip.form,
                                .watched = !trip.asking};
    if (trip.asking) trip.link->submit(asking(), {.sink = nullptr, .deadline = trip.deadline});
    trip.link->submit(command, submission);
  }

  // What a reply means for the trip. Over, or to be sent once more after `pause`.
  void judge(const Command& command, Trip& trip, const Result<Value>& reply) const {
    trip.pause = Duration(0);
    trip.over = !(reply ? judge_reply(command, trip, *reply) : judge_failure(command, trip, reply));
  }

  bool redirect(Trip& trip, std::string_view error) const {
    const RedirectMachine::Action action = trip.machine.after(error);
    if (action == RedirectMachine::Action::done || shared_->now() >= trip.deadline) return false;
    trip.asking = action == RedirectMachine::Action::ask;
    ++shared_->counts.redirects;
    if (action == RedirectMachine::Action::pause) {
      shared_->metrics.tried_again.add();
      trip.pause = trip.machine.delay(shared_->parts.random);
      return true;
    }
    Redirect redirect = trip.machine.redirect();
    redirect.endpoint = full(redirect, *trip.link);
    (trip.asking ? shared_->metrics.asked : shared_->metrics.moved).add();
    if (!trip.asking) nodes_->moved(redirect);
    trip.link = nodes_->link_to(redirect.endpoint, use_);
    return trip.link != nullptr;
  }

 private:
  bool judge_reply(const Command& command, Trip& trip, const Value& reply) const {
    if (!reply.is_error()) return false;
    const bool lacks_script = command.script() != nullptr && trip.form == ScriptForm::by_sha &&
                              classify(reply.text()) == Meaning::no_script;
    if (lacks_script) {
      trip.form = ScriptForm::whole;
      return true;  // And after an ASKING once more, which is right: it was not executed.
    }
    return redirect(trip, reply.text());
  }

  bool judge_failure(const Command& command, Trip& trip, const Result<Value>& reply) const {
    if (trip.repeated || !trip.link || !may_repeat(reply.error(), command)) return false;
    if (trip.link->is_failing() || shared_->now() >= trip.deadline) return false;
    if (!shared_->retries->take()) return false;
    trip.repeated = true;
    if (!trip.asking) trip.link.reset();  // Whoever owns it now.
    return true;
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<ClusterNodes> nodes_;
  LinkUse use_;
};

Error crosses() {
  return Error(Errc::invalid_argument, "redis_cross_slot",
               "the keys of one command are in several slots of the cluster");
}

Task<Value> run_in(ClusterCalls calls, Command command) {
  if (command.crosses_slots()) co_return fail(crosses());
  Trip trip = calls.begin(command, ScriptForm::by_sha);
  RD_CO_CHECK(co_await calls.nodes().mapped(trip.deadline));
  for (;;) {
    Call call;
    calls.send(command, trip, call, 0);
    if (!call.done()) co_await call.wait();
    calls.judge(command, trip, call.reply);
    if (trip.over) co_return finish(command, std::move(call.reply));
    if (trip.pause.count() > 0) co_await calls.shared().parts.timers.sleep(trip.pause);
  }
}

// In rounds: all of them, then those that were redirected, and so on.
boost::asio::awaitable<std::vector<Result<Value>>> run_all_in(ClusterCalls calls,
                                                              std::vector<Command> commands) {
  std::vector<Result<Value>> replies(commands.size());
  std::vector<Trip> trips;
  std::vector<std::size_t> round;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    trips.push_back(calls.begin(commands[i], ScriptForm::known_or_whole));
    if (commands[i].crosses_slots()) {
      replies[i] = fail(crosses());
    } else {
      round.push_back(i);
    }
  }
  if (round.empty()) co_return replies;
  const Result<void> mapped = co_await calls.nodes().mapped(trips[round[0]].deadline);
  for (const std::size_t i : round) {
    if (!mapped) replies[i] = fail(mapped.error());
  }
  while (mapped && !round.empty()) {
    Calls pending(round.size());
    for (std::size_t k = 0; k < round.size(); ++k) {
      calls.send(commands[round[k]], trips[round[k]], pending, k);
    }
    if (!pending.done()) co_await pending.wait();
    std::vector<std::size_t> next;
    Duration pause{0};
    for (std::size_t k = 0; k < round.size(); ++k) {
      const std::size_t i = round[k];
      calls.judge(commands[i], trips[i], pending.replies[k]);
      pause = std::max(pause, trips[i].pause);
      if (!trips[i].over) {
        next.push_back(i);
      } else {
        replies[i] = finish(commands[i], std::move(pending.replies[k]));
      }
    }
    round = std::move(next);
    if (pause.count() > 0) co_await calls.shared().parts.timers.sleep(pause);
  }
  co_return replies;
}

// The slot of all of them. Errors: redis_cross_slot.
Result<std::optional<std::uint16_t>> common_slot(const std::vector<Command>& commands) {
  std::optional<std::uint16_t> slot;
  for (const Command& command : commands) {
    const auto own = command.slot();
    if (command.crosses_slots() || (own && slot && *own != *slot)) return fail(crosses());
    if (own) slot = own;
  }
  return slot;
}

// What Redis refused to queue, or nothing.
std::string_view refusal(const std::vector<Result<Value>>& replies) {
  for (const Result<Value>& reply : replies) {
    if (reply && reply->is_error()) return reply->text();
  }
  return {};
}

Task<std::vector<Value>> transaction_in(ClusterCalls calls, std::vector<Command> commands) {
  if (commands.empty()) co_return std::vector<Value>();
  RD_CO_TRY(slot, common_slot(commands));
  Trip trip = calls.begin(commands.front(), ScriptForm::known_or_whole);
  const std::vector<Command> all = as_transaction(std::move(commands));
  RD_CO_CHECK(co_await calls.nodes().mapped(trip.deadline));
  for (;;) {
    if (!trip.link) trip.link = calls.nodes().link_for(slot, LinkUse::commands);
    if (!trip.link) co_return fail(nobody_owns(calls.nodes()));
    Calls pending(all.size());
    const Submission submission{
        .sink = &pending, .deadline = trip.deadline, .form = ScriptForm::known_or_whole};
    if (trip.asking) trip.link->submit(asking(), {.sink = nullptr, .deadline = trip.deadline});
    trip.link->submit_together(all, submission);
    if (!pending.done()) co_await pending.wait();
    // A redirect while queueing discards the whole, so it may be sent again elsewhere.
    const std::string_view refused = refusal(pending.replies);
    if (refused.empty() || !calls.redirect(trip, refused)) {
      co_return transaction_result(std::move(pending.replies));
    }
    const Duration pause = std::exchange(trip.pause, Duration(0));
    if (pause.count() > 0) co_await calls.shared().parts.timers.sleep(pause);
  }
}

class AnyNode final : public Target {
 public:
  explicit AnyNode(std::shared_ptr<ClusterNodes> nodes) : nodes_(std::move(nodes)) {}
  Task<Endpoint> find() override { co_return nodes_->any(); }

 private:
  std::shared_ptr<ClusterNodes> nodes_;
};

class ClusterClient final : public Client {
 public:
  explicit ClusterClient(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), nodes_(std::make_shared<ClusterNodes>(shared_)) {
    nodes_->start();
  }
  ~ClusterClient() override { stop(); }

  Task<void> connected(Duration limit) override { return connect_all(shared_, nodes_, limit); }

  Task<Value> run(Command command) override {
    return run_in(calls(LinkUse::commands), std::move(command));
  }
  boost::asio::awaitable<std::vector<Result<Value>>> run_all(
      std::vector<Command> commands) override {
    return run_all_in(calls(LinkUse::commands), std::move(commands));
  }
  Task<std::vector<Value>> transaction(std::vector<Command> commands) override {
    return transaction_in(calls(LinkUse::commands), std::move(commands));
  }
  Task<Value> script(const Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> arguments) override {
    return run_in(calls(LinkUse::commands), script.command(keys, arguments));
  }
  Task<Value> probe(Command command) override {
    return run_in(calls(LinkUse::probes), std::move(command));
  }

  Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest request,
                                                  SubscriptionHandler& handler) override {
    if (stopped_) return fail(not_sent("the client was stopped"));
    std::erase_if(subscriptions_, [](const auto& link) { return link.expired(); });
    ConnectionPlan plan = plan_of(*shared_);
    plan.handshake.require_master = false;
    plan.handshake.identity_key.clear();
    return make_subscription(shared_, std::move(plan), std::make_shared<AnyNode>(nodes_),
                             std::move(request), handler, subscriptions_.emplace_back());
  }

  ClientStatus status() const override {
    ClientStatus status;
    status.connected = nodes_->slots().is_complete();
    status.last_error = nodes_->last_error();
    for (const auto& link : nodes_->links()) {
      status.nodes.push_back({.facts = link->facts(), .connected = link->is_ready()});
      const bool owner = nodes_->slots().has_master(link->facts().endpoint);
      if (owner && !link->is_ready()) status.connected = false;
      status.in_flight += link->in_flight();
    }
    status.sent = shared_->counts.sent;
    status.unknown_outcomes = shared_->counts.unknown_outcomes;
    status.reconnects = shared_->counts.connects;
    status.redirects = shared_->counts.redirects;
    return status;
  }

  void stop() override {
    if (std::exchange(stopped_, true)) return;
    nodes_->stop();
    for (const auto& weak : subscriptions_) {
      if (const auto link = weak.lock()) link->stop();
    }
  }

 private:
  ClusterCalls calls(LinkUse use) const { return {shared_, nodes_, use}; }

  static Task<void> connect_all(std::shared_ptr<Shared> shared, std::shared_ptr<ClusterNodes> nodes,
                                Duration limit) {
    const BootTime end = shared->now() + limit;
    RD_CO_CHECK(co_await nodes->mapped(end, ClusterNodes::Wait::patiently));
    const std::vector<Endpoint> masters = nodes->slots().masters();
    for (const Endpoint& master : masters) {
      const std::shared_ptr<Link> link = nodes->link_to(master, LinkUse::commands);
      if (!link) co_return fail(not_sent("the client was stopped"));
      const auto left = std::chrono::ceil<Duration>(end - shared->now());
      RD_CO_CHECK(co_await link->connected(left));
    }
    co_return Result<void>{};
  }

  std::shared_ptr<Shared> shared_;
  std::shared_ptr<ClusterNodes> nodes_;
  std::vector<std::weak_ptr<Link>> subscriptions_;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Client> make_cluster_client(std::shared_ptr<Shared> shared) {
  return std::make_unique<ClusterClient>(std::move(shared));
}

}  // namespace redoubt::redis
