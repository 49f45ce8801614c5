#include "tests/sim/checkers.hpp"

#include "tests/sim/knowledge.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace redoubt::sim {
namespace {

constexpr Nanos kNormalWithin = std::chrono::seconds(5);

// Sessions that an operation on a user concerns.
using SessionsOf = std::map<std::pair<int, int>, std::vector<std::int32_t>>;
SessionsOf sessions_by_user(const History& history) {
  SessionsOf by_user;
  for (std::size_t i = 0; i < history.sessions.size(); ++i) {
    const SessionFact& session = history.sessions[i];
    by_user[{session.tenant, session.user}].push_back(static_cast<std::int32_t>(i));
  }
  return by_user;
}

struct SessionStory {
  const Operation* created = nullptr;
  std::int64_t updates = 0;
  std::int64_t unknown_updates = 0;
  std::int64_t newest = 1;  // The newest version that was acknowledged.
  bool revoked = false;
  bool maybe_revoked = false;
};

// The time of a session, and of an end that is held in memory, is that of a wall clock.
Nanos wall(Nanos time) {
  return std::chrono::floor<std::chrono::milliseconds>(time);
}

// Whether what ends all sessions of a user may have ended this one of theirs.
bool may_concern(const History& history, const Operation& ends_all, const Operation* created) {
  if (created == nullptr) return false;
  // Held in memory, it is about those made until its millisecond, by the clocks of their instances.
  if (ends_all.held && (history.wall_moved || wall(created->begun) <= wall(ends_all.begun))) {
    return true;
  }
  return ends_all.outcome != Outcome::refused && created->begun <= ends_all.ended;
}

std::map<std::int32_t, SessionStory> stories_of(const History& history) {
  const SessionsOf by_user = sessions_by_user(history);
  std::map<std::int32_t, SessionStory> stories;
  for (const Operation& op : history.operations) {
    if (op.deed == Deed::create) stories[op.object].created = &op;
  }
  const auto revoke = [&stories, &history](std::int32_t session, const Operation& op) {
    SessionStory& story = stories[session];
    // What ends a user's sessions is about those that were there before.
    const bool before =
        op.deed == Deed::revoke || (story.created != nullptr && story.created->ended <= op.begun);
    // One that was refused because the record is away ends it all the same, later.
    const bool saved =
        is_saved_in_the_end(history, op) && (op.deed == Deed::revoke || !history.wall_moved);
    if (before && (op.outcome == Outcome::ok || saved)) story.revoked = true;
    story.maybe_revoked |= op.deed == Deed::revoke ? op.outcome != Outcome::refused || op.held
                                                   : may_concern(history, op, story.created);
  };
  for (const Operation& op : history.operations) {
    if (op.deed == Deed::update && op.outcome == Outcome::ok) {
      SessionStory& story = stories[op.object];
      ++story.updates;
      story.newest = std::max(story.newest, op.value);
    }
    if (op.deed == Deed::update && op.outcome == Outcome::unknown) {
      ++stories[op.object].unknown_updates;
    }
    if (op.deed == Deed::revoke) revoke(op.object, op);
    if (op.deed == Deed::revoke_all) {
      const auto theirs = by_user.find({op.tenant, op.object});
      if (theirs == by_user.end()) continue;
      for (const std::int32_t session : theirs->second) revoke(session, op);
    }
  }
  return stories;
}

// A live session is not refused, unless because something is away.
void check_refusals(const History& history, Violations& out) {
  const auto stories = stories_of(history);
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::verify || op.outcome != Outcome::refused || op.unavailable) continue;
    const auto it = stories.find(op.object);
    if (it == stories.end() || it->second.created == nullptr) continue;
    const bool made = it->second.created->outcome == Outcome::ok;
    if (made && !it->second.maybe_revoked) {
      report(out, "durable", "nobody ended it, and it was refused: {}", describe(op));
    }
  }
}

}  // namespace

bool is_saved_in_the_end(const History& history, const Operation& op) {
  return op.held && std::ranges::any_of(history.states, [&op](const StateFact& state) {
    return state.instance == op.instance && state.run == op.run;
  });
}

void check_accepted(const History& history, const std::vector<Acknowledged>& ends,
                    const Operation& op, Violations& out) {
  if (const Acknowledged* end = must_know(ends, op, bound_of(history, op))) {
    report(out, "revoked", "accepted {:.3f} s after instance {} {}: {}",
           std::chrono::duration<double>(op.begun - end->at).count(), end->instance,
           end->here_only ? "said that it refuses it" : "acknowledged its end", describe(op));
  }
}

