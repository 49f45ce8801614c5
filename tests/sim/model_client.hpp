// redis::Client over the simulated network. The rules of waiting, sending again and naming what went
// wrong are those of the production client (redis/calls.hpp); the connection below it is a model.
#pragma once

#include "redis/client.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/world.hpp"

#include <cstdint>
#include <memory>

namespace redoubt::sim {

struct ModelClientParts {
  World& world;
  Network& network;
  LifePtr life;
  int instance = 0;
  std::uint64_t run = 0;  // Of the instance.
  const redis::Options& options;
  redis::ClientParts client;
};

std::unique_ptr<redis::Client> make_model_client(const ModelClientParts& parts);

}  // namespace redoubt::sim
