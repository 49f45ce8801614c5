#include "services/limits/strict_part.hpp"

#include "record/reach_keys.hpp"
#include "services/limits/strict_memory.hpp"

#include <optional>
#include <utility>

namespace redoubt::limits {

using local::kNanosPerMs;
using local::LimitReading;

StrictPart::StrictPart(std::string_view tenant, const NamedChecks& named)
    : tenant_(tenant), checks_(named.checks.size()) {
  for (const std::uint8_t i : named.strict) {
    const Policies::Entry& entry = *named.entries[i];
    limits_.push_back({.position = i,
                       .rule = &entry.rule,
                       .id = {tenant, entry.policy->name, named.checks[i].subject},
                       .cost = named.checks[i].cost,
                       .memory = local::fresh_memory(entry.rule),
                       .changed = false});
  }
}

record::Reach StrictPart::reach() const {
  record::Reach reach;
  reach.tenant = tenant_;
  for (const Limit& limit : limits_) {
    reach.keys.push_back(record::reach::limit(limit.id.tenant, limit.id.policy, limit.id.subject));
  }
  return reach;
}

Task<void> StrictPart::load(sql::Transaction& tx, const Clock& clock) {
  // Read here, where units of the same limit run one after another, and not by the callers, who
  // overtake each other.
  const WallTime own = clock.wall();
  now_ = 0;
  for (Limit& limit : limits_) {
    RD_CO_TRY(found, co_await record::find_limit(tx, limit.id, own));
    if (now_ == 0) now_ = found.now.ms * kNanosPerMs;
    limit.memory = local::fresh_memory(*limit.rule);
    if (found.memory) {
      RD_CO_TRY(memory, decode_memory(*limit.rule, *found.memory));
      limit.memory = std::move(memory);
    }
    limit.changed = local::settle(*limit.rule, limit.memory, now_);
  }
  co_return Result<void>{};
}

bool StrictPart::admits(Verdicts& out) const {
  bool all = true;
  out.resize(checks_);
  for (const Limit& limit : limits_) {
    out[limit.position] = local::verdict_of(read(limit), now_);
    all = all && out[limit.position].allowed;
  }
  return all;
}

void StrictPart::charge(Verdicts& out) {
  out.resize(checks_);
  for (Limit& limit : limits_) {
    local::charge(*limit.rule, limit.memory, now_, limit.cost);
    limit.changed = true;
    out[limit.position] = local::charged_verdict_of(read(limit), now_);
  }
}

void StrictPart::refund(Verdicts& out) {
  out.resize(checks_);
  for (Limit& limit : limits_) {
    local::refund(*limit.rule, limit.memory, now_, limit.cost);
    limit.changed = true;
    out[limit.position] = local::verdict_of(read(limit), now_);
  }
}

Task<void> StrictPart::store(sql::Transaction& tx) {
  for (const Limit& limit : limits_) {
    if (!limit.changed) continue;
    const local::Nanos full_at = read(limit).full_at;
    if (full_at <= now_) {
      RD_CO_CHECK(co_await record::erase_limit(tx, limit.id));
      continue;
    }
    const Bytes memory = encode_memory(*limit.rule, limit.memory);
    const WallTime full_at_ms{(full_at + kNanosPerMs - 1) / kNanosPerMs};
    RD_CO_CHECK(co_await record::put_limit(tx, limit.id, memory, full_at_ms));
  }
  co_return Result<void>{};
}

LimitReading StrictPart::read(const Limit& limit) const {
  return local::read_limit(*limit.rule, limit.memory, now_, limit.cost);
}

Task<void> look(sql::Transaction& tx, const Clock& clock, StrictPart& strict, Verdicts& verdicts) {
  RD_CO_CHECK(co_await strict.load(tx, clock));
  strict.admits(verdicts);
  co_return Result<void>{};
}

Task<void> give_back(record::Unit& unit, const Clock& clock, StrictPart& strict,
                     Verdicts& verdicts) {
  RD_CO_CHECK(co_await strict.load(unit, clock));
  strict.refund(verdicts);
  RD_CO_CHECK(co_await strict.store(unit));
  co_return Result<void>{};
}

}  // namespace redoubt::limits
