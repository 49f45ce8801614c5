// A Redis cluster of its own for a test: three masters, each with so many replicas.
//
//   RedisCluster cluster(0);
//
// Threads: one. Throws when it is not up within forty seconds.
#pragma once

#include "redis/options.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/redis_server.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::test {

class RedisCluster {
 public:
  explicit RedisCluster(int replicas) {
    for (int i = 0; i < 3 + 3 * replicas; ++i) add_node({});
    join("", replicas);
  }
  // Everything over TLS, the nodes among themselves too.
  explicit RedisCluster(const Certificates& certificates) {
    const std::string authority = certificates.file("ca.crt");
    for (int i = 0; i < 3; ++i) {
      const std::uint16_t port = free_port();
      tls_ports.push_back(port);
      add_node({"port 0", "tls-port " + std::to_string(port), "tls-cluster yes",
                "tls-cert-file " + certificates.file("good.crt"),
                "tls-key-file " + certificates.file("good.key"), "tls-ca-cert-file " + authority,
                "tls-auth-clients no"});
    }
    join("--tls --cacert " + authority + " ", 0);
  }

  std::uint16_t port(std::size_t node) const {
    return tls_ports.empty() ? nodes[node]->port() : tls_ports[node];
  }

  redis::Options options() const {
    redis::Options options;
    // Two seeds are enough; the first is nobody.
    options.topology =
        redis::Cluster{{{.host = "127.0.0.1", .port = free_port(), .socket_path = {}},
                        {.host = "127.0.0.1", .port = port(1), .socket_path = {}}}};
    options.timeouts.connect = Duration(1000);
    options.timeouts.operation = Duration(1000);
    return options;
  }

  std::string id(std::size_t node) const {
    std::string id = nodes[node]->cli("cluster myid");
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
  }
  bool is_master(std::size_t node) const {
    return nodes[node]->cli("info replication").contains("role:master");
  }

  std::vector<std::unique_ptr<RedisServer>> nodes;
  std::vector<std::uint16_t> tls_ports;

 private:
  void add_node(std::vector<std::string> lines) {
    for (const char* line : {"cluster-enabled yes", "cluster-node-timeout 2000",
                             "cluster-replica-validity-factor 0", "repl-diskless-sync-delay 0"}) {
      lines.emplace_back(line);
    }
    nodes.push_back(std::make_unique<RedisServer>(std::move(lines)));
  }
  void join(const std::string& flags, int replicas) {
    std::string all;
    for (std::size_t i = 0; i < nodes.size(); ++i) all += " 127.0.0.1:" + std::to_string(port(i));
    const std::string made = RedisServer::output_of(
        "redis-cli " + flags + "--cluster create" + all + " --cluster-replicas " +
        std::to_string(replicas) + " --cluster-yes 2>&1");
    const auto none = [] {};
    if (!poll_until([this] { return is_formed(); }, none, std::chrono::milliseconds(50), 800)) {
      throw std::runtime_error("a cluster does not come up: " + made);
    }
  }
  bool is_formed() {
    for (const auto& node : nodes) {
      const std::string info = node->cli("cluster info");
      const std::string role = node->cli("info replication");
      if (!info.contains("cluster_state:ok")) return false;
      if (role.contains("role:slave") && !role.contains("master_link_status:up")) return false;
    }
    return true;
  }
};

}  // namespace redoubt::test
