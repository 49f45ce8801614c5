// Answers of copies while the record is away: only on an instance that is cut off from it, for as
// long as the grace is, and told.
#include "tests/sim/checkers.hpp"
#include "tests/sim/knowledge.hpp"

#include <map>

namespace redoubt::sim {
namespace {

// However slow the record is: by then an instance that has it in reach has looked at its journal
// again, also when its last look went into a cut and was waited for.
constexpr Nanos kSurelyLooked = std::chrono::seconds(3);

// When one instance had the record in reach.
class ReachOf {
 public:
  void add(const Reach& reach) { changes_.push_back(&reach); }

  bool always(Nanos from, Nanos until) const { return !any(from, until, false); }
  bool ever(Nanos from, Nanos until) const { return any(from, until, true); }

  // Before `at`; 0: never.
  Nanos last(Nanos at) const {
    Nanos last{0};
    bool in_reach = false;
    for (const Reach* change : changes_) {
      if (change->at > at) break;
      if (in_reach) last = change->at;
      in_reach = change->record;
    }
    return in_reach ? at : last;
  }

 private:
  bool any(Nanos from, Nanos until, bool record) const {
    bool before = false;  // At `from`.
    for (const Reach* change : changes_) {
      if (change->at > until) break;
      if (change->at > from && change->record == record) return true;
      if (change->at <= from) before = change->record;
    }
    return before == record;
  }

  std::vector<const Reach*> changes_;
};

bool may_be_by_copy(const Operation& op) {
  return (op.deed == Deed::verify || op.deed == Deed::use_key) && op.outcome == Outcome::ok;
}

}  // namespace

void check_grace(const History& history, Violations& out) {
  std::map<int, ReachOf> reaches;
  for (const Reach& reach : history.reach) reaches[reach.instance].add(reach);
  for (const Operation& op : history.operations) {
    if (!may_be_by_copy(op)) continue;
    const ReachOf& reach = reaches[op.instance];
    if (op.by_grace && reach.always(op.begun - kSurelyLooked, op.ended)) {
      report(out, "grace", "the record was in reach, and a copy answered by grace: {}",
             describe(op));
    }
    if (!reach.ever(op.begun - bound_of(history, op), op.ended)) {
      report(out, "grace", "accepted {:.3f} s after the record was in reach last: {}",
             std::chrono::duration<double>(op.ended - reach.last(op.begun)).count(), describe(op));
    }
  }
}

}  // namespace redoubt::sim
