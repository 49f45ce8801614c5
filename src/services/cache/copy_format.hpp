// An entry as its copy in the shared tier has it.
//
//   value     'p' | packed,  or  's' | envelope (base/vault.hpp), bound to tenant, key and version
//   packed    layout (1) | flags (1): 1 negative, 2 gone, 4 ttl | seen | era | stored, wall ms |
//             fresh for | stale until | error until, ms after stored (8 each) | key, value,
//             content type, etag | tags (1), each
//
// "Gone" marks a key that was erased: late puts of an older version lose against it.
//
// Ages are told by the wall clock: between two hosts they are wrong by as much as their clocks are.
#pragma once

#include "base/vault.hpp"
#include "services/cache/entry.hpp"

#include <redoubt/clock.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::cache {

struct CacheCopy {
  CacheEntry entry;
  bool gone = false;
  std::int64_t seen = 0;
  std::int64_t era = 0;
  WallTime stored_at;
  Duration fresh{0};  // After stored_at, as are the two below.
  Duration stale{0};
  Duration error{0};

  Duration life() const { return std::max({fresh, stale, error}); }
};

struct Now {
  BootTime boot;
  WallTime wall;
};
CacheCopy copy_of(const Entry& entry, const Now& now);
// Without id, tenant and stamp. Never younger than the copy says, nor older than not at all.
std::shared_ptr<Entry> entry_of(CacheCopy copy, std::int64_t version, const Now& now);

Bytes pack_copy(const CacheCopy& copy);
// Empty for whatever pack_copy does not write, or no entry can be.
std::optional<CacheCopy> unpack_copy(ByteView bytes);

// `vault`: seal it; null: do not. Either form is read.
std::string write_copy(const Vault* vault, std::string_view tenant, std::int64_t version,
                       const CacheCopy& copy);
std::optional<CacheCopy> read_copy(const Vault& vault, std::string_view tenant,
                                   std::string_view key, std::int64_t version,
                                   std::string_view bytes);

}  // namespace redoubt::cache
