// The sessions one worker knows: found by a keyed hash of the whole token, good while nothing they
// depend on has changed, and the place where uses are noted until they are recorded.
//
// Threads: one worker's.
#pragma once

#include "base/ids.hpp"
#include "base/siphash.hpp"
#include "base/vault.hpp"
#include "local/invalidations.hpp"
#include "local/tiny_lfu.hpp"
#include "services/sessions/dependencies.hpp"

#include <redoubt/sessions.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace redoubt::sessions {

// The counters that a copy of a session depends on, and what they were before it was read.
struct Stamps {
  std::array<std::uint32_t, 3> slots{};  // Of the session, its user, its tenant.
  std::array<local::Invalidations::Stamp, 3> values{};
};
Stamps read_stamps(const local::Invalidations& invalidations, const Dependencies& on);

// A use on its way to the record.
struct Use {
  Hash128 key;
  Id128 id{};
  WallTime at;
};

class SessionMemory {
 public:
  struct Entry {
    SessionPtr session;
    Id128 id{};
    Stamps stamps;
    // Of the session, here too: a hit then touches no more of it than its reference count.
    Duration idle_ttl{0};
    WallTime absolute_expires_at;
    WallTime last_seen;      // Here.
    WallTime noted;          // The use that the record has, or that is on its way there.
    Duration note_after{0};  // Later uses are worth noting once this has passed.
  };

  // Uses that wait for the record, at most.
  static constexpr std::size_t kUsesMax = 1 << 17;

  SessionMemory(const Vault& vault, const local::Invalidations& invalidations,
                std::size_t bytes_max, std::size_t uses_max = kUsesMax);

  Hash128 key_of(std::string_view token) const { return siphash128(key_, token); }

  // The copy under `key` if it is still good and, as far as this worker knows, not expired. Good
  // until the next call.
  Entry* find(const Hash128& key, WallTime now);
  // Unless a newer one is there: reads that overlap may end in any order.
  void keep(const Hash128& key, Entry entry);
  // The session was seen at `version`, in a copy that is not kept: an older one must not answer.
  void forget_older(const Hash128& key, std::int64_t version);

  // The last use of the session here, whatever has become of its copy since; long ago if unknown.
  WallTime last_seen(const Hash128& key) const;

  // Slides the expiry, and remembers the use if it is worth noting.
  VerifiedSession use(const Hash128& key, Entry& entry, WallTime now);

  static bool worth_noting(const Entry& entry, WallTime now) {
    return now - entry.noted >= entry.note_after;
  }

  // Nothing more can be noted: uses are written before the answer until a flush has made room.
  bool full() const { return uses_.size() >= uses_max_; }

  // False when it is full: the use is not recorded, and the session's expiry there stays behind.
  bool note(const Use& use) {
    if (full()) return false;
    uses_.push_back(use);
    return true;
  }
  std::vector<Use> take_uses();
  // The record could not take them: they wait, one for each session; the oldest make room.
  void put_back(std::span<const Use> uses);
  // The record has them: copies say so.
  void recorded(std::span<const Use> uses);

 private:
  SipKey key_;
  const local::Invalidations& invalidations_;
  local::TinyLfu<Hash128, Entry, Hash128Hasher> entries_;
  const std::size_t uses_max_;
  std::vector<Use> uses_;
};

}  // namespace redoubt::sessions
