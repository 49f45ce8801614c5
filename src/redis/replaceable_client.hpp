// A client whose Redis may be changed for another one while it is used: another address, another
// password. Whoever holds it, or a subscription made by it, notices no more than he would of a
// connection that broke: what was under way ends, and messages may have been missed.
//
// Nothing is carried over. Whether the other Redis may be used, and what keys in it mean, is for
// those to decide who decide it for every connection (Admission).
//
// Threads: those of a client.
#pragma once

#include "redis/client.hpp"

#include <memory>
#include <vector>

namespace redoubt::redis {

class ReplaceableClient final : public Client {
 public:
  // REQUIRES: not null; as later for replace(), of one executor.
  explicit ReplaceableClient(std::unique_ptr<Client> first);
  ~ReplaceableClient() override;

  // The one before is stopped. It stays in memory, a few kilobytes, because calls made to it may
  // not have returned yet.
  void replace(std::unique_ptr<Client> next);

  Task<void> connected(Duration limit) override { return client().connected(limit); }
  Task<Value> run(Command command) override { return client().run(std::move(command)); }
  std::unique_ptr<Sent> send(Command command) override { return client().send(std::move(command)); }
  boost::asio::awaitable<std::vector<Result<Value>>> run_all(
      std::vector<Command> commands) override {
    return client().run_all(std::move(commands));
  }
  Task<std::vector<Value>> transaction(std::vector<Command> commands) override {
    return client().transaction(std::move(commands));
  }
  Task<Value> script(const Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> arguments) override {
    return client().script(script, keys, arguments);
  }
  Task<Value> probe(Command command) override { return client().probe(std::move(command)); }
  Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest request,
                                                  SubscriptionHandler& handler) override;
  ClientStatus status() const override { return clients_.back()->status(); }
  void stop() override;

 private:
  class MovingSubscription;
  // What is subscribed to, known to both: either may go first.
  struct Subscriptions {
    std::vector<MovingSubscription*> all;
  };

  Client& client() { return *clients_.back(); }

  std::vector<std::unique_ptr<Client>> clients_;  // The last is in use.
  std::shared_ptr<Subscriptions> subscriptions_ = std::make_shared<Subscriptions>();
  bool stopped_ = false;
};

}  // namespace redoubt::redis
