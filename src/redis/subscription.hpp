// A subscription over a link of its own.
#pragma once

#include "redis/link.hpp"

#include <memory>
#include <set>
#include <string>

namespace redoubt::redis {

// `plan` is of an ordinary connection; it is made one for messages.
std::unique_ptr<Subscription> make_subscription(std::shared_ptr<Shared> shared, ConnectionPlan plan,
                                                std::shared_ptr<Target> target,
                                                SubscribeRequest request,
                                                SubscriptionHandler& handler,
                                                std::weak_ptr<Link>& link_out);

}  // namespace redoubt::redis
