#include "tests/sim/model_client.hpp"

#include "redis/calls.hpp"
#include "tests/sim/model_link.hpp"

#include <utility>

namespace redoubt::sim {
namespace {

using redis::Command;
using redis::Value;
using Results = std::vector<Result<Value>>;

constexpr Duration kLook{10};

Error not_supported(std::string_view what) {
  return unavailable("redis_not_supported", std::string(what));
}

class ModelClient final : public redis::Client {
 public:
  explicit ModelClient(const ModelClientParts& parts)
      : shared_(std::make_shared<redis::Shared>(
            redis::Shared{.executor = parts.world.io().get_executor(),
                          .options = parts.options,
                          .parts = parts.client,
                          .tls = nullptr,
                          .metrics = redis::ClientMetrics(parts.client.metrics),
                          .counts = {}})),
        link_(make_link(parts, ModelLink::Use::all)),
        probe_(make_link(parts, ModelLink::Use::probe)) {
    link_->start();
  }
  ~ModelClient() override { stop(); }

  Task<void> connected(Duration limit) override {
    const BootTime end = shared_->now() + limit;
    while (!link_->is_ready() && shared_->now() < end) {
      co_await shared_->parts.timers.sleep(kLook);
    }
    if (!link_->is_ready()) co_return fail(redis::not_sent("no connection"));
    co_return Result<void>{};
  }

  Task<Value> run(Command command) override {
    return redis::run_on(shared_, link_, std::move(command));
  }

  boost::asio::awaitable<Results> run_all(std::vector<Command> commands) override {
    redis::Calls calls(commands.size());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const redis::Submission submission{.sink = &calls,
                                         .index = i,
                                         .deadline = redis::deadline_of(*shared_, commands[i]),
                                         .form = redis::ScriptForm::known_or_whole};
      link_->submit(commands[i], submission);
    }
    if (!calls.done()) co_await calls.wait();
    for (std::size_t i = 0; i < commands.size(); ++i) {
      calls.replies[i] = redis::finish(commands[i], std::move(calls.replies[i]));
    }
    co_return std::move(calls.replies);
  }

  Task<std::vector<Value>> transaction(std::vector<Command>) override {
    co_return fail(not_supported("the model Redis has no transactions: no service uses any"));
  }

  Task<Value> script(const redis::Script& script, std::span<const std::string_view> keys,
                     std::span<const std::string_view> arguments) override {
    return redis::run_on(shared_, link_, script.command(keys, arguments));
  }

  Task<Value> probe(Command command) override {
    if (!std::exchange(probing_, true)) probe_->start();
    return redis::run_on(shared_, probe_, std::move(command));
  }

  Result<std::unique_ptr<redis::Subscription>> subscribe(redis::SubscribeRequest,
                                                         redis::SubscriptionHandler&) override {
    return fail(not_supported("the model Redis has no subscriptions"));
  }

  redis::ClientStatus status() const override {
    redis::ClientStatus status;
    status.connected = link_->is_ready();
    status.nodes.push_back({link_->facts(), link_->is_ready(), false});
    status.sent = shared_->counts.sent;
    status.unknown_outcomes = shared_->counts.unknown_outcomes;
    status.reconnects = shared_->counts.connects;
    return status;
  }

  void stop() override {
    link_->stop();
    probe_->stop();
  }

 private:
  std::shared_ptr<ModelLink> make_link(const ModelClientParts& parts, ModelLink::Use use) const {
    return std::make_shared<ModelLink>(parts.world, parts.network, parts.life, parts.instance,
                                       parts.run, shared_, use);
  }

  std::shared_ptr<redis::Shared> shared_;
  std::shared_ptr<ModelLink> link_;
  std::shared_ptr<ModelLink> probe_;
  bool probing_ = false;
};

}  // namespace

std::unique_ptr<redis::Client> make_model_client(const ModelClientParts& parts) {
  return std::make_unique<ModelClient>(parts);
}

}  // namespace redoubt::sim
