// What is given up first when there is more work than can be done. The order is that of the damage
// a refusal does: a list that is not shown can be asked for again, a revocation that is refused
// leaves a thief logged in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::operations {

enum class Priority : std::uint8_t {
  listing,     // Lists, reports, statistics, audits.
  fill,        // Putting into the cache.
  ephemeral,   // Messages that nobody keeps.
  claim,       // Taking more work on: claims of jobs.
  ordinary,    // Everything else.
  session,     // Verifying who somebody is and what he may.
  lease,       // Renewing what would be lost.
  revocation,  // Ending what must end.
};

inline constexpr std::array<std::string_view, 8> kPriorityNames{
    "listing", "fill", "ephemeral", "claim", "ordinary", "session", "lease", "revocation"};

// How full everything may be for work of each kind to be begun still: 0 to 1. Revocations are not
// held back by load.
inline constexpr std::array<double, kPriorityNames.size()> kBegunBelow{0.50, 0.60, 0.65, 0.70,
                                                                       0.80, 0.90, 0.95, 1e9};

constexpr std::string_view priority_name(Priority priority) {
  return kPriorityNames[static_cast<std::size_t>(priority)];
}

}  // namespace redoubt::operations
