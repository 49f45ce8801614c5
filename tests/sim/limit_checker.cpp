// C8: the table of rate limits, each row against what was admitted.
//
// Everything is counted in microseconds of debt: an admission costs price = cost x T, and debt is
// worked off at one microsecond a microsecond. "At most burst + d/T in any interval d" is then: over
// no interval does the sum of prices exceed its length by more than tau = burst x T. Rising() keeps
// the most that it exceeded it by, in one pass over the admissions.
#include "tests/sim/checkers.hpp"

#include "redoubt/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace redoubt::sim {
namespace {

constexpr std::int64_t kRounding = 2;  // Microseconds, of one comparison.
constexpr Nanos kMembershipSettles = std::chrono::seconds(8);
constexpr Nanos kLeftWithin = std::chrono::seconds(3);  // What was sent before may be on its way.

std::int64_t in_us(Nanos time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

// The most that was spent over any interval beyond its length and what was allowed on top.
class Rising {
 public:
  void spend(std::int64_t at_us, std::int64_t price_us, std::int64_t allowed_us = 0) {
    while (!passing_.empty() && passing_.begin()->first < at_us) {
      withheld_ -= passing_.begin()->second;
      passing_.erase(passing_.begin());
    }
    allowed_ += allowed_us;
    const std::int64_t before = spent_ - at_us - allowed_;
    lowest_ = std::min(lowest_, before + withheld_);
    spent_ += price_us;
    most_ = std::max(most_, before + price_us - lowest_);
  }
  // To every interval that has a part of the time from now on until then.
  void allow_until(std::int64_t until_us, std::int64_t allowed_us) {
    allowed_ += allowed_us;
    withheld_ += allowed_us;
    passing_.emplace(until_us, allowed_us);
  }
  std::int64_t most() const { return most_; }

 private:
  std::int64_t spent_ = 0;
  std::int64_t allowed_ = 0;
  std::int64_t withheld_ = 0;  // Of that, what an interval that begins now has as well.
  std::multimap<std::int64_t, std::int64_t> passing_;
  std::int64_t lowest_ = INT64_MAX;
  std::int64_t most_ = 0;
};

struct Rule {
  std::int64_t interval_us;  // T
  std::int64_t burst;
  std::int64_t tau_us() const { return interval_us * burst; }
  std::int64_t share_burst(std::int64_t instances) const {
    return (burst + instances - 1) / instances * instances;
  }
};

using Site = std::pair<int, int>;  // An instance and its run.

struct OfLimit {
  Rule rule{1, 1};
  std::string name;
  bool strict = false;  // In the record: see strict_checker.cpp.
  std::vector<const Charge*> charges;    // All that a Redis was asked for, in order.
  std::vector<const Operation*> checks;  // In the order in which they ended.
};

std::vector<OfLimit> by_limit(const History& history) {
  std::vector<OfLimit> limits(history.limits.size());
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const LimitFact& fact = history.limits[i];
    limits[i].rule = {fact.period_us / fact.limit, fact.burst};
    limits[i].name = fact.name;
    limits[i].strict = fact.strict;
  }
  for (const Charge& charge : history.charges) {
    limits[static_cast<std::size_t>(charge.limit)].charges.push_back(&charge);
  }
  for (const Operation& op : history.operations) {
    if (op.deed != Deed::check) continue;
    limits[static_cast<std::size_t>(op.object)].checks.push_back(&op);
  }
  return limits;
}

class LimitChecker {
 public:
  LimitChecker(const History& history, const OfLimit& limit, Violations& out, LimitTally& tally)
      : history_(history), limit_(limit), out_(out), tally_(tally) {}

  void run() {
    once();
    each_memory();
    all_memories();
    shares();
    carried_over();
    together();
    degraded_on_all();
  }

 private:
  template <class... A>
  void report(fmt::format_string<A...> text, A&&... args) {
    if (out_.size() >= 20) return;
    out_.push_back({"limits", limit_.name + ": " + fmt::format(text, std::forward<A>(args)...)});
  }
  double fullness(std::int64_t spent, std::int64_t bound) const {
    return static_cast<double>(spent) / static_cast<double>(bound);
  }

