// Subscriptions over event streams: one HTTP connection for each time names were asked for, made
// again whenever it is lost.
//
// Threads: one executor. Life: each stream keeps itself alive until stop().
#pragma once

#include "redis/client.hpp"
#include "redis/rest_link.hpp"

#include <memory>
#include <string>
#include <vector>

namespace redoubt::redis {

class RestFeed;

class RestFeeds final : public std::enable_shared_from_this<RestFeeds> {
 public:
  RestFeeds(std::shared_ptr<Shared> shared, RestTarget target, SubscriptionHandler& handler)
      : shared_(std::move(shared)), target_(std::move(target)), handler_(&handler) {}

  void add(const SubscribeRequest& request);
  void remove(const SubscribeRequest& request);
  void stop();

 private:
  friend class RestFeed;

  void follow(std::vector<std::string> names, std::string_view kind);
  // What a stream tells.
  void confirmed(bool gap);
  void lost(const Error& error);
  void heard(std::string_view channel, std::string_view payload, std::string_view pattern);

  std::shared_ptr<Shared> shared_;
  const RestTarget target_;
  SubscriptionHandler* handler_;  // Null when stopped.
  std::vector<std::shared_ptr<RestFeed>> feeds_;
  bool gap_ = false;
};

std::unique_ptr<Subscription> make_rest_subscription(std::shared_ptr<RestFeeds> feeds);

}  // namespace redoubt::redis
