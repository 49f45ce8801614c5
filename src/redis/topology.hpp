// The clients behind make_client, one per way to find servers.
#pragma once

#include "redis/link.hpp"

#include <memory>

namespace redoubt::redis {

// How connections to Redis itself are made, as the options say.
ConnectionPlan plan_of(const Shared& shared);

// Standalone and Sentinel: one master at a time.
// Errors: invalid_argument "redis_options" for TLS files of the Sentinels that cannot be used.
Result<std::unique_ptr<Client>> make_single_client(std::shared_ptr<Shared> shared);

std::unique_ptr<Client> make_cluster_client(std::shared_ptr<Shared> shared);

// A service that takes commands over HTTP. Errors: invalid_argument "redis_options" for an address
// or TLS files that cannot be used.
Result<std::unique_ptr<Client>> make_rest_client(std::shared_ptr<Shared> shared);

}  // namespace redoubt::redis