  // A check reaches Redis once.
  void once() {
    if (limit_.charges.size() <= limit_.checks.size()) return;
    report("{} checks were executed {} times by Redis", limit_.checks.size(),
           limit_.charges.size());
  }

  // By the server's own clock, and by what really passed where the clock was put back: it passes some
  // of its time twice, and what is owed from the first time may be capped.
  void each_memory() {
    struct Memory {
      Rising rising;
      std::int64_t clock_us = INT64_MIN;
      Nanos at{0};
    };
    std::map<std::pair<std::uint64_t, std::int64_t>, Memory> memories;
    for (const Charge* charge : limit_.charges) {
      Memory& memory = memories[{charge->memory, charge->generation}];
      std::int64_t back = 0;
      if (memory.clock_us != INT64_MIN) {
        const std::int64_t passed = in_us(charge->at) - in_us(memory.at);
        back = std::max<std::int64_t>(passed - (charge->clock_us - memory.clock_us), 0);
      }
      memory.clock_us = charge->clock_us;
      memory.at = charge->at;
      // Whoever is refused has what is owed capped, too.
      memory.rising.spend(charge->clock_us, charge->charged ? charge->price_us : 0, back);
    }
    for (const auto& [number, memory] : memories) {
      const Rising& rising = memory.rising;
      if (rising.most() > limit_.rule.tau_us() + kRounding) {
        report("one memory of Redis admitted {} us beyond an interval; {} is the burst",
               rising.most(), limit_.rule.tau_us());
      }
    }
  }

  using MemoryKey = std::pair<std::uint64_t, std::int64_t>;  // A memory and a generation in it.
  struct Use {
    Nanos first{0};
    Nanos last{0};
  };
  using Uses = std::map<MemoryKey, Use>;

  // Whether an answer told its instance what others had charged: a memory in which nothing was
  // charged yet gives back what the instance said itself. Where several were on their way at a
  // time, all have to.
  bool taught(const Operation& op, const Uses& uses) const {
    const auto& all = limit_.charges;
    for (auto it = std::ranges::lower_bound(all, op.begun, {}, &Charge::at);
         it != all.end() && (*it)->at <= op.ended; ++it) {
      const Charge& asked = **it;
      if (asked.instance != op.instance || asked.run != op.run) continue;
      const auto use = uses.find({asked.memory, asked.generation});
      if (use == uses.end() || asked.at < use->second.first) return false;
    }
    return true;
  }

  // What the first one who is charged in a new memory did not know of: what was charged since it
  // began the last check whose answer told it.
  std::int64_t not_known(const Charge& first, const Uses& uses) const {
    Nanos known{0};
    bool any = false;
    for (const Operation* op : limit_.checks) {
      if (op->ended > first.at) break;
      if (op->instance != first.instance || op->run != first.run) continue;
      if (op->degraded || op->outcome == Outcome::unknown || op->unavailable) continue;
      if (!taught(*op, uses)) continue;
      known = op->begun;
      any = true;
    }
    std::int64_t sum = 0;
    for (const Charge* charge : limit_.charges) {
      if (charge->at >= first.at) break;
      if (charge->charged && (!any || charge->at >= known)) sum += charge->price_us;
    }
    return std::min(sum, limit_.rule.tau_us());
  }

  // What clocks that went ahead took off what was owed; `next`: the first move not counted yet.
  std::int64_t jumped_until(Nanos at, std::size_t& next) const {
    std::int64_t sum = 0;
    while (next < history_.clock_moves.size() && history_.clock_moves[next].at <= at) {
      sum += std::clamp<std::int64_t>(history_.clock_moves[next++].by_us, 0, limit_.rule.tau_us());
    }
    return sum;
  }

