// What a reader has to know of what others were told.
#pragma once

#include "tests/sim/checkers.hpp"
#include "tests/sim/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::sim {

inline constexpr Nanos kCopiesBound = std::chrono::seconds(2);  // What copies are trusted for.

template <class... A>
void report(Violations& out, std::string_view checker, fmt::format_string<A...> text, A&&... args) {
  constexpr std::size_t kEnough = 20;
  if (out.size() >= kEnough) return;
  out.push_back({std::string(checker), fmt::format(text, std::forward<A>(args)...)});
}

// How old what a copy says may be.
inline Nanos bound_of(const History& history, const Operation& reader) {
  return reader.by_grace ? std::max(kCopiesBound, history.auth_grace) : kCopiesBound;
}

// What was acknowledged about one object.
struct Acknowledged {
  Nanos at{0};
  std::int8_t instance = 0;
  std::uint8_t run = 0;
  std::int64_t value = 0;
  bool here_only = false;  // Not recorded: of concern to this run of this instance alone.
};

// The newest of what a reader must know: what anybody acknowledged `bound` before it began, and what
// its own instance acknowledged before it began. `all` is in the order in which it was acknowledged.
inline const Acknowledged* must_know(const std::vector<Acknowledged>& all, const Operation& reader,
                                     Nanos bound) {
  const Acknowledged* newest = nullptr;
  for (const Acknowledged& known : all) {
    if (known.at >= reader.begun) break;
    const bool own = known.instance == reader.instance && known.run == reader.run;
    if (!own && (known.here_only || known.at + bound > reader.begun)) continue;
    if (newest == nullptr || known.value > newest->value) newest = &known;
  }
  return newest;
}

// Reports `op`, which was accepted, when it must have known of one of `ends`.
void check_accepted(const History& history, const std::vector<Acknowledged>& ends,
                    const Operation& op, Violations& out);

// An end that was held in memory, by a process that was still running at the end.
bool is_saved_in_the_end(const History& history, const Operation& op);

}  // namespace redoubt::sim
