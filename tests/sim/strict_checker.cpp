// C8 for limits of class strict: exact whatever goes wrong, whoever's clock is wrong.
//
// When the record decided is not seen from outside: between the question and the answer. So what
// was asked and answered within an interval was admitted within it, and is no more than
// burst + d/T.
#include "tests/sim/checkers.hpp"
#include "tests/sim/knowledge.hpp"

#include <map>

namespace redoubt::sim {
namespace {

constexpr std::int64_t kTick = 1'000;  // Microseconds: the clock of the record has milliseconds.

std::int64_t in_us(Nanos time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

struct Excess {
  std::int64_t most = 0;  // Admitted in an interval beyond its length, in microseconds.
  const Operation* at = nullptr;
};

// `admitted` is in the order in which they ended.
Excess excess_of(const std::vector<const Operation*>& admitted, std::int64_t interval_us) {
  Excess excess;
  for (const Operation* first : admitted) {
    std::int64_t spent = 0;
    for (const Operation* op : admitted) {
      if (op->begun < first->begun) continue;
      spent += op->cost * interval_us;
      const std::int64_t beyond = spent - in_us(op->ended - first->begun);
      if (beyond > excess.most) excess = {beyond, op};
    }
  }
  return excess;
}

}  // namespace

void check_strict(const History& history, Violations& out, LimitTally& tally) {
  std::map<std::int32_t, std::vector<const Operation*>> admitted;
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::check || op.outcome != Outcome::ok) continue;
    const LimitFact& limit = history.limits[static_cast<std::size_t>(op.object)];
    if (limit.strict) admitted[op.object].push_back(&op);
  }
  for (const auto& [number, ops] : admitted) {
    const LimitFact& limit = history.limits[static_cast<std::size_t>(number)];
    const std::int64_t interval_us = limit.period_us / limit.limit;
    const std::int64_t bound = limit.burst * interval_us + kTick;
    const Excess excess = excess_of(ops, interval_us);
    tally.note(LimitRow::strict, static_cast<double>(excess.most) / static_cast<double>(bound));
    if (excess.most <= bound) continue;
    report(out, "limits", "{}: strict, and {} us beyond an interval; {} is the burst: {}",
           limit.name, excess.most, bound, describe(*excess.at));
  }
}

}  // namespace redoubt::sim
