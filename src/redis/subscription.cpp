#include "redis/subscription.hpp"

#include "redis/classify.hpp"

namespace redoubt::redis {
namespace {

using Names = std::set<std::string, std::less<>>;

class LinkSubscription final : public Subscription, public LinkObserver {
 public:
  LinkSubscription(std::shared_ptr<Shared> shared, ConnectionPlan plan,
                   std::shared_ptr<Target> target, const SubscribeRequest& request,
                   SubscriptionHandler& handler)
      : handler_(handler),
        channels_(request.channels.begin(), request.channels.end()),
        patterns_(request.patterns.begin(), request.patterns.end()),
        monitor_(request.monitor),
        link_(std::make_shared<Link>(std::move(shared), std::move(plan), std::move(target), this)) {
    link_->start();
  }
  ~LinkSubscription() override { link_->stop(); }

  std::weak_ptr<Link> link() const { return link_; }

  void add(const SubscribeRequest& request) override {
    for (const std::string& name : request.channels) channels_.insert(name);
    for (const std::string& name : request.patterns) patterns_.insert(name);
    if (!link_->is_ready()) return;  // Then link_ready says them all.
    expected_ += request.channels.size() + request.patterns.size();
    send("SUBSCRIBE", request.channels);
    send("PSUBSCRIBE", request.patterns);
  }

  void remove(const SubscribeRequest& request) override {
    for (const std::string& name : request.channels) channels_.erase(name);
    for (const std::string& name : request.patterns) patterns_.erase(name);
    if (!link_->is_ready()) return;
    send("UNSUBSCRIBE", request.channels);
    send("PUNSUBSCRIBE", request.patterns);
  }

  void link_ready(const ServerFacts&) override {
    gap_ = std::exchange(was_ready_, true);
    expected_ = channels_.size() + patterns_.size() + (monitor_ ? 1 : 0);
    if (monitor_) link_->submit(monitor_command_, {.answered = false});
    send("SUBSCRIBE", channels_);
    send("PSUBSCRIBE", patterns_);
    if (expected_ == 0) handler_.subscribed(std::exchange(gap_, false));
  }

  void link_lost(const Error& error) override { handler_.lost(error); }

  void link_push(Value value) override {
    if (value.is_error()) return refused(value.text());
    if (monitor_) return monitored(value);
    const std::span<const Value> items = value.items();
    if (items.size() < 3) return;
    const std::string_view kind = items[0].text();
    if (kind == "message") return handler_.message(items[1].text(), items[2].text(), {});
    if (kind == "pmessage" && items.size() == 4) {
      return handler_.message(items[2].text(), items[3].text(), items[1].text());
    }
    const bool confirmed = kind == "subscribe" || kind == "psubscribe";
    if (confirmed && expected_ > 0 && --expected_ == 0) {
      handler_.subscribed(std::exchange(gap_, false));
    }
  }

 private:
  template <class List>
  void send(std::string_view name, const List& list) {
    if (list.empty()) return;
    Command command(name);
    for (const std::string& one : list) command.arg(one);
    link_->submit(command, {.answered = false});
  }

  // OK, and then lines.
  void monitored(const Value& value) {
    if (!value.is_ok()) return handler_.message({}, value.text(), {});
    if (expected_ > 0 && --expected_ == 0) handler_.subscribed(std::exchange(gap_, false));
  }

  // A channel that may not be read: everything is asked for again after the backoff.
  void refused(std::string_view reply) { link_->drop(to_error(reply)); }

  SubscriptionHandler& handler_;
  Names channels_;
  Names patterns_;
  const bool monitor_;
  const Command monitor_command_{"MONITOR"};
  std::size_t expected_ = 0;  // Confirmations still to come.
  bool was_ready_ = false;
  bool gap_ = false;
  std::shared_ptr<Link> link_;
};

}  // namespace

std::unique_ptr<Subscription> make_subscription(std::shared_ptr<Shared> shared, ConnectionPlan plan,
                                                std::shared_ptr<Target> target,
                                                SubscribeRequest request,
                                                SubscriptionHandler& handler,
                                                std::weak_ptr<Link>& link_out) {
  plan.subscriber = true;
  auto made = std::make_unique<LinkSubscription>(std::move(shared), std::move(plan),
                                                 std::move(target), request, handler);
  link_out = made->link();
  return made;
}

}  // namespace redoubt::redis