  // A memory that was put back has its keys, and what is in them counts for as long as nobody knows
  // that they are old: what was charged since is lost, whoever knew of it.
  std::int64_t put_back(const Charge& first, const std::set<MemoryKey>& begun) const {
    const auto found = std::ranges::find(history_.put_back, first.memory, &PutBack::memory);
    const bool has_keys = std::ranges::any_of(begun, [&](const MemoryKey& other) {
      return other.first != first.memory && other.second == first.generation;
    });
    if (found == history_.put_back.end() || !has_keys) return 0;
    std::int64_t sum = 0;
    for (const Charge* charge : limit_.charges) {
      if (charge->at >= first.at) break;
      if (charge->charged && charge->at >= found->taken_at) sum += charge->price_us;
    }
    return std::min(sum, limit_.rule.tau_us());
  }

  // Whatever Redis lost in between. Two memories in use at a time (a fork, instances that have not
  // heard of a generation yet) are two that work off debt.
  // A memory is in use from the first check that it charged to the last one. A check that is
  // refused leaves nothing in a memory that has nothing: what its caller knew of is not in there
  // then, and the next one who asks is judged by what it knows itself. So the loss is what was not
  // known to the first one who was charged: from then on the memory knows of the rest, whoever
  // asks. Each flush and each generation is such a loss of its own.
  void all_memories() {
    Uses uses;
    for (const Charge* charge : limit_.charges) {
      if (!charge->charged) continue;
      auto [it, fresh] = uses.try_emplace({charge->memory, charge->generation},
                                          Use{charge->at, charge->at});
      it->second.last = charge->at;
    }
    Rising rising;
    std::set<MemoryKey> begun;
    std::int64_t overlap_before = 0;
    std::size_t moves = 0;
    for (const Charge* charge : limit_.charges) {
      if (!charge->charged) continue;
      std::int64_t allowed = 0;
      const MemoryKey memory{charge->memory, charge->generation};
      if (begun.insert(memory).second && begun.size() > 1) {
        // Beside another one that goes on, it is a second burst for as long as both are in use.
        Nanos others{0};
        for (const MemoryKey& other : begun) {
          if (other != memory) others = std::max(others, uses.at(other).last);
        }
        if (others > charge->at) {
          rising.allow_until(in_us(std::min(others, uses.at(memory).last)), limit_.rule.tau_us());
        } else {
          allowed += std::max(not_known(*charge, uses), put_back(*charge, begun));
        }
      }
      allowed += jumped_until(charge->at, moves);
      std::int64_t overlap = 0;
      std::vector<std::pair<std::int64_t, std::int64_t>> active;
      for (const auto& [other, use] : uses) {
        if (use.first < charge->at) {
          active.emplace_back(in_us(use.first), in_us(std::min(use.last, charge->at)));
        }
      }
      overlap = sum_of(active) - union_of(active);
      allowed += overlap - overlap_before;
      overlap_before = overlap;
      rising.spend(in_us(charge->at), charge->price_us, allowed);
    }
    if (rising.most() > limit_.rule.tau_us() + kRounding) {
      report("Redis admitted {} us beyond an interval and what it lost meanwhile; {} is the burst "
             "({} memories)",
             rising.most(), limit_.rule.tau_us(), uses.size());
    }
    if (uses.empty()) return;
    const double full = fullness(rising.most(), limit_.rule.tau_us());
    if (uses.size() > 1) tally_.note(LimitRow::loss, full);
    if (!history_.clock_moves.empty()) tally_.note(LimitRow::clock, full);
  }

  static std::int64_t sum_of(const std::vector<std::pair<std::int64_t, std::int64_t>>& spans) {
    std::int64_t sum = 0;
    for (const auto& [from, until] : spans) sum += until - from;
    return sum;
  }
  static std::int64_t union_of(std::vector<std::pair<std::int64_t, std::int64_t>> spans) {
    std::ranges::sort(spans);
    std::int64_t sum = 0;
    std::int64_t covered = INT64_MIN;
    for (const auto& [from, until] : spans) {
      if (until <= covered) continue;
      sum += until - std::max(from, covered);
      covered = until;
    }
    return sum;
  }

