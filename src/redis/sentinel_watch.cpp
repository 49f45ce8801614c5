#include "redis/sentinel.hpp"
#include "redis/stream.hpp"
#include "redis/subscription.hpp"

namespace redoubt::redis {
namespace {

// One question to all Sentinels. Keeps itself until the last has answered or is known not to.
class Round final : public ReplySink, public std::enable_shared_from_this<Round> {
 public:
  Round(const std::string& master, std::size_t sentinels)
      : question_(Command("SENTINEL").arg("get-master-addr-by-name").arg(master)),
        vote_(sentinels),
        left_(sentinels) {}

  void ask(const std::vector<std::shared_ptr<Link>>& sentinels, BootTime deadline) {
    self_ = shared_from_this();
    for (std::size_t i = 0; i < sentinels.size(); ++i) {
      sentinels[i]->submit(question_, {.sink = this, .index = i, .deadline = deadline});
    }
  }

  void on_reply(std::size_t, Result<Value> reply) override {
    const auto keep = shared_from_this();
    vote_.answer(reply ? master_address(*reply) : std::nullopt);
    if (--left_ == 0) self_.reset();
    if (vote_.is_settled()) completion_.complete();
  }

  const SentinelVote& vote() const { return vote_; }
  auto wait() { return completion_.wait(); }

 private:
  const Command question_;
  SentinelVote vote_;
  std::size_t left_;
  std::shared_ptr<Round> self_;
  Completion completion_;
};

// Another Sentinel at each attempt: messages come from whichever is there.
class AnyOf final : public Target {
 public:
  explicit AnyOf(std::vector<Endpoint> endpoints) : endpoints_(std::move(endpoints)) {}
  Task<Endpoint> find() override { co_return endpoints_[next_++ % endpoints_.size()]; }

 private:
  std::vector<Endpoint> endpoints_;
  std::size_t next_ = 0;
};

class Watch final : public SentinelWatch, public SubscriptionHandler {
 public:
  Watch(std::shared_ptr<Shared> shared, std::shared_ptr<boost::asio::ssl::context> tls,
        std::function<void(const Endpoint&)> switched)
      : shared_(std::move(shared)),
        settings_(std::get<Sentinel>(shared_->options.topology)),
        switched_(std::move(switched)) {
    const ConnectionPlan plan = this->plan(std::move(tls));
    for (const Endpoint& endpoint : settings_.sentinels) {
      sentinels_.push_back(std::make_shared<Link>(shared_, plan, fixed_target(endpoint), nullptr));
      sentinels_.back()->start();
    }
    const SubscribeRequest request{.channels = {"+switch-master"}, .patterns = {}};
    std::weak_ptr<Link> link;
    subscription_ = make_subscription(shared_, plan, std::make_shared<AnyOf>(settings_.sentinels),
                                      request, *this, link);
  }

  Task<Endpoint> find() override {
    const auto round = std::make_shared<Round>(settings_.master_name, sentinels_.size());
    round->ask(sentinels_, shared_->now() + shared_->options.timeouts.connect);
    if (!round->vote().is_settled()) co_await round->wait();
    const std::optional<Endpoint> master = round->vote().winner();
    if (master) co_return *master;
    co_return fail(not_sent("no Sentinel names a master for " + settings_.master_name));
  }

  void stop() override {
    switched_ = nullptr;
    subscription_.reset();
    for (const auto& sentinel : sentinels_) sentinel->stop();
  }

  void subscribed(bool) override {}
  void lost(const Error&) override {}
  void message(std::string_view, std::string_view payload, std::string_view) override {
    const auto master = switched_master(payload, settings_.master_name);
    if (master && switched_) switched_(*master);
  }

 private:
  ConnectionPlan plan(std::shared_ptr<boost::asio::ssl::context> tls) const {
    return {.handshake = {.credentials = settings_.credentials,
                          .client_name = shared_->options.client_name,
                          .identity_key = {},
                          .allow_resp3 = shared_->options.allow_resp3,
                          .require_master = false,
                          .ask_facts = false},
            .tls = settings_.tls,
            .tls_context = std::move(tls)};
  }

  std::shared_ptr<Shared> shared_;
  const Sentinel settings_;
  std::function<void(const Endpoint&)> switched_;
  std::vector<std::shared_ptr<Link>> sentinels_;
  std::unique_ptr<Subscription> subscription_;
};

class SentinelTarget final : public Target {
 public:
  explicit SentinelTarget(std::shared_ptr<SentinelWatch> watch) : watch_(std::move(watch)) {}
  Task<Endpoint> find() override { return watch_->find(); }

 private:
  std::shared_ptr<SentinelWatch> watch_;
};

}  // namespace

Result<std::shared_ptr<SentinelWatch>> make_sentinel_watch(
    std::shared_ptr<Shared> shared, std::function<void(const Endpoint&)> switched) {
  RD_TRY(tls, make_tls_context(std::get<Sentinel>(shared->options.topology).tls));
  return std::make_shared<Watch>(std::move(shared), std::move(tls), std::move(switched));
}

std::shared_ptr<Target> sentinel_target(std::shared_ptr<SentinelWatch> watch) {
  return std::make_shared<SentinelTarget>(std::move(watch));
}

}  // namespace redoubt::redis
