// The API keys this worker has verified, so that a request with one needs no record and no hash.
//
// Found by a keyed hash of the whole key: the key itself is not kept. An entry is good while
// neither the key nor its tenant has changed since it was filled, and the key has not expired.
//
// Threads: one.
#pragma once

#include "base/siphash.hpp"
#include "local/invalidations.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/tenants.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace redoubt::tenants {

struct KeyUse {
  std::string id;
  WallTime at;
};

// The counters a copy depends on, as they were before the record was read.
struct KeyStamps {
  std::uint32_t key_slot = 0;
  std::uint32_t tenant_slot = 0;
  local::Invalidations::Stamp key = 0;
  local::Invalidations::Stamp tenant = 0;
};

class VerifiedKeys {
 public:
  VerifiedKeys(const local::Invalidations& invalidations, std::array<std::uint64_t, 2> hash_key);

  // No allocation when found; at most once a minute per key it notes a use. Drops what is stale.
  const CallerPtr* find(std::string_view token, WallTime now);

  void keep(std::string_view token, const ApiKey& key, CallerPtr caller, const KeyStamps& stamps,
            WallTime now);

  std::vector<KeyUse> take_uses();
  void put_back(std::vector<KeyUse> uses);  // They could not be written.

 private:
  struct Entry {
    CallerPtr caller;
    std::string id;
    KeyStamps stamps;
    std::optional<WallTime> expires_at;
    WallTime noted_use;
  };
  using Map = std::unordered_map<Hash128, Entry, Hash128Hasher>;

  bool good(const Entry& entry, WallTime now) const;
  void make_room(WallTime now);

  const local::Invalidations& invalidations_;
  SipKey hash_key_;
  Map entries_;
  std::vector<KeyUse> uses_;
};

}  // namespace redoubt::tenants
