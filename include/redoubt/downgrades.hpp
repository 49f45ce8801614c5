// What an answer guarantees less than it would if everything were well: noted by whoever gives less,
// told by the face that answers (Redoubt-Mode, Redoubt-Guarantee), counted. Never silent.
//
// Threads: one request's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt {

enum class Downgrade : std::uint8_t {
  sessions_grace,     // A session was verified by a copy while the record is away.
  keys_grace,         // The caller's API key was.
  limits_share,       // Each instance enforced its share of a limit.
  limits_open,        // A limit was not enforced, as its configuration says.
  limits_refused,     // A limit refused because it could not be decided, as its configuration says.
  cache_local,        // Entries that only Redis or other instances have were not found.
  cache_unheard,      // Invalidations of other instances may not have been heard.
  cache_best_effort,  // An invalidation is not recorded, and others may not hear of it.
  record_away,        // Refused: the record could not be asked.
};

inline constexpr std::array<std::string_view, 9> kDowngradeNames{
    "sessions=grace", "keys=grace",    "limits=share",      "limits=open",       "limits=refused",
    "cache=local",    "cache=unheard", "cache=best_effort", "record=unavailable"};

class Downgrades {
 public:
  void note(Downgrade downgrade) { bits_ |= bit(static_cast<std::size_t>(downgrade)); }
  bool any() const { return bits_ != 0; }
  bool has(Downgrade downgrade) const {
    return (bits_ & bit(static_cast<std::size_t>(downgrade))) != 0;
  }

  // Calls `f` with the index of each, in order.
  template <class F>
  void each(F&& f) const {
    for (std::size_t i = 0; i < kDowngradeNames.size(); ++i) {
      if ((bits_ & bit(i)) != 0) f(i);
    }
  }

 private:
  static std::uint32_t bit(std::size_t i) { return std::uint32_t{1} << i; }

  std::uint32_t bits_ = 0;
};

}  // namespace redoubt