  struct Share {
    Rising rising;
    std::int64_t bound = 0;
    std::size_t moves = 0;
    std::int64_t owed_us = 0;  // At `spent_at`.
    Nanos spent_at{0};
    std::int64_t forgotten_us = 0;     // Since.
    std::optional<MemoryKey> told_to;  // The memory that holds what was owed at `spent_at`.
  };

  // Each instance by itself: ceil(burst / N) and d / (N T).
  void shares() {
    const auto begun = first_charges();
    std::map<Site, Share> sites;
    for (const Operation* op : limit_.checks) {
      if (op->outcome == Outcome::unknown || op->unavailable) continue;
      Share& share = sites[{op->instance, op->run}];
      if (!op->degraded) answered(*op, begun, share);
      if (!op->degraded || op->outcome != Outcome::ok) continue;
      // What it had told Redis is less there once the clock has jumped, and it goes on from that.
      const std::int64_t jumped = jumped_until(op->ended, share.moves);
      share.bound = std::max(share.bound,
                             limit_.rule.share_burst(op->instances) * limit_.rule.interval_us);
      const std::int64_t price = op->cost * op->instances * limit_.rule.interval_us;
      share.rising.spend(in_us(op->ended), price, jumped + std::exchange(share.forgotten_us, 0));
      share.owed_us = owed_at(share, op->ended) + price;
      share.spent_at = op->ended;
      share.told_to.reset();
    }
    for (const auto& [site, share] : sites) {
      if (share.rising.most() > share.bound + kRounding) {
        report("instance {} admitted {} us beyond an interval by its share; {} is its burst",
               site.first, share.rising.most(), share.bound);
      }
    }
  }

  static std::int64_t owed_at(const Share& share, Nanos at) {
    return std::max<std::int64_t>(share.owed_us - in_us(at - share.spent_at), 0);
  }

  std::map<MemoryKey, const Charge*> first_charges() const {
    std::map<MemoryKey, const Charge*> first;
    for (const Charge* charge : limit_.charges) {
      if (charge->charged) first.try_emplace({charge->memory, charge->generation}, charge);
    }
    return first;
  }

  // What a share charged is told to Redis with the next check. When that memory is lost, it counts in
  // the next one only if nobody else was charged there before (the row of data loss): otherwise its
  // instance is told less, and goes on from that.
  void answered(const Operation& op, const std::map<MemoryKey, const Charge*>& begun,
                Share& share) const {
    const auto& all = limit_.charges;
    for (auto it = std::ranges::lower_bound(all, op.begun, {}, &Charge::at);
         it != all.end() && (*it)->at <= op.ended; ++it) {
      const Charge& asked = **it;
      if (asked.instance != op.instance || asked.run != op.run) continue;
      const MemoryKey memory{asked.memory, asked.generation};
      const bool lost = share.told_to && *share.told_to != memory;
      if (lost && has_keys_of_others(asked, begun)) {
        share.forgotten_us += std::min(owed_at(share, asked.at), limit_.rule.tau_us());
        share.owed_us = 0;
      }
      if (asked.charged && op.begun >= share.spent_at) share.told_to = memory;
    }
  }

  bool has_keys_of_others(const Charge& asked,
                          const std::map<MemoryKey, const Charge*>& begun) const {
    const auto first = begun.find({asked.memory, asked.generation});
    if (first != begun.end() && first->second->at < asked.at) {
      return first->second->instance != asked.instance || first->second->run != asked.run;
    }
    return std::ranges::find(history_.put_back, asked.memory, &PutBack::memory) !=
           history_.put_back.end();
  }

