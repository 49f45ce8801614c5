// Deliberate mistakes, to prove that the simulator can see. Each is made at a seam, where the code
// under test meets what it stands on; that code itself is the production's.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace redoubt::sim {

enum class Bug : unsigned char {
  none,
  share_is_limit,       // An instance that cannot ask Redis admits the whole limit.
  shadow_forgotten,     // What was learned from Redis does not come back to it after a loss.
  fork_admitted,        // A worker takes any Redis that answers, also one that was left behind.
  admitted_once,        // A connection to a Redis that was left behind since is kept.
  generation_kept,      // A Redis that lost or got back something goes on under its generation.
  retries_unknown,      // A charge without an answer is sent again.
  freshness_unchecked,  // Copies are trusted however long the journal was not read.
  holes_skipped,        // A journal number that was skipped over is not looked for again.
  deaf_to_others,       // What other instances announce does not reach this one's memory.
  copies_unjudged,      // Copies in Redis are taken whatever the journal has said.
  listeners_late,       // A write is acknowledged before this instance's own memory has heard it.
  unknown_is_done,      // A commit without an answer is taken for done.
  doubt_is_told,        // What may not have been committed is announced as if it had been.
  cache_deaf,           // Invalidations by others do not reach the cache.
  tenants_mixed,        // Copies of two tenants share a name.
  monitor_stops,        // After its first failure nobody looks after Redis any more.
  grace_endless,        // Copies answer for as long as the record is away.
  grace_in_reach,       // Old copies answer although the record is in reach.
  strict_by_own_clock,  // Strict limits go by the clock of the instance, not of the record.
  keys_deaf,            // The end of an API key elsewhere does not reach this one's memory.
  held_given_up,        // What was invalidated at best effort is held no longer, and not recorded.
};

struct BugName {
  Bug bug;
  std::string_view name;
};
inline constexpr std::array kBugs{
    BugName{Bug::share_is_limit, "share_is_limit"},
    BugName{Bug::shadow_forgotten, "shadow_forgotten"},
    BugName{Bug::fork_admitted, "fork_admitted"},
    BugName{Bug::admitted_once, "admitted_once"},
    BugName{Bug::generation_kept, "generation_kept"},
    BugName{Bug::retries_unknown, "retries_unknown"},
    BugName{Bug::freshness_unchecked, "freshness_unchecked"},
    BugName{Bug::holes_skipped, "holes_skipped"},
    BugName{Bug::deaf_to_others, "deaf_to_others"},
    BugName{Bug::copies_unjudged, "copies_unjudged"},
    BugName{Bug::listeners_late, "listeners_late"},
    BugName{Bug::unknown_is_done, "unknown_is_done"},
    BugName{Bug::doubt_is_told, "doubt_is_told"},
    BugName{Bug::cache_deaf, "cache_deaf"},
    BugName{Bug::tenants_mixed, "tenants_mixed"},
    BugName{Bug::monitor_stops, "monitor_stops"},
    BugName{Bug::grace_endless, "grace_endless"},
    BugName{Bug::grace_in_reach, "grace_in_reach"},
    BugName{Bug::strict_by_own_clock, "strict_by_own_clock"},
    BugName{Bug::keys_deaf, "keys_deaf"},
    BugName{Bug::held_given_up, "held_given_up"},
};

constexpr std::optional<Bug> find_bug(std::string_view name) {
  for (const BugName& known : kBugs) {
    if (known.name == name) return known.bug;
  }
  return std::nullopt;
}
constexpr std::string_view bug_name(Bug bug) {
  for (const BugName& known : kBugs) {
    if (known.bug == bug) return known.name;
  }
  return "none";
}

}  // namespace redoubt::sim
