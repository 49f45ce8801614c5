// A client of no Redis: everything is answered as by one that cannot be reached, at once. For where
// a Redis may come later (replaceable_client.hpp).
#pragma once

#include "redis/client.hpp"

#include <memory>

namespace redoubt::redis {

std::unique_ptr<Client> no_client();

}  // namespace redoubt::redis
