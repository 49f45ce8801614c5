// The client of a REST service: Upstash, or another Redoubt.
#include "redis/calls.hpp"
#include "redis/rest_link.hpp"
#include "redis/rest_subscription.hpp"
#include "redis/topology.hpp"

#include <algorithm>

namespace redoubt::redis {
namespace {

constexpr std::size_t kConnectionsMax = 8;  // A request on each.

using Results = std::vector<Result<Value>>;

// How many of `commands` one request may carry; at least one.
std::size_t fitting(std::span<const Command> commands) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < std::min(commands.size(), kRestCommandsMax)) {
    bytes += commands[count].size();
    if (!RestLink::can_share(commands[count]) || bytes > kRestBytesMax) break;
    ++count;
  }
  return std::max<std::size_t>(count, 1);
}

// One part after the other, because their order matters.
boost::asio::awaitable<Results> run_all_on(std::shared_ptr<Shared> shared,
                                           std::shared_ptr<RestLink> link,
                                           std::vector<Command> commands) {
  Calls calls(commands.size());
  const std::span<const Command> all(commands);
  for (std::size_t done = 0; done < all.size();) {
    const std::size_t count = fitting(all.subspan(done));
    Calls part(count);
    const Submission submission{
        .sink = &part, .deadline = deadline_of(*shared, all[done]), .form = ScriptForm::whole};
    if (RestLink::can_share(all[done])) {
      link->submit_together(all.subspan(done, count), submission, RestShape::pipeline);
    } else {
      link->submit(all[done], submission);
    }
    if (!part.done()) co_await part.wait();
    for (std::size_t i = 0; i < count; ++i) {
      calls.on_reply(done + i, finish(all[done + i], std::move(part.replies[i])));
    }
    done += count;
  }
  co_return std::move(calls.replies);
}

Task<std::vector<Value>> transaction_on(std::shared_ptr<Shared> shared,
                                        std::shared_ptr<RestLink> link,
                                        std::vector<Command> commands) {
  if (commands.empty()) co_return std::vector<Value>();
  if (!std::ranges::all_of(commands, RestLink::can_share)) {
    co_return fail(Error(Errc::invalid_argument, "redis_not_supported",
                         "a transaction over REST carries text only"));
  }
  Calls calls(commands.size());
  const Submission submission{.sink = &calls,
                              .deadline = deadline_of(*shared, commands.front()),
                              .form = ScriptForm::whole};
  link->submit_together(commands, submission, RestShape::transaction);
  if (!calls.done()) co_await calls.wait();
  std::vector<Value> values;
  for (Result<Value>& reply : calls.replies) {
    if (!reply) co_return fail(std::move(reply).error());
    values.push_back(*std::move(reply));
  }
  co_return values;
}

class RestClient final : public Client {
 public:
  RestClient(std::shared_ptr<Shared> shared, RestTarget target)
      : shared_(std::move(shared)),
        target_(std::move(target)),
        link_(std::make_shared<RestLink>(shared_, target_, kConnectionsMax)) {
    link_->start();
  }
  ~RestClient() override { stop(); }

  // A PING that comes back: address, certificate and token are good.
  Task<void> connected(Duration limit) override {
    Result<Value> pong = co_await run_on(shared_, link_, ping(limit));
    if (!pong) co_return fail(std::move(pong).error());
    co_return Result<void>{};
  }

  Task<Value> run(Command command) override { return run_on(shared_, link_, std::move(command)); }
  boost::asio::awaitable<Results> run_all(std::vector<Command> commands) override {
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
      probe_ = std::make_shared<RestLink>(shared_, target_, 1);
      probe_->start();
      if (stopped_) probe_->stop();
    }
    return run_on(shared_, probe_, std::move(command));
  }

  Result<std::unique_ptr<Subscription>> subscribe(SubscribeRequest request,
                                                  SubscriptionHandler& handler) override {
    if (stopped_) return fail(not_sent("the client was stopped"));
    std::erase_if(subscriptions_, [](const auto& one) { return one.expired(); });
    auto feeds = std::make_shared<RestFeeds>(shared_, target_, handler);
    subscriptions_.push_back(feeds);
    feeds->add(request);
    return make_rest_subscription(std::move(feeds));
  }

  ClientStatus status() const override {
    ClientStatus status;
    status.connected = link_->is_connected();
    status.last_error = link_->last_error();
    NodeStatus node;
    node.facts.endpoint = target_.endpoint;
    node.connected = status.connected;
    status.nodes.push_back(std::move(node));
    status.sent = shared_->counts.sent;
    status.unknown_outcomes = shared_->counts.unknown_outcomes;
    status.reconnects = shared_->counts.connects;
    status.in_flight = link_->in_flight();
    return status;
  }

  void stop() override {
    if (std::exchange(stopped_, true)) return;
    link_->stop();
    if (probe_) probe_->stop();
    for (const auto& weak : subscriptions_) {
      if (const auto feeds = weak.lock()) feeds->stop();
    }
  }

 private:
  static Command ping(Duration limit) { return Command("PING").read_only().within(limit); }

  std::shared_ptr<Shared> shared_;
  const RestTarget target_;
  std::shared_ptr<RestLink> link_;
  std::shared_ptr<RestLink> probe_;
  std::vector<std::weak_ptr<RestFeeds>> subscriptions_;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Client>> make_rest_client(std::shared_ptr<Shared> shared) {
  RD_TRY(target, read_rest_url(std::get<Rest>(shared->options.topology).url));
  RD_TRY(tls, make_rest_tls(shared->options, target));
  shared->tls = std::move(tls);
  return std::make_unique<RestClient>(std::move(shared), std::move(target));
}

}  // namespace redoubt::redis
