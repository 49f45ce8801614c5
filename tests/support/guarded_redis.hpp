// A Redis watched by Sentinels, of its own for a test: a master, two replicas and three Sentinels,
// all with passwords.
#pragma once

#include "redis/options.hpp"
#include "tests/support/redis_server.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::test {

class GuardedRedis {
 public:
  GuardedRedis() {
    const std::string at_master = "replicaof 127.0.0.1 " + std::to_string(master.port());
    for (int i = 0; i < 2; ++i) {
      replicas.push_back(std::make_unique<RedisServer>(std::vector<std::string>{
          at_master, "requirepass data", "masterauth data", "repl-diskless-sync-delay 0"}));
    }
    const std::string monitor = "sentinel monitor main 127.0.0.1 " + std::to_string(master.port());
    for (int i = 0; i < 3; ++i) {
      sentinels.push_back(std::make_unique<RedisServer>(
          std::vector<std::string>{monitor + " 2", "sentinel auth-pass main data",
                                   "sentinel down-after-milliseconds main 1000",
                                   "sentinel failover-timeout main 5000", "requirepass guard",
                                   "sentinel sentinel-pass guard"},
          RedisServer::Kind::sentinel));
    }
    const auto none = [] {};
    if (!poll_until([this] { return is_formed(); }, none, std::chrono::milliseconds(50), 800)) {
      throw std::runtime_error("the Sentinels do not find each other");
    }
  }

  redis::Options options() const {
    redis::Sentinel topology;
    for (const auto& sentinel : sentinels) {
      topology.sentinels.push_back(
          {.host = "127.0.0.1", .port = sentinel->port(), .socket_path = {}});
    }
    topology.master_name = "main";
    topology.credentials.password = Secret("guard");
    redis::Options options;
    options.topology = std::move(topology);
    options.credentials.password = Secret("data");
    options.timeouts.connect = Duration(1000);
    options.timeouts.operation = Duration(500);
    return options;
  }

  RedisServer master{{"requirepass data", "masterauth data", "repl-diskless-sync-delay 0"}};
  std::vector<std::unique_ptr<RedisServer>> replicas;
  std::vector<std::unique_ptr<RedisServer>> sentinels;

 private:
  // The Sentinels know each other and the replicas: only then do they agree on a failover.
  bool is_formed() {
    for (const auto& sentinel : sentinels) {
      const std::string state = sentinel->cli("--no-auth-warning -a guard sentinel master main");
      if (!has(state, "num-other-sentinels", "2") || !has(state, "num-slaves", "2")) return false;
    }
    for (const auto& replica : replicas) {
      if (!replica->cli("--no-auth-warning -a data info replication")
               .contains("master_link_status:up")) {
        return false;
      }
    }
    return true;
  }
  static bool has(const std::string& state, const std::string& name, const std::string& value) {
    return state.contains(name + "\n" + value + "\n");
  }
};

}  // namespace redoubt::test
