// Who the master is, by Sentinels.
//
// All of them are asked at once, over connections that stay open, and the address that most of them
// name is taken: one Sentinel that was cut off still names the old master. What they name is only
// where to look; the handshake's ROLE decides (Link refuses a server that is no master). A change
// is heard of at once through +switch-master.
//
// Sentinels that are not in the configuration are not used.
#pragma once

#include "redis/link.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace redoubt::redis {

// Counts what Sentinels say. No I/O.
class SentinelVote {
 public:
  explicit SentinelVote(std::size_t sentinels) : silent_(sentinels), majority_(sentinels / 2 + 1) {}

  // Of one Sentinel; empty when it does not answer or knows no such master.
  void answer(std::optional<Endpoint> master);
  // All have answered, or no further answer changes the winner.
  bool is_settled() const;
  // Named most often; between equals, named first.
  std::optional<Endpoint> winner() const;

 private:
  std::vector<std::pair<Endpoint, std::size_t>> votes_;
  std::size_t silent_;
  std::size_t majority_;
};

// The address in a reply to SENTINEL get-master-addr-by-name.
std::optional<Endpoint> master_address(const Value& reply);
// The new address in a +switch-master message, "<name> <old ip> <old port> <ip> <port>", when it is
// of the master of that name.
std::optional<Endpoint> switched_master(std::string_view message, std::string_view name);

// Threads: one executor. Life: until stop().
class SentinelWatch {
 public:
  virtual ~SentinelWatch() = default;
  // Errors: redis_unavailable when no Sentinel names a master.
  virtual Task<Endpoint> find() = 0;
  virtual void stop() = 0;
};

// `switched` is called with the new address.
// Errors: invalid_argument "redis_options" for TLS files that cannot be used.
Result<std::shared_ptr<SentinelWatch>> make_sentinel_watch(
    std::shared_ptr<Shared> shared, std::function<void(const Endpoint&)> switched);
std::shared_ptr<Target> sentinel_target(std::shared_ptr<SentinelWatch> watch);

}  // namespace redoubt::redis
