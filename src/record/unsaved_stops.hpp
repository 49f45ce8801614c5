// API keys and tenants that were stopped while the record could not be written. Who asked for it
// was told that the stop is not durable (503); it holds in this process nevertheless, until it is
// written.
//
// Bounded: what finds no room is not held, and only the 503 is left. What is here when the process
// ends is lost.
//
// Threads: any. While there are none, a question costs one load.
#pragma once

#include "base/metrics.hpp"
#include "record/record.hpp"

#include <redoubt/clock.hpp>

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

struct UnsavedStop {
  enum class Kind : std::uint8_t { api_key, tenant };
  Kind kind = Kind::api_key;
  std::string id;  // Of the key or the tenant.
  WallTime at;
  AuditEvent audit;
};

class UnsavedStops {
 public:
  explicit UnsavedStops(Metrics& metrics, std::size_t max = 4'096);

  // False: no room.
  bool add(UnsavedStop stop);

  bool covers_tenant(std::string_view tenant) const {
    return any() && has(UnsavedStop::Kind::tenant, tenant);
  }
  // The key itself, or all of its tenant.
  bool covers_key(std::string_view id, std::string_view tenant) const {
    return any() && (has(UnsavedStop::Kind::api_key, id) || has(UnsavedStop::Kind::tenant, tenant));
  }
  bool any() const { return count_.load(std::memory_order_acquire) > 0; }

  // At most `max` that nobody else is about to write. Each comes back by saved() or put_back().
  std::vector<UnsavedStop> take(std::size_t max);
  // REQUIRES: the journal has announced them, so that no copy is older.
  void saved(const std::vector<UnsavedStop>& stops);
  void put_back(const std::vector<UnsavedStop>& stops);

 private:
  struct Key {
    UnsavedStop::Kind kind;
    std::string id;
    auto operator<=>(const Key&) const = default;
  };
  struct Value {
    WallTime at;
    AuditEvent audit;
    bool taken = false;
  };

  bool has(UnsavedStop::Kind kind, std::string_view id) const;
  void recount();

  const std::size_t max_;
  Gauge& gauge_;
  mutable std::shared_mutex mutex_;
  std::map<Key, Value> stops_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace redoubt::record
