// What must be true of API keys; of sessions it is in checkers.cpp.
#include "tests/sim/checkers.hpp"
#include "tests/sim/knowledge.hpp"

#include <map>

namespace redoubt::sim {
namespace {

struct KeyStory {
  bool made = false;
  bool ended = false;
  bool maybe_ended = false;
};

std::map<std::int32_t, KeyStory> stories_of(const History& history) {
  std::map<std::int32_t, KeyStory> stories;
  for (const Operation& op : history.operations) {
    if (op.deed == Deed::make_key && op.outcome == Outcome::ok) stories[op.object].made = true;
    if (op.deed != Deed::end_key) continue;
    KeyStory& story = stories[op.object];
    if (op.outcome == Outcome::ok || is_saved_in_the_end(history, op)) story.ended = true;
    if (op.outcome != Outcome::refused || op.unavailable) story.maybe_ended = true;
  }
  return stories;
}

}  // namespace

void check_keys_durable(const History& history, Violations& out) {
  const auto stories = stories_of(history);
  for (const auto& [number, story] : stories) {
    if (!story.made) continue;
    const auto found = history.final_keys.find(history.keys[static_cast<std::size_t>(number)].id);
    if (found == history.final_keys.end()) {
      report(out, "durable", "API key {} was acknowledged and is gone", number);
      continue;
    }
    const bool ended = found->second;
    if (story.ended && !ended) {
      report(out, "durable", "API key {}: its end was promised, and it lives", number);
    }
    if (ended && !story.maybe_ended) {
      report(out, "durable", "API key {} has ended, and nobody ended it", number);
    }
  }
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::use_key || op.outcome != Outcome::refused || op.unavailable) continue;
    const auto story = stories.find(op.object);
    if (story == stories.end() || !story->second.made || story->second.maybe_ended) continue;
    report(out, "durable", "nobody ended it, and it was refused: {}", describe(op));
  }
}

void check_keys_revoked(const History& history, Violations& out) {
  std::map<std::int32_t, std::vector<Acknowledged>> ends;
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::end_key || (op.outcome != Outcome::ok && !op.held)) continue;
    ends[op.object].push_back({op.ended, op.instance, op.run, 1, op.outcome != Outcome::ok});
  }
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::use_key || op.outcome != Outcome::ok) continue;
    const auto it = ends.find(op.object);
    if (it != ends.end()) check_accepted(history, it->second, op, out);
  }
}

}  // namespace redoubt::sim
