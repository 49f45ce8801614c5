// Which entries of a tenant are still good: what was invalidated, in the order in which this
// process heard of it. An entry keeps the stamp that was read when its fill began; it is good while
// nothing it answers to was bumped after that stamp.
//
// Positions in the order of hearing, not the record's generations: they need no assumption on the
// order of delivery. A bump heard late makes an entry a needless miss, never a wrong hit.
//
// Bounded: 16,384 names and 256 globs; one more, and everything older is invalidated instead.
//
// Threads: any. stamp() and an entry that was checked since the last bump cost one load.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
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

  Stamp stamp() const { return head_.load(std::memory_order_acquire); }

  void bump(std::string_view name);  // As in names.hpp.

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

  void bump_glob(std::string_view pattern, Stamp at);
  void bump_name(std::string_view name, Stamp at);
  void bump_everything(Stamp at);

  std::atomic<Stamp> head_{1};
  mutable std::shared_mutex mutex_;  // Guards what follows; head_ is written under it.
  Stamp everything_at_ = 0;
  boost::unordered_flat_map<std::string, Stamp, NameHash, std::equal_to<>> names_;
  std::vector<Glob> globs_;
};

}  // namespace redoubt::cache
