// What the journal has announced lately, by name, for judging copies that other processes made.
//
// An announcement may carry a value that only grows: the version of what changed. A copy of that
// value or a higher one has the change in it. Without a value (kEnds), every copy that may have
// been read before is useless until the era has moved on (eras.hpp).
//
// REQUIRES: heard() is called before the announcement takes effect on anything else that keeps
// copies: a listener that was subscribed first.
//
// Bounded: 1,000,000 names; one more, and all of them count as announced without a value.
//
// Threads: any.
#pragma once

#include "base/siphash.hpp"
#include "shared/eras.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <shared_mutex>
#include <span>
#include <string_view>

namespace redoubt::shared {

class Changes {
 public:
  static constexpr std::int64_t kEnds = INT64_MAX;
  static constexpr std::size_t kNamesMax = 1'000'000;

  explicit Changes(const Eras& eras, std::size_t names_max = kNamesMax);

  void heard(std::string_view name, std::int64_t value = kEnds);
  // Announcements were missed, or concern everything.
  void heard_everything();

  struct Dependency {
    std::string_view name;
    std::int64_t value = 0;  // That the copy has.
  };
  // Whether a copy of that era may be used: nothing that it depends on has changed since.
  bool allows(std::int64_t era, std::span<const Dependency> on) const;

  std::size_t names() const;

 private:
  struct Heard {
    Eras::Ticket ended_at = 0;  // The last without a value, if any.
    bool ended = false;
    Eras::Ticket changed_at = 0;  // The last with one, if value is not 0.
    std::int64_t value = 0;
  };

  void make_room(Eras::Ticket now);

  const Eras& eras_;
  const std::size_t names_max_;
  const SipKey key_;
  mutable std::shared_mutex mutex_;
  boost::unordered_flat_map<Hash128, Heard, Hash128Hasher> heard_;
  Eras::Ticket everything_at_ = 0;
  bool everything_ = false;
  std::size_t swept_at_ = 0;  // Names left by the last sweep.
};

}  // namespace redoubt::shared
