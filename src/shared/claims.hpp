// Who of all instances does what need be done once: a claim in the shared tier, for a time.
//
// A claim saves work and protects nothing: while the shared tier is away, or when it forgets,
// several do it. Whoever claims and dies holds the others up until the claim ends by itself.
//
// The value in Redis is the token of whoever holds the claim; it is given back by its token alone,
// so that nobody ends a claim that has passed to another.
//
// Threads: those of the implementation. Cost: one round trip each; nothing while the shared tier is
// away.
#pragma once

#include "base/metrics.hpp"
#include "shared/copies.hpp"

#include <redoubt/clock.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

namespace redoubt::shared {

enum class Claimed : std::uint8_t {
  ours,
  held,     // By another.
  unknown,  // The shared tier is away or did not answer: it may have become ours.
};

class Claims {
 public:
  virtual ~Claims() = default;

  // To make the copy of that name.
  virtual boost::asio::awaitable<Claimed> claim(CopyName name, std::string token,
                                                Duration life) = 0;
  virtual boost::asio::awaitable<void> give_back(CopyName name, std::string token) = 0;
};

// Over Redis. One per worker, on its executor, as the client is.
std::unique_ptr<Claims> make_redis_claims(redis::Client& client, SharedState& state,
                                          Metrics& metrics);

// The twin of Redis for claims. Threads: one.
class MemoryClaims final : public Claims {
 public:
  explicit MemoryClaims(const Clock& clock) : clock_(clock) {}

  boost::asio::awaitable<Claimed> claim(CopyName name, std::string token, Duration life) override;
  boost::asio::awaitable<void> give_back(CopyName name, std::string token) override;

  void fail(bool failing) { failing_ = failing; }
  // What happens elsewhere while the next claim is on its way.
  void before_next(std::function<void()> elsewhere) { elsewhere_ = std::move(elsewhere); }

 private:
  struct Held {
    std::string token;
    BootTime ends;
  };
  const Clock& clock_;
  std::map<std::string, Held> held_;
  bool failing_ = false;
  std::function<void()> elsewhere_ = {};
};

}  // namespace redoubt::shared
