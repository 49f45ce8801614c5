#include "services/limits/named_checks.hpp"

#include <fmt/format.h>

namespace redoubt::limits {
namespace {

Unexpected refuse(std::size_t index, std::string_view field, std::string detail,
                  std::string code = "range") {
  return fail(invalid_argument(fmt::format("body.limits.{}.{}", index, field), std::move(detail),
                               std::move(code)));
}

Unexpected unknown_policy(const Policies& policies, std::size_t index, std::string_view name) {
  std::string detail = fmt::format("no policy is named '{}'", name.substr(0, 64));
  const std::string_view near = policies.nearest_name(name);
  if (!near.empty()) detail += fmt::format("; did you mean '{}'?", near);
  return refuse(index, "policy", std::move(detail), "unknown");
}

bool named_before(const NamedChecks& named, std::size_t index) {
  for (std::size_t i = 0; i < index; ++i) {
    if (named.entries[i] == named.entries[index] &&
        named.checks[i].subject == named.checks[index].subject) {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<void> name_checks(const Policies& policies, std::span<const LimitCheck> checks,
                         NamedChecks& out) {
  if (checks.size() > kChecksMax) {
    return fail(
        invalid_argument("body.limits", fmt::format("must be at most {}", kChecksMax), "length"));
  }
  out.checks = checks;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const LimitCheck& check = checks[i];
    const Policies::Entry* entry = policies.find(check.policy);
    if (entry == nullptr) return unknown_policy(policies, i, check.policy);
    if (check.subject.empty() || check.subject.size() > kSubjectMax) {
      return refuse(i, "subject", fmt::format("must be 1 to {} bytes", kSubjectMax), "length");
    }
    if (check.cost < 1 || check.cost > kCostMax) {
      return refuse(i, "cost", fmt::format("must be 1 to {}", kCostMax));
    }
    out.entries.push_back(entry);
    if (named_before(out, i)) {
      return refuse(i, "subject", "is named twice for this policy; add the costs up", "format");
    }
    const bool strict = entry->policy->limit_class == LimitClass::strict;
    (strict ? out.strict : out.soft).push_back(static_cast<std::uint8_t>(i));
  }
  return {};
}

LimitDecision decision_of(const NamedChecks& named, const Verdicts& verdicts) {
  LimitDecision decision;
  decision.states.reserve(named.checks.size());
  for (std::size_t i = 0; i < named.checks.size(); ++i) {
    const local::LimitVerdict& verdict = verdicts[i];
    decision.allowed = decision.allowed && verdict.allowed;
    decision.states.push_back({.policy = named.entries[i]->policy,
                               .allowed = verdict.allowed,
                               .remaining = verdict.remaining,
                               .reset_after = verdict.reset_after,
                               .retry_after = verdict.retry_after});
  }
  return decision;
}

void count_verdicts(const NamedChecks& named, const Verdicts& verdicts) {
  for (std::size_t i = 0; i < named.checks.size(); ++i) {
    (verdicts[i].allowed ? named.entries[i]->allowed : named.entries[i]->denied)->add();
  }
}

void count_failures(const NamedChecks& named) {
  for (const Policies::Entry* entry : named.entries) entry->failed->add();
}

SoftPart::SoftPart(local::LimitEngine& engine, std::string_view tenant, const NamedChecks& named)
    : engine_(engine), named_(named) {
  for (const std::uint8_t i : named.soft) {
    const LimitCheck& check = named.checks[i];
    const local::LimitRule& rule = named.entries[i]->rule;
    charges_.push_back(
        {.rule = &rule, .key = engine.key(tenant, rule, check.subject), .cost = check.cost});
  }
}

bool SoftPart::take(Verdicts& out) {
  const bool admitted = engine_.take(charges_, target(out));
  spread(out);
  return admitted;
}

bool SoftPart::peek(Verdicts& out) {
  const bool admitted = engine_.peek(charges_, target(out));
  spread(out);
  return admitted;
}

void SoftPart::refund(Verdicts& out) {
  engine_.refund(charges_, target(out));
  spread(out);
}

std::span<local::LimitVerdict> SoftPart::target(Verdicts& out) {
  out.resize(named_.checks.size());
  if (named_.strict.empty()) return out;
  verdicts_.resize(charges_.size());
  return verdicts_;
}

void SoftPart::spread(Verdicts& out) const {
  if (named_.strict.empty()) return;
  for (std::size_t i = 0; i < named_.soft.size(); ++i) out[named_.soft[i]] = verdicts_[i];
}

}  // namespace redoubt::limits
