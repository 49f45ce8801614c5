// Which entries of a tenant are still good: what was invalidated, in the order in which this
// process heard of it. An entry keeps the stamp that was read when its fill began; it is good while
// nothing it answers to was bumped after that stamp.
//
// Positions in the order of hearing, not the record's generations: they need no assumption on the
// order of delivery. A bump heard late makes an entry a needless miss, never a wrong hit.
//
// Entries that came from elsewhere (copies in the shared tier) carry `seen`: the generation up to
// which every invalidation of the tenant was committed when their fill began. Only a later one
// speaks against them, however old they are. To know all of those, this process begins with what
// the record has (begin()) and hears the rest; a generation that it may never hear of, of a commit
// whose outcome is unknown, makes it begin again.
//
// A record may go back: a backup is restored, a standby without the end is promoted. Its
// generations are then given out once more, and a copy from before would seem to have seen them. So
// what was read from the record speaks by its time as well, against copies that were stored before
// it; and a copy that was stored before the record was read cannot have seen more than was in it.
//
// Bounded: 16,384 names and 256 globs; one more, and everything older is invalidated instead. A
// quarter of that is read from the record; older copies than the rest are given up.
//
// Threads: any. stamp() and an entry that was checked since the last bump cost one load.
#pragma once

#include "record/cache_rows.hpp"
#include "shared/eras.hpp"

#include <redoubt/clock.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::cache {

class Generations {
 public:
  using Stamp = std::uint64_t;

  static constexpr std::size_t kNamesMax = 16'384;
  static constexpr std::size_t kGlobsMax = 256;
  // What begin() takes of the record, so that there is room for what is heard.
  static constexpr std::size_t kRowsReadMax = kNamesMax / 4;
  static constexpr std::size_t kGlobsReadMax = kGlobsMax / 4;
  static constexpr std::int64_t kUnnumbered = INT64_MAX;
  // Of this process alone, and not in the record: it is for what is in memory, and says nothing of
  // entries from elsewhere.
  static constexpr std::int64_t kHere = 0;

  // What is known when a fill begins. Without a shared tier, `seen` and `era` are 0.
  struct Moment {
    Stamp at = 0;
    std::int64_t seen = 0;
    std::int64_t era = 0;
  };

  // `eras`: of the shared tier, if there is one.
  explicit Generations(const shared::Eras* eras = nullptr) : eras_(eras) {}

  Moment moment() const;

  // Before the record is read for begin(). Empty: it has begun. Several may read, and the first one
  // to end counts: who waited for another one would have to miss an entry that is there.
  std::optional<Stamp> start_reading() const;
  // `newest`: the tenant's rows, the newest first, up to one more than kRowsReadMax; `read_at`: when
  // the reading began. From here on moments say what was seen, and entries from elsewhere are
  // judged. In vain if something without a number was heard meanwhile.
  void begin(Stamp reading, std::span<const record::CacheGenerationRow> newest, WallTime read_at);
  bool begun() const;

  // Of an entry from elsewhere, whose fill had seen everything up to `seen` and was stored at
  // `stored_at`: the stamp from which on it is like one that was filled here. Empty: it was
  // invalidated, or it is not known.
  std::optional<Stamp> judge(std::string_view key, const std::vector<std::string>& tags,
                             std::int64_t seen, WallTime stored_at) const;

  Stamp stamp() const { return head_.load(std::memory_order_acquire); }

  // `name` as in names.hpp; `generation` as the journal has it. Unnumbered: there may be generations
  // that are never heard, and what was committed is to be read again.
  void bump(std::string_view name, std::int64_t generation = kUnnumbered);

  // True when nothing that `key` and `tags` answer to was bumped after `filled`. `checked` is the
  // stamp of the last time it was so; it is moved on.
  bool is_good(std::string_view key, const std::vector<std::string>& tags, Stamp filled,
               std::atomic<Stamp>& checked) const;

  // Whether `names` and `globs` more would overflow into an invalidation of everything.
  bool would_overflow(std::size_t names, std::size_t globs) const;

 private:
  // The last bump of a name.
  struct Bump {
    Stamp at = 0;  // 0: from before the tenant had entries here.
    std::int64_t generation = 0;
    WallTime read{INT64_MIN};  // When it was, as the record says; INT64_MIN: it was heard.

    void heard(Stamp when, std::int64_t number);
    void add(const record::CacheGenerationRow& row);
    void forget_unnumbered();
    bool speaks_against(std::int64_t seen, WallTime stored_at) const {
      return generation > seen || read > stored_at;
    }
  };
  struct Glob {
    std::string pattern;
    Bump bump;
  };
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };

  void note(Stamp at, std::int64_t generation);
  void count_on();
  std::int64_t newest_known() const;
  void bump_everything(Stamp at, std::int64_t generation);
  Bump* find_or_add(std::string_view name, std::size_t names_max, std::size_t globs_max);

  std::atomic<Stamp> head_{1};
  mutable std::shared_mutex mutex_;  // Guards what follows; head_ is written under it.
  Bump everything_;
  boost::unordered_flat_map<std::string, Bump, NameHash, std::equal_to<>> names_;
  std::vector<Glob> globs_;
  const shared::Eras* const eras_;
  std::optional<std::int64_t> seen_;  // Every generation up to it was committed.
  std::set<std::int64_t> ahead_;      // Heard, with a gap before them.
  Stamp unnumbered_at_ = 0;
  WallTime read_at_{INT64_MIN};  // When the record was read last,
  std::int64_t newest_read_ = 0;  // and what was the newest in it.
  WallTime newest_read_bump_{INT64_MIN};
};

}  // namespace redoubt::cache
