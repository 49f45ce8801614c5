// The client of one master: a fixed address, or the one that Sentinels name.
#include "redis/calls.hpp"
#include "redis/sentinel.hpp"
#include "redis/subscription.hpp"
#include "redis/topology.hpp"

namespace redoubt::redis {
namespace {

class SentOnLink final : public Sent {
 public:
  SentOnLink(std::shared_ptr<Shared> shared, std::shared_ptr<Link> link, Command command)
      : call_(std::make_shared<SentCall>(std::move(shared), std::move(link), std::move(command))) {
    call_->send();
  }
  Task<Value> reply() override { return call_->reply(); }

 private:
  std::shared_ptr<SentCall> call_;
};

class SingleClient final : public Client {
 public:
  explicit SingleClient(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), plan_(plan_of(*shared_)) {}

  Result<void> start() {
    if (std::holds_alternative<Sentinel>(shared_->options.topology)) {
      auto switched = [this](const Endpoint& master) { follow(master); };
      RD_TRY(watch, make_sentinel_watch(shared_, std::move(switched)));
      watch_ = std::move(watch);
    }
    ConnectionPlan plan = plan_;
    plan.handshake.track = shared_->parts.tracking != nullptr;
    link_ = std::make_shared<Link>(shared_, std::move(plan), target(), nullptr);
    link_->start();
    return {};
  }
  ~SingleClient() override { stop(); }

  Task<void> connected(Duration limit) override { return link_->connected(limit); }

  Task<Value> run(Command command) override { return run_on(shared_, link_, std::move(command)); }
  std::unique_ptr<Sent> send(Command command) override {
    return std::make_unique<SentOnLink>(shared_, link_, std::move(command));
  }
  boost::asio::awaitable<std::vector<Result<Value>>> run_all(
      std::vector<Command> commands) override {
    return run_all_on(shared_, link_, std::move(commands));
  }
  Task<std::vector<Value>> transaction(std::vector<Command> commands) override {
    return transaction_on(shared_, link_, std::move(commands));
  }
  Task<Value> script(const Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> arguments) override {
    return run_on(shared_, link_, script.command(keys, arguments));
  }

  Task<Value> probe(Command command) override {
    if (!probe_) {
      ConnectionPlan plan = plan_;
      plan.probe = true;
      probe_ = std::make_shared<Link>(shared_, std::move(plan), target(), &probe_observer_);
      probe_->start();
      if (stopped_) probe_->stop();
    }
    return run_on(shared_, probe_, std::move(command));
  }

  Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest request,
                                                  SubscriptionHandler& handler) override {
    if (stopped_) return fail(not_sent("the client was stopped"));
    std::erase_if(subscriptions_, [](const auto& link) { return link.expired(); });
    return make_subscription(shared_, plan_, target(), std::move(request), handler,
                             subscriptions_.emplace_back());
  }

  ClientStatus status() const override {
    ClientStatus status;
    status.connected = link_->is_ready();
    status.last_error = link_->last_error();
    status.nodes.push_back({.facts = link_->facts(), .connected = link_->is_ready()});
    status.sent = shared_->counts.sent;
    status.unknown_outcomes = shared_->counts.unknown_outcomes;
    status.reconnects = shared_->counts.connects;
    status.in_flight = link_->in_flight();
    return status;
  }

  void stop() override {
    if (std::exchange(stopped_, true)) return;
    if (link_) link_->stop();
    if (probe_) probe_->stop();
    for (const auto& weak : subscriptions_) {
      if (const auto link = weak.lock()) link->stop();
    }
    if (watch_) watch_->stop();
  }

 private:
  // What ends the connection of the probes, the other one may not notice: a server that was a replica
  // for a while answers reads all along, and has another replication id afterwards.
  class ProbeObserver final : public LinkObserver {
   public:
    explicit ProbeObserver(SingleClient& client) : client_(client) {}
    void link_lost(const Error&) override {
      client_.link_->renew("the connection of the probes was lost");
    }

   private:
    SingleClient& client_;
  };

  std::shared_ptr<Target> target() const {
    if (watch_) return sentinel_target(watch_);
    return fixed_target(std::get<Standalone>(shared_->options.topology).endpoint);
  }

  // Sentinels have made another server the master: whatever is connected elsewhere goes there.
  void follow(const Endpoint& master) {
    shared_->parts.log.info("redis.master_switched", {{"server", master.text()}});
    std::vector<std::shared_ptr<Link>> links{link_, probe_};
    for (const auto& weak : subscriptions_) links.push_back(weak.lock());
    for (const auto& link : links) {
      if (!link || (link->is_ready() && link->facts().endpoint == master)) continue;
      link->renew("Sentinel names another master");
    }
  }

  std::shared_ptr<Shared> shared_;
  ConnectionPlan plan_;
  std::shared_ptr<SentinelWatch> watch_;
  std::shared_ptr<Link> link_;
  ProbeObserver probe_observer_{*this};
  std::shared_ptr<Link> probe_;
  std::vector<std::weak_ptr<Link>> subscriptions_;
  bool stopped_ = false;
};

}  // namespace

ConnectionPlan plan_of(const Shared& shared) {
  const Options& options = shared.options;
  return {.handshake = {.credentials = options.credentials,
                        .client_name = options.client_name,
                        .identity_key = options.identity_key,
                        .database = options.database,
                        .allow_resp3 = options.allow_resp3,
                        .require_master = options.require_master},
          .tls = options.tls,
          .tls_context = shared.tls};
}

Result<std::unique_ptr<Client>> make_single_client(std::shared_ptr<Shared> shared) {
  auto client = std::make_unique<SingleClient>(std::move(shared));
  RD_CHECK(client->start());
  return client;
}

}  // namespace redoubt::redis
