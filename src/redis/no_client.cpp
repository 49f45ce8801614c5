#include "redis/no_client.hpp"

#include "redis/shared.hpp"

namespace redoubt::redis {
namespace {

Unexpected nowhere() {
  return fail(not_sent("none is configured"));
}

class NoClient final : public Client {
 public:
  Task<void> connected(Duration) override { co_return nowhere(); }
  Task<Value> run(Command) override { co_return nowhere(); }
  boost::asio::awaitable<std::vector<Result<Value>>> run_all(
      std::vector<Command> commands) override {
    co_return std::vector<Result<Value>>(commands.size(), nowhere());
  }
  Task<std::vector<Value>> transaction(std::vector<Command>) override { co_return nowhere(); }
  Task<Value> script(const Script&, std::span<const std::string_view>,
                     std::span<const std::string_view>) override {
    co_return nowhere();
  }
  Task<Value> probe(Command) override { co_return nowhere(); }
  Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest, SubscriptionHandler&) override {
    return nowhere();
  }
  ClientStatus status() const override { return {}; }
  void stop() override {}
};

}  // namespace

std::unique_ptr<Client> no_client() {
  return std::make_unique<NoClient>();
}

}  // namespace redoubt::redis