void check_durable(const History& history, Violations& out) {
  std::set<std::string> known;
  for (const auto& [number, story] : stories_of(history)) {
    const SessionFact& session = history.sessions[static_cast<std::size_t>(number)];
    known.insert(session.id);
    if (story.created == nullptr || story.created->outcome != Outcome::ok) continue;
    const auto found = history.final_sessions.find(session.id);
    if (found == history.final_sessions.end()) {
      report(out, "durable", "session {} was acknowledged and is gone: {}", number,
             describe(*story.created));
      continue;
    }
    const FinalSession& last = found->second;
    if (story.revoked && !last.revoked) {
      report(out, "durable", "session {}: its end was promised, and it lives", number);
    }
    if (last.revoked && !story.maybe_revoked) {
      report(out, "durable", "session {} has ended, and nobody ended it", number);
    }
    const std::int64_t least = 1 + story.updates;
    if (last.version < least || last.version > least + story.unknown_updates) {
      report(out, "durable",
             "session {} has version {}; {} updates were acknowledged, {} have no outcome", number,
             last.version, story.updates, story.unknown_updates);
    }
  }
  check_refusals(history, out);
  // A session nobody was told of may be there if its creation has no outcome.
  const auto unknown = std::ranges::count_if(history.operations, [](const Operation& op) {
    return op.deed == Deed::create && op.outcome == Outcome::unknown;
  });
  std::int64_t strangers = 0;
  for (const auto& [id, session] : history.final_sessions) strangers += known.contains(id) ? 0 : 1;
  if (strangers > unknown) {
    report(out, "durable", "{} sessions are in the record that nobody asked for; {} creations have no outcome",
           strangers, unknown);
  }
}

void check_revoked(const History& history, Violations& out) {
  const SessionsOf by_user = sessions_by_user(history);
  std::map<std::int32_t, const Operation*> created;
  std::map<std::int32_t, std::vector<Acknowledged>> ends;
  for (const Operation& op : history.operations) {
    if (op.deed == Deed::create && op.outcome == Outcome::ok) created[op.object] = &op;
  }
  for (const Operation& op : history.operations) {
    if (op.outcome != Outcome::ok && !op.held) continue;
    const Acknowledged end{op.ended, op.instance, op.run, 1, op.outcome != Outcome::ok};
    if (op.deed == Deed::revoke) ends[op.object].push_back(end);
    // Held in memory, it is about those made before an instant of that instance's wall clock.
    if (op.deed != Deed::revoke_all || (op.held && history.wall_moved)) continue;
    const auto theirs = by_user.find({op.tenant, op.object});
    if (theirs == by_user.end()) continue;
    for (const std::int32_t session : theirs->second) {
      const auto it = created.find(session);
      if (it != created.end() && it->second->ended <= op.begun) ends[session].push_back(end);
    }
  }
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::verify || op.outcome != Outcome::ok) continue;
    const auto it = ends.find(op.object);
    if (it != ends.end()) check_accepted(history, it->second, op, out);
  }
}

void check_fresh(const History& history, Violations& out) {
  std::map<std::pair<bool, std::int32_t>, std::vector<Acknowledged>> changes;
  const auto key_of = [](const Operation& op) {
    const bool session = op.deed == Deed::update || op.deed == Deed::verify;
    return std::pair(session, op.object);
  };
  for (const Operation& op : history.operations) {
    const bool change = op.deed == Deed::update || op.deed == Deed::invalidate;
    if (!change || op.outcome != Outcome::ok) continue;
    changes[key_of(op)].push_back({op.ended, op.instance, op.run, op.value, op.held});
  }
  for (const Operation& op : history.operations) {
    const bool read = op.deed == Deed::verify || op.deed == Deed::get;
    if (!read || op.outcome != Outcome::ok) continue;
    const auto it = changes.find(key_of(op));
    if (it == changes.end()) continue;
    const Acknowledged* newest = must_know(it->second, op, bound_of(history, op));
    if (newest != nullptr && op.value < newest->value) {
      report(out, "fresh", "older than {} (acknowledged {:.3f} s before by instance {}): {}",
             newest->value, std::chrono::duration<double>(op.begun - newest->at).count(),
             newest->instance, describe(op));
    }
  }
}

void check_monotone(const History& history, Violations& out) {
  // By instance, run and session: reads that began after another had ended see no less.
  std::map<std::tuple<int, int, std::int32_t>, const Operation*> newest;
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::verify || op.outcome != Outcome::ok) continue;
    const Operation*& last = newest[{op.instance, op.run, op.object}];
    if (last != nullptr && op.value < last->value && op.begun >= last->ended) {
      report(out, "monotone", "{} after {}", describe(op), describe(*last));
    }
    if (last == nullptr || op.value > last->value) last = &op;
  }
}

void check_isolated(const History& history, Violations& out) {
  for (const std::string& leak : history.leaks) report(out, "isolated", "{}", leak);
}

void check_settled(const History& history, Violations& out) {
  for (const StateFact& state : history.states) {
    if (!state.ready) {
      report(out, "settled", "instance {} does not serve", state.instance);
    } else if (!state.normal) {
      report(out, "settled", "instance {} does not use Redis again", state.instance);
    } else if (state.normal_after > kNormalWithin + state.rest) {
      report(out, "settled", "instance {} was back to normal only after {:.1f} s", state.instance,
             std::chrono::duration<double>(state.normal_after).count());
    }
  }
}

Violations check(const History& history, LimitTally& tally) {
  Violations out;
  check_durable(history, out);
  check_revoked(history, out);
  check_keys_durable(history, out);
  check_keys_revoked(history, out);
  check_fresh(history, out);
  check_monotone(history, out);
  check_grace(history, out);
  check_limits(history, out, tally);
  check_strict(history, out, tally);
  check_isolated(history, out);
  check_settled(history, out);
  return out;
}

}  // namespace redoubt::sim
