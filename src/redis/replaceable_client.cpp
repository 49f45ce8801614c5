#include "redis/replaceable_client.hpp"

#include "base/assert.hpp"
#include "redis/shared.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace redoubt::redis {

// A subscription that moves from one client to the next. Its handler hears of that as of a
// connection that was lost, and then of a gap.
class ReplaceableClient::MovingSubscription final : public Subscription,
                                                    public SubscriptionHandler {
 public:
  MovingSubscription(std::shared_ptr<Subscriptions> siblings, const SubscribeRequest& request,
                     SubscriptionHandler& handler)
      : siblings_(std::move(siblings)), handler_(handler), monitor_(request.monitor) {
    note(request);
    siblings_->all.push_back(this);
  }
  ~MovingSubscription() override { std::erase(siblings_->all, this); }

  Result<void> begin(Client& client) {
    RD_TRY(made, client.subscribe(wanted(), *this));
    inner_ = std::move(made);
    return {};
  }

  void leave() {
    inner_.reset();
    if (was_subscribed_) gap_ = true;
    handler_.lost(not_sent("another Redis takes the place of this one"));
  }

  void refused(const Error& error) { handler_.lost(error); }

  void add(const SubscribeRequest& request) override {
    note(request);
    if (inner_) inner_->add(request);
  }
  void remove(const SubscribeRequest& request) override {
    for (const std::string& name : request.channels) channels_.erase(name);
    for (const std::string& name : request.patterns) patterns_.erase(name);
    if (inner_) inner_->remove(request);
  }

  void subscribed(bool gap) override {
    was_subscribed_ = true;
    handler_.subscribed(std::exchange(gap_, false) || gap);
  }
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override {
    handler_.message(channel, payload, pattern);
  }
  void lost(const Error& error) override { handler_.lost(error); }

 private:
  void note(const SubscribeRequest& request) {
    channels_.insert(request.channels.begin(), request.channels.end());
    patterns_.insert(request.patterns.begin(), request.patterns.end());
  }
  SubscribeRequest wanted() const {
    SubscribeRequest request;
    request.channels.assign(channels_.begin(), channels_.end());
    request.patterns.assign(patterns_.begin(), patterns_.end());
    request.monitor = monitor_;
    return request;
  }

  std::shared_ptr<Subscriptions> siblings_;
  SubscriptionHandler& handler_;
  std::set<std::string> channels_;
  std::set<std::string> patterns_;
  const bool monitor_;
  std::unique_ptr<Subscription> inner_;
  bool was_subscribed_ = false;
  bool gap_ = false;
};

ReplaceableClient::ReplaceableClient(std::unique_ptr<Client> first) {
  RD_ASSERT(first != nullptr, "a client to begin with");
  clients_.push_back(std::move(first));
}

ReplaceableClient::~ReplaceableClient() = default;

void ReplaceableClient::replace(std::unique_ptr<Client> next) {
  RD_ASSERT(next != nullptr, "a client to go on with");
  if (stopped_) return next->stop();
  // A handler may end subscriptions while it is told.
  const std::vector<MovingSubscription*> moving = subscriptions_->all;
  const auto alive = [this](MovingSubscription* one) {
    return std::ranges::find(subscriptions_->all, one) != subscriptions_->all.end();
  };
  for (MovingSubscription* one : moving) {
    if (alive(one)) one->leave();
  }
  client().stop();
  clients_.push_back(std::move(next));
  for (MovingSubscription* one : moving) {
    if (!alive(one)) continue;
    const Result<void> begun = one->begin(client());
    if (!begun) one->refused(begun.error());
  }
}

Result<std::unique_ptr<Subscription>> ReplaceableClient::subscribe(SubscribeRequest request,
                                                                   SubscriptionHandler& handler) {
  auto moving = std::make_unique<MovingSubscription>(subscriptions_, request, handler);
  RD_CHECK(moving->begin(client()));
  return moving;
}

void ReplaceableClient::stop() {
  stopped_ = true;
  client().stop();
}

}  // namespace redoubt::redis
