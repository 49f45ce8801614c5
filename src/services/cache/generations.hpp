// Which entries of a tenant are still good: what was invalidated, in the order in which this
// process heard of it. An entry keeps the stamp that was read when its fill began; it is good while
// nothing it answers to was bumped after that stamp.
//
// Positions in the order of hearing, not the record's generations: they need no assumption on the
// order of delivery. A bump heard late makes an entry a needless miss, never a wrong hit.
//
// Entries that came from elsewhere (copies in the shared tier) carry what was known where their
// fill began: up to which generation every invalidation of the tenant was committed, and the era
// (shared/eras.hpp). filled_of() turns that into a stamp of this process: the last one before which
// everything heard is certain to have been known there.
//
// Bounded: 16,384 names and 256 globs; one more, and everything older is invalidated instead.
//
// Threads: any. stamp() and an entry that was checked since the last bump cost one load.
#pragma once

#include "shared/eras.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

class Generations {
 public:
  using Stamp = std::uint64_t;

  static constexpr std::size_t kNamesMax = 16'384;
  static constexpr std::size_t kGlobsMax = 256;
  static constexpr std::size_t kLogMax = 4'096;  // Bumps remembered for filled_of().
  static constexpr std::int64_t kUnnumbered = INT64_MAX;

  // What is known when a fill begins. Without a shared tier, `seen` and `era` are 0.
  struct Moment {
    Stamp at = 0;
    std::int64_t seen = 0;
    std::int64_t era = 0;
  };

  // `eras`: of the shared tier, if there is one.
  explicit Generations(const shared::Eras* eras = nullptr) : eras_(eras) {}

  Moment moment() const;

  // All generations up to `newest` were committed before now: from here on, moments can say so.
  void begin_at(std::int64_t newest);
  bool begun() const;

  // Of an entry from elsewhere. Empty: it is too old to tell.
  std::optional<Stamp> filled_of(std::int64_t seen, std::int64_t era) const;

  Stamp stamp() const { return head_.load(std::memory_order_acquire); }

  // `name` as in names.hpp; `generation` as the journal has it. Unnumbered: there may be generations
  // that are never heard, and what was committed is to be asked again (begin_at()).
  void bump(std::string_view name, std::int64_t generation = kUnnumbered);

  // True when nothing that `key` and `tags` answer to was bumped after `filled`. `checked` is the
  // stamp of the last time it was so; it is moved on.
  bool is_good(std::string_view key, const std::vector<std::string>& tags, Stamp filled,
               std::atomic<Stamp>& checked) const;

  // Whether `names` and `globs` more would overflow into an invalidation of everything.
  bool would_overflow(std::size_t names, std::size_t globs) const;

 private:
  struct Glob {
    std::string pattern;
    Stamp at;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };

  struct Heard {
    Stamp at;
    shared::Eras::Ticket ticket;
    std::int64_t generation;
  };

  void note(Stamp at, std::int64_t generation);
  void bump_glob(std::string_view pattern, Stamp at);
  void bump_name(std::string_view name, Stamp at);
  void bump_everything(Stamp at);

  std::atomic<Stamp> head_{1};
  mutable std::shared_mutex mutex_;  // Guards what follows; head_ is written under it.
  Stamp everything_at_ = 0;
  boost::unordered_flat_map<std::string, Stamp, NameHash, std::equal_to<>> names_;
  std::vector<Glob> globs_;
  const shared::Eras* const eras_;
  std::deque<Heard> log_;                          // The latest last.
  std::optional<shared::Eras::Ticket> forgotten_;  // Of the last that left the log.
  std::optional<std::int64_t> seen_;               // Every generation up to it was committed.
  std::set<std::int64_t> ahead_;                   // Heard, with a gap before them.
};

}  // namespace redoubt::cache