  // From Redis to shares: on from what was left, not from full.
  void carried_over() {
    struct Left {
      bool known = false;
      std::int64_t debt_us = 0;
      std::int64_t at_us = 0;
      std::int64_t spent_us = 0;
      std::int64_t burst_us = 0;
    };
    std::map<Site, Left> sites;
    for (const Operation* op : limit_.checks) {
      if (op->outcome == Outcome::unknown || op->unavailable) continue;
      Left& left = sites[{op->instance, op->run}];
      const Rule& rule = limit_.rule;
      if (!op->degraded) {
        // `remaining` is rounded down.
        const std::int64_t owed = std::max<std::int64_t>(rule.burst - op->remaining - 1, 0);
        if (left.known && in_us(op->begun) < left.at_us) continue;
        left = {true, owed * rule.interval_us, in_us(op->begun), 0, 0};
        continue;
      }
      if (!left.known || op->outcome != Outcome::ok) continue;
      left.spent_us += op->cost * op->instances * rule.interval_us;
      left.burst_us =
          std::max(left.burst_us, rule.share_burst(op->instances) * rule.interval_us);
      const std::int64_t passed = in_us(op->ended) - left.at_us;
      const std::int64_t owed = std::max<std::int64_t>(left.debt_us - passed, 0);
      const std::int64_t allowed = left.burst_us - owed + passed;
      tally_.note(LimitRow::transition, fullness(left.spent_us, std::max<std::int64_t>(allowed, 1)));
      if (left.spent_us > allowed + kRounding) {
        report("instance {} admitted {} us by its share and had {} left from Redis: {}",
               op->instance, left.spent_us, allowed, describe(*op));
      }
    }
  }

  // Between two charges of Redis nobody but shares admitted: burst + N + d/T.
  void degraded_on_all() {
    Sharing sharing;
    auto charge = limit_.charges.begin();
    for (const Operation* op : limit_.checks) {
      if (!op->degraded || op->outcome != Outcome::ok) continue;
      bool charged = false;
      for (; charge != limit_.charges.end() && (*charge)->at <= op->ended; ++charge) {
        charged = charged || (*charge)->charged;
      }
      if (charged) judge(std::exchange(sharing, {}));
      sharing.sites.insert({op->instance, op->run});
      sharing.believed.insert(op->instances);
      sharing.rising.spend(in_us(op->ended), op->cost * limit_.rule.interval_us);
    }
    judge(sharing);
  }

  struct Sharing {
    std::set<Site> sites;
    std::set<std::int64_t> believed;
    Rising rising;
  };
  void judge(const Sharing& sharing) {
    if (sharing.believed.size() != 1) return;  // None, or judged one by one.
    const std::int64_t all = *sharing.believed.begin();
    if (static_cast<std::int64_t>(sharing.sites.size()) > all) return;  // A run ended in between.
    const std::int64_t bound = (limit_.rule.burst + all) * limit_.rule.interval_us;
    tally_.note(LimitRow::degraded, fullness(sharing.rising.most(), bound));
    if (sharing.rising.most() <= bound + kRounding) return;
    report("{} ({} of {} instances): {} us beyond an interval; {} is the bound",
           kLimitRows[static_cast<std::size_t>(LimitRow::degraded)], sharing.sites.size(), all,
           sharing.rising.most(), bound);
  }

