// Sessions that were ended while the record could not be written. Who asked for it was told that
// the end is not durable (503); it holds in this process nevertheless, until it is written.
//
// Bounded: what finds no room is not held, and only the 503 is left. What is here when the process
// ends is lost: nothing of it was acknowledged, and whoever asked has reason to ask again. A file
// beside the record would not help where it matters. It would lie on the disk that just failed;
// with PostgreSQL, other instances would not know of it, nor this one when it starts on another
// machine; and an end that some instances know of and others do not is no better than the 503 says.
//
// Threads: any. While there are none, a question costs one load.
#pragma once

#include "base/ids.hpp"
#include "base/metrics.hpp"
#include "record/record.hpp"
#include "record/unsaved_stops.hpp"

#include <redoubt/clock.hpp>

#include <atomic>
#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::sessions {

struct UnsavedEnd {
  std::string tenant;
  std::string user;         // All sessions of the user, made until `at`, that millisecond too...
  std::optional<Id128> id;  // ...but this one; with an empty user: this one alone.
  WallTime at;
  record::AuditEvent audit;
};

class UnsavedEnds {
 public:
  // `stops`: sessions of a tenant that is stopped there have ended too.
  UnsavedEnds(Metrics& metrics, const record::UnsavedStops& stops, std::size_t max = 16'384);

  // False: no room.
  bool add(UnsavedEnd end);

  struct Who {
    std::string_view tenant;
    std::string_view user;
    Id128 id{};
    WallTime created_at;
  };
  bool cover(const Who& who) const {
    return (count_.load(std::memory_order_acquire) > 0 && covered(who)) ||
           stops_.covers_tenant(who.tenant);
  }

  // At most `max` that nobody else is about to write. Each comes back by saved() or put_back().
  std::vector<UnsavedEnd> take(std::size_t max);
  // REQUIRES: the journal has announced them, so that no copy is older.
  void saved(const std::vector<UnsavedEnd>& ends);
  void put_back(const std::vector<UnsavedEnd>& ends);

 private:
  struct Key {
    std::string tenant;
    std::string user;
    std::optional<Id128> id;
    auto operator<=>(const Key&) const = default;
  };
  struct Value {
    WallTime at;
    record::AuditEvent audit;
    bool taken = false;
  };

  static Key key_of(const UnsavedEnd& end) { return {end.tenant, end.user, end.id}; }
  bool covered(const Who& who) const;
  void recount();

  const record::UnsavedStops& stops_;
  const std::size_t max_;
  std::size_t users_ = 0;  // At most a quarter: any name may be given as a user's.
  Gauge& gauge_;
  mutable std::shared_mutex mutex_;
  std::map<Key, Value> ends_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace redoubt::sessions
