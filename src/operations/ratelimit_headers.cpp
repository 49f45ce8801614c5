#include "operations/ratelimit_headers.hpp"

#include "base/append.hpp"
#include "base/assert.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::operations {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

std::int64_t ceil_seconds(std::int64_t ms) {
  return ms / 1000 + (ms % 1000 > 0 ? 1 : 0);
}

bool never(const LimitState& state) {
  return state.retry_after == Duration::max();
}

// A month has no fixed length; the header wants one. The longest does not promise too much.
std::int64_t calendar_ms(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::minute:
      return 60'000;
    case CalendarUnit::hour:
      return 3'600'000;
    case CalendarUnit::day:
      return kDayMs;
    case CalendarUnit::month:
      return 31 * kDayMs;
  }
  RD_ASSERT(false, "a calendar unit");
}

std::int64_t window_seconds(const LimitPolicy& policy) {
  switch (policy.algorithm) {
    case LimitAlgorithm::gcra: {
      std::int64_t product = 0;
      if (!__builtin_mul_overflow(policy.burst, policy.period.count(), &product)) {
        return ceil_seconds(product / policy.limit + (product % policy.limit > 0 ? 1 : 0));
      }
      // The quotient fits all the same.
      const auto refill_ms = static_cast<long double>(policy.burst) *
                             static_cast<long double>(policy.period.count()) /
                             static_cast<long double>(policy.limit);
      const auto whole = static_cast<std::int64_t>(refill_ms);
      const bool rest = static_cast<long double>(whole) < refill_ms;
      return ceil_seconds(whole + (rest ? 1 : 0));
    }
    case LimitAlgorithm::calendar_window:
      return ceil_seconds(calendar_ms(policy.unit));
    case LimitAlgorithm::sliding_window:
    case LimitAlgorithm::sliding_log:
    case LimitAlgorithm::fixed_window:
      return ceil_seconds(policy.period.count());
  }
  RD_ASSERT(false, "a limit algorithm");
}

// Of two limits, would a client rather know `a`?
bool binds_more(const LimitState& a, const LimitState& b) {
  if (a.allowed != b.allowed) return !a.allowed;
  if (!a.allowed && a.retry_after != b.retry_after) return a.retry_after > b.retry_after;
  return a.remaining < b.remaining;
}

// A policy named with several subjects is one item of the headers: that of the one that binds.
bool stands_for_its_policy(const LimitDecision& decision, std::size_t index) {
  const LimitState& state = decision.states[index];
  for (std::size_t i = 0; i < decision.states.size(); ++i) {
    const LimitState& other = decision.states[i];
    if (i == index || other.policy != state.policy) continue;
    if (binds_more(other, state) || (i < index && !binds_more(state, other))) return false;
  }
  return true;
}

std::string_view text_of(const fmt::format_int& number) {
  return {number.data(), number.size()};
}

// `by_share`: this instance has but a part of the quota to give, as Redis is away.
void append_policy(std::string& out, const LimitPolicy& policy, bool by_share) {
  const fmt::format_int quota(capacity(policy));
  const fmt::format_int window(std::max<std::int64_t>(window_seconds(policy), 1));
  append_sf_string(out, policy.name);
  append_parts(out, ";q=", text_of(quota), ";w=", text_of(window));
  if (by_share && policy.limit_class == LimitClass::soft) out += ";mode=local";
}

void append_state(std::string& out, const LimitState& state) {
  append_sf_string(out, state.policy->name);
  const fmt::format_int remaining(state.remaining);
  append_parts(out, ";r=", text_of(remaining));
  if (never(state)) return;
  const fmt::format_int more_after(
      ceil_seconds((state.allowed ? state.reset_after : state.retry_after).count()));
  append_parts(out, ";t=", text_of(more_after));
}

}  // namespace

void append_sf_string(std::string& out, std::string_view text) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::ranges::all_of(text, plain)) return append_parts(out, "\"", text, "\"");
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c >= ' ' && c <= '~' ? c : '?';
  }
  out += '"';
}

const LimitState& binding_limit(const LimitDecision& decision) {
  RD_ASSERT(!decision.states.empty(), "a decision about no limit binds nobody");
  return *std::ranges::max_element(
      decision.states, [](const LimitState& a, const LimitState& b) { return binds_more(b, a); });
}

void add_ratelimit_headers(OperationOutput& output, const LimitDecision& decision, WallTime now) {
  if (decision.states.empty()) return;
  std::string policies;
  std::string states;
  for (std::size_t i = 0; i < decision.states.size(); ++i) {
    if (!stands_for_its_policy(decision, i)) continue;
    if (!policies.empty()) {
      policies += ", ";
      states += ", ";
    }
    append_policy(policies, *decision.states[i].policy, decision.degraded);
    append_state(states, decision.states[i]);
  }
  const LimitState& binding = binding_limit(decision);
  output.add_header("RateLimit-Policy", policies);
  output.add_header("RateLimit", states);
  output.add_header("X-RateLimit-Limit", capacity(*binding.policy));
  output.add_header("X-RateLimit-Remaining", binding.remaining);
  output.add_header("X-RateLimit-Reset", ceil_seconds((now + binding.reset_after).ms));
  if (!decision.allowed && !never(binding)) {
    const std::int64_t seconds = ceil_seconds(binding.retry_after.count());
    output.add_header("Retry-After", std::max<std::int64_t>(seconds, 1));
  }
}

}  // namespace redoubt::operations