  // The rows of the table that are about all instances together, where one of them was in force all
  // the time.
  void together() {
    std::set<Site> sharing;
    std::set<std::int64_t> believed;
    std::set<std::pair<std::uint64_t, std::int64_t>> memories;
    std::vector<std::pair<std::int64_t, std::int64_t>> spent;
    for (const Operation* op : limit_.checks) {
      if (!op->degraded || op->outcome != Outcome::ok) continue;
      sharing.insert({op->instance, op->run});
      believed.insert(op->instances);
      spent.emplace_back(in_us(op->ended), op->cost);
    }
    for (const Charge* charge : limit_.charges) {
      memories.insert({charge->memory, charge->generation});
      if (!charge->charged) continue;
      spent.emplace_back(in_us(charge->at), charge->price_us / limit_.rule.interval_us);
    }
    if (spent.empty() || !history_.clock_moves.empty() || memories.size() > 1) return;
    if (believed.size() > 1) return;
    std::ranges::sort(spent);
    const std::int64_t all = believed.empty() ? 1 : *believed.begin();
    const auto some = static_cast<std::int64_t>(sharing.size());
    if (some > all) return;  // A run ended and another began: judged one by one.
    // (1 + k/N)(burst + d/T) + k.
    const std::int64_t rate = all + some;  // In 1/N.
    const std::int64_t burst = limit_.rule.burst * (all + some) + some * all;
    Rising rising;
    for (const auto& [at, cost] : spent) {
      rising.spend(at * rate, cost * all * limit_.rule.interval_us);
    }
    const std::int64_t bound = burst * limit_.rule.interval_us;
    const LimitRow row = sharing.empty() ? LimitRow::normal : LimitRow::cut_off;
    tally_.note(row, fullness(rising.most(), bound));
    if (rising.most() > bound + kRounding * rate * static_cast<std::int64_t>(spent.size())) {
      report("{} ({} of {} instances): {} beyond an interval; {} is the bound",
             kLimitRows[static_cast<std::size_t>(row)], some, all, rising.most(), bound);
    }
  }

  const History& history_;
  const OfLimit& limit_;
  Violations& out_;
  LimitTally& tally_;
};

// Who sees the record knows who else does.
void check_membership(const History& history, Violations& out) {
  std::map<int, Nanos> unsteady;  // When it last was.
  std::map<Nanos, std::vector<const Sample*>> rounds;
  for (const Sample& sample : history.samples) rounds[sample.at].push_back(&sample);
  for (const auto& [at, samples] : rounds) {
    for (const Sample* sample : samples) {
      if (!sample->steady) unsteady[sample->instance] = at;
    }
    const auto long_steady = [&](const Sample* sample) {
      return at - unsteady[sample->instance] > kMembershipSettles;
    };
    const auto steady = std::ranges::count_if(samples, long_steady);
    for (const Sample* sample : samples) {
      if (!long_steady(sample) || sample->believed >= steady || out.size() >= 20) continue;
      out.push_back({"limits", fmt::format("instance {} believes in {} instances at {:.1f} s; {} "
                                           "have been running for long",
                                           sample->instance, sample->believed,
                                           std::chrono::duration<double>(at).count(), steady)});
    }
  }
}

// A generation is of one server: whoever learns of it leaves the one before.
void check_one_server(const History& history, Violations& out) {
  struct Span {
    Nanos first{0};
    Nanos last{0};
  };
  std::map<std::int64_t, std::map<int, Span>> generations;
  for (const Charge& charge : history.charges) {
    auto [it, fresh] =
        generations[charge.generation].try_emplace(charge.server, Span{charge.at, charge.at});
    it->second.last = charge.at;
  }
  for (const auto& [generation, spans] : generations) {
    for (auto one = spans.begin(); one != spans.end(); ++one) {
      for (auto other = std::next(one); other != spans.end(); ++other) {
        const Nanos both = std::min(one->second.last, other->second.last) -
                           std::max(one->second.first, other->second.first);
        if (both <= kLeftWithin || out.size() >= 20) continue;
        out.push_back({"limits", fmt::format("two servers were charged under generation {} for "
                                             "{:.3f} s",
                                             generation,
                                             std::chrono::duration<double>(both).count())});
      }
    }
  }
}

}  // namespace

void LimitTally::note(LimitRow row, double full) {
  const auto i = static_cast<std::size_t>(row);
  ++in_force[i];
  fullest[i] = std::max(fullest[i], full);
}

void LimitTally::add(const LimitTally& other) {
  for (std::size_t i = 0; i < in_force.size(); ++i) {
    in_force[i] += other.in_force[i];
    fullest[i] = std::max(fullest[i], other.fullest[i]);
  }
}

void check_limits(const History& history, Violations& out, LimitTally& tally) {
  for (const OfLimit& limit : by_limit(history)) {
    if (!limit.strict) LimitChecker(history, limit, out, tally).run();
  }
  check_membership(history, out);
  check_one_server(history, out);
}

}  // namespace redoubt::sim
