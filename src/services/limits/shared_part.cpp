#include "services/limits/shared_part.hpp"

#include <algorithm>

namespace redoubt::limits {
namespace {

using local::Int128;
using local::LimitReading;
using local::LimitRule;
using local::Nanos;

constexpr Nanos kNanosPerUs = 1'000;

// The part of one in `instances`, as a rule whose costs are multiplied by `instances`: the memory
// then means the same as that of the whole limit.
LimitRule share_of(const LimitRule& rule, std::int64_t instances) {
  const auto round_up = [instances](std::int64_t n) {
    return (n + instances - 1) / instances * instances;
  };
  LimitRule share = rule;
  if (rule.algorithm == LimitAlgorithm::gcra) {
    share.burst = round_up(rule.burst);
  } else {
    share.limit = round_up(rule.limit);
  }
  return share;
}

local::LimitMemory memory_of(const LimitRule& rule, const shared::LimitMemory& shared) {
  const auto& n = shared.numbers;
  switch (rule.algorithm) {
    case LimitAlgorithm::gcra: {
      local::GcraMemory memory;
      memory.set_tat((static_cast<Int128>(n[0]) * rule.limit + n[1]) * kNanosPerUs);
      return memory;
    }
    case LimitAlgorithm::sliding_window:
      return local::SlidingWindowMemory{n[0] * kNanosPerUs, n[1], n[2]};
    case LimitAlgorithm::fixed_window:
    case LimitAlgorithm::calendar_window:
    case LimitAlgorithm::sliding_log:
      return local::WindowMemory{n[0] * kNanosPerUs, n[1]};
  }
  return local::WindowMemory{};
}

// Of a sliding log, which is not sent as a whole.
LimitReading read_log(const LimitRule& rule, const shared::LimitMemory& shared, Nanos now,
                      std::int64_t cost) {
  const auto [used, admitted_at, newest] = shared.numbers;
  LimitReading reading;
  reading.remaining = std::max<std::int64_t>(rule.limit - used, 0);
  reading.admits = cost <= reading.remaining;
  reading.full_at = used > 0 ? newest * kNanosPerUs + rule.period : now;
  if (reading.admits) {
    reading.admitted_at = now;
  } else {
    reading.admitted_at = admitted_at > 0 ? admitted_at * kNanosPerUs : local::kNever;
  }
  return reading;
}

}  // namespace

SharedPart::SharedPart(local::LimitEngine& engine, std::string_view tenant,
                       const NamedChecks& named, bool enforce_open)
    : engine_(engine), named_(named), enforce_open_(enforce_open) {
  for (const std::uint8_t i : named.soft) {
    const LimitCheck& check = named.checks[i];
    const LimitRule& rule = named.entries[i]->rule;
    charges_.push_back(
        {.rule = &rule, .key = engine.key(tenant, rule, check.subject), .cost = check.cost});
  }
}

SharedPart::Uses SharedPart::uses() {
  told_.clear();
  Uses uses;
  uses.reserve(charges_.size());
  for (std::size_t i = 0; i < charges_.size(); ++i) {
    const std::uint8_t at = named_.soft[i];
    const LimitCheck& check = named_.checks[at];
    const LimitRule& rule = *charges_[i].rule;
    const auto owed = engine_.owed(charges_[i]);
    told_.push_back(owed);
    uses.push_back({.policy = check.policy,
                    .identity = named_.entries[at]->identity,
                    .subject = check.subject,
                    .algorithm = rule.algorithm,
                    .limit = rule.limit,
                    .burst = rule.burst,
                    .period_us = rule.period / kNanosPerUs,
                    .cost = check.cost,
                    .debt_us = owed.us,
                    .debt_is_newer = owed.us > 0 && !owed.learned});
  }
  return uses;
}

void SharedPart::read(const shared::LimitsReply& reply, Verdicts& out) {
  out.resize(named_.checks.size());
  for (std::size_t i = 0; i < charges_.size(); ++i) {
    out[named_.soft[i]] = verdict_of(i, reply.limits[i], reply);
  }
}

local::LimitVerdict SharedPart::verdict_of(std::size_t i, const shared::LimitMemory& memory,
                                           const shared::LimitsReply& reply) {
  const LimitRule& rule = *charges_[i].rule;
  const std::int64_t cost = charges_[i].cost;
  const Nanos now = reply.now_us * kNanosPerUs;
  LimitReading reading;
  if (rule.algorithm == LimitAlgorithm::sliding_log) {
    reading = read_log(rule, memory, now, cost);
  } else {
    const local::LimitMemory own = memory_of(rule, memory);
    reading = local::read_limit(rule, own, now, cost);
    if (const auto* gcra = std::get_if<local::GcraMemory>(&own)) {
      engine_.learn(charges_[i], gcra->tat() - static_cast<Int128>(now) * rule.limit,
                    is_known_to_redis(i, reply.charged));
    }
  }
  if (reply.charged) return local::charged_verdict_of(reading, now);
  reading.admits = memory.admits;
  return local::verdict_of(reading, now);
}

// What a share charged is in the memory of Redis once an answer stored it. A refusal or a look stores
// nothing, and what was charged while the answer was on its way was not told.
bool SharedPart::is_known_to_redis(std::size_t i, bool charged) const {
  const auto owed = engine_.owed(charges_[i]);
  if (owed.us == 0 || owed.learned) return true;
  return charged && owed.us <= told_[i].us && !told_[i].learned;
}

bool SharedPart::take(std::int64_t instances, Verdicts& out) {
  Share share;
  share_of(instances, share);
  const bool admitted = engine_.take(share.charges, share.verdicts);
  spread(share, instances, out);
  return admitted;
}

bool SharedPart::peek(std::int64_t instances, Verdicts& out) {
  Share share;
  share_of(instances, share);
  const bool admitted = engine_.peek(share.charges, share.verdicts);
  spread(share, instances, out);
  return admitted;
}

void SharedPart::refund(std::int64_t instances, Verdicts& out) {
  Share share;
  share_of(instances, share);
  engine_.refund(share.charges, share.verdicts);
  spread(share, instances, out);
}

bool SharedPart::is_open(std::uint8_t check) const {
  return !enforce_open_ && named_.entries[check]->policy->without_redis == WithoutRedis::open;
}

void SharedPart::share_of(std::int64_t instances, Share& out) const {
  for (std::size_t i = 0; i < charges_.size(); ++i) {
    const std::uint8_t check = named_.soft[i];
    if (is_open(check)) continue;
    const local::LimitCharge& charge = charges_[i];
    out.rules.push_back(limits::share_of(*charge.rule, instances));
    out.charges.push_back(
        {.rule = &out.rules.back(), .key = charge.key, .cost = charge.cost * instances});
    out.checks.push_back(check);
  }
  out.verdicts.resize(out.charges.size());
}

void SharedPart::spread(const Share& share, std::int64_t instances, Verdicts& out) const {
  out.resize(named_.checks.size());
  for (const std::uint8_t check : named_.soft) {
    local::LimitVerdict open;
    open.remaining = capacity(*named_.entries[check]->policy);
    out[check] = open;
  }
  for (std::size_t i = 0; i < share.charges.size(); ++i) {
    local::LimitVerdict verdict = share.verdicts[i];
    verdict.remaining /= instances;
    out[share.checks[i]] = verdict;
  }
}

}  // namespace redoubt::limits
