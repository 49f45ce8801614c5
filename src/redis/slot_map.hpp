// Which node owns which slot, what a command does after a reply, and when the map is read again:
// the decisions of the Cluster client, without I/O (Redis Cluster specification, "Redirection and
// resharding").
//
// Threads: one.
#pragma once

#include "redis/classify.hpp"
#include "redis/client.hpp"
#include "wire/redis_slot.hpp"

#include <redoubt/random.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace redoubt::redis {

class SlotMap {
 public:
  SlotMap() { owners_.fill(kNobody); }

  // From the reply to CLUSTER SLOTS; `asked` stands in for a node that gives no address of its own.
  // Errors: redis_error when it is none.
  static Result<SlotMap> parse(const Value& reply, const Endpoint& asked);

  // Null: nobody, as far as is known. Valid until the map changes.
  const Endpoint* owner(std::uint16_t slot) const;
  std::optional<std::size_t> owner_index(std::uint16_t slot) const;  // Into masters().
  void move(std::uint16_t slot, const Endpoint& to);

  const std::vector<Endpoint>& masters() const { return masters_; }
  bool is_empty() const { return masters_.empty(); }
  bool is_complete() const;
  bool has_master(const Endpoint& endpoint) const;

 private:
  static constexpr std::uint16_t kNobody = UINT16_MAX;
  std::uint16_t index_of(const Endpoint& endpoint);

  std::vector<Endpoint> masters_;
  std::array<std::uint16_t, wire::kSlots> owners_;
};

// Where one command goes next.
class RedirectMachine {
 public:
  enum class Action : std::uint8_t {
    done,   // The reply is the answer.
    move,   // To `redirect()`, and the map is out of date: read it again from there.
    ask,    // To `redirect()`, once, after ASKING.
    pause,  // Again to the owner after delay().
  };

  // Of an error reply. An empty host in a redirect is left to the caller.
  Action after(std::string_view error_reply);

  const Redirect& redirect() const { return redirect_; }
  // Full jitter: 1 to 8, 16, 32 ms.
  Duration delay(Random& random) const;

 private:
  static constexpr int kRedirectsMax = 5;
  static constexpr int kPausesMax = 3;

  Redirect redirect_;
  int redirects_ = 0;
  int pauses_ = 0;
};

// One refresh at a time, and after one that succeeded none for about a second, whatever asks for
// it.
class RefreshMachine {
 public:
  // A reason to refresh has come up; `from` may know best. True: start now (and call finished()).
  bool request(std::optional<Endpoint> from);
  // How long to wait before reading, so that there is at most one refresh a second, with jitter.
  Duration pause(BootTime now, Random& random) const;
  void finished(BootTime now, bool ok);

  // Whom to ask first; forgotten by asking.
  std::optional<Endpoint> take_preferred() { return std::exchange(preferred_, std::nullopt); }
  // Something came up while a refresh was running.
  bool again() const { return again_; }

 private:
  std::optional<Endpoint> preferred_;
  std::optional<BootTime> last_;
  bool running_ = false;
  bool again_ = false;
};

}  // namespace redoubt::redis
