#include "operations/limits_operations.hpp"

#include "operations/ratelimit_headers.hpp"

#include <utility>

namespace redoubt::operations {

template <>
struct EnumNames<LimitAlgorithm> {
  static constexpr std::array<std::string_view, 5> names{"gcra", "sliding_window", "sliding_log",
                                                         "fixed_window", "calendar_window"};
};
template <>
struct EnumNames<LimitClass> {
  static constexpr std::array<std::string_view, 2> names{"soft", "strict"};
};
template <>
struct EnumNames<CalendarUnit> {
  static constexpr std::array<std::string_view, 4> names{"minute", "hour", "day", "month"};
};

namespace {

struct LimitItem {
  std::string policy;
  std::string subject;
  std::int64_t cost = 1;
  static constexpr std::string_view schema_name = "LimitItem";
  static constexpr auto fields = describe(
      field<&LimitItem::policy>("policy", "Name of a configured policy.", required, length(1, 64),
                                example("default")),
      field<&LimitItem::subject>("subject", "Whom it concerns.", required, length(1, 512),
                                 example("user:123")),
      field<&LimitItem::cost>("cost", "How much of the limit this uses.", between(1, 1'000'000)));
};

struct LimitsRequest {
  std::vector<LimitItem> limits;
  static constexpr std::string_view schema_name = "LimitsRequest";
  static constexpr auto fields = describe(field<&LimitsRequest::limits>(
      "limits", "Decided together: all or none.", required, items(1, 16)));
};

struct LimitsItemState {
  std::string policy;
  std::string subject;
  bool allowed = true;
  std::int64_t limit = 0;
  std::int64_t remaining = 0;
  Duration reset_after{0};
  std::optional<Duration> retry_after;
  static constexpr std::string_view schema_name = "LimitsItemState";
  static constexpr auto fields = describe(
      field<&LimitsItemState::policy>("policy", "Name of the policy."),
      field<&LimitsItemState::subject>("subject", "Whom it concerns."),
      field<&LimitsItemState::allowed>("allowed", "Whether this limit alone admits the cost."),
      field<&LimitsItemState::limit>("limit", "The most it ever admits at once."),
      field<&LimitsItemState::remaining>("remaining", "What could be admitted right now."),
      field<&LimitsItemState::reset_after>("reset_after", "Seconds until it is full again."),
      field<&LimitsItemState::retry_after>("retry_after",
                                           "Seconds until the cost would be admitted; absent when "
                                           "it is more than the limit ever admits."));
};

struct LimitsReply {
  bool allowed = true;
  std::vector<LimitsItemState> limits;
  // The shape of @upstash/ratelimit, when one limit was asked about.
  std::optional<bool> success;
  std::optional<std::int64_t> limit;
  std::optional<std::int64_t> remaining;
  std::optional<std::int64_t> reset;
  std::optional<std::int64_t> pending;
  std::optional<std::string> reason;
  LimitDecision decision;  // For the headers; not part of the body.
  static constexpr std::string_view schema_name = "LimitsDecision";
  static constexpr auto fields = describe(
      field<&LimitsReply::allowed>("allowed", "Whether all limits admit it."),
      field<&LimitsReply::limits>("limits", "Each limit asked about, in order."),
      field<&LimitsReply::success>("success", "With one limit: the same as allowed."),
      field<&LimitsReply::limit>("limit", "With one limit: the most it ever admits at once."),
      field<&LimitsReply::remaining>("remaining", "With one limit: what is left."),
      field<&LimitsReply::reset>("reset", "With one limit: unix milliseconds when it is full."),
      field<&LimitsReply::pending>("pending", "With one limit: work still to be done; always 0."),
      field<&LimitsReply::reason>("reason",
                                  "With one limit that refuses: limit_exceeded, or "
                                  "cost_exceeds_limit when waiting will not help."));
};

struct ResetLimit {
  std::string policy;
  std::string subject;
  static constexpr std::string_view schema_name = "ResetLimit";
  static constexpr auto fields =
      describe(field<&ResetLimit::policy>("policy", "Name of a configured policy.", required,
                                          length(1, 64), example("default")),
               field<&ResetLimit::subject>("subject", "Whose limit becomes full.", required,
                                           length(1, 512), example("user:123")));
};

struct ListPolicies {
  static constexpr std::string_view schema_name = "ListLimitPolicies";
  static constexpr auto fields = describe();
};

struct PolicyView {
  std::string name;
  LimitAlgorithm algorithm{};
  LimitClass limit_class{};
  std::int64_t limit = 0;
  std::optional<Duration> period;
  std::optional<CalendarUnit> unit;
  std::optional<std::int64_t> burst;
  static constexpr std::string_view schema_name = "LimitPolicy";
  static constexpr auto fields = describe(
      field<&PolicyView::name>("name", "What checks call it."),
      field<&PolicyView::algorithm>("algorithm", "How it counts."),
      field<&PolicyView::limit_class>("class", "soft: in memory; strict: in the record."),
      field<&PolicyView::limit>("limit", "How much in each period."),
      field<&PolicyView::period>("period", "Seconds. Absent for calendar_window."),
      field<&PolicyView::unit>("unit", "Only for calendar_window: of the calendar in UTC."),
      field<&PolicyView::burst>("burst", "Only for gcra: how much at once."));
};

struct PolicyList {
  std::vector<PolicyView> policies;
  static constexpr std::string_view schema_name = "LimitPolicyList";
  static constexpr auto fields =
      describe(field<&PolicyList::policies>("policies", "In the order of the configuration."));
};

PolicyView view_of(const LimitPolicy& policy) {
  const bool calendar = policy.algorithm == LimitAlgorithm::calendar_window;
  PolicyView view;
  view.name = policy.name;
  view.algorithm = policy.algorithm;
  view.limit_class = policy.limit_class;
  view.limit = policy.limit;
  if (calendar) view.unit = policy.unit;
  if (!calendar) view.period = policy.period;
  if (policy.algorithm == LimitAlgorithm::gcra) view.burst = policy.burst;
  return view;
}

std::vector<LimitCheck> checks_of(const LimitsRequest& request) {
  std::vector<LimitCheck> checks;
  checks.reserve(request.limits.size());
  for (const LimitItem& item : request.limits) {
    checks.push_back({.policy = item.policy, .subject = item.subject, .cost = item.cost});
  }
  return checks;
}

void mirror_single_limit(LimitsReply& reply, const LimitState& state, WallTime now) {
  reply.success = reply.allowed;
  reply.limit = capacity(*state.policy);
  reply.remaining = state.remaining;
  reply.reset = (now + state.reset_after).ms;
  reply.pending = 0;
  if (!state.allowed) {
    reply.reason = state.retry_after == Duration::max() ? "cost_exceeds_limit" : "limit_exceeded";
  }
}

LimitsReply reply_of(const LimitsRequest& request, LimitDecision decision, WallTime now) {
  LimitsReply reply;
  reply.allowed = decision.allowed;
  reply.limits.reserve(decision.states.size());
  for (std::size_t i = 0; i < decision.states.size(); ++i) {
    const LimitState& state = decision.states[i];
    LimitsItemState& item = reply.limits.emplace_back();
    item.policy = state.policy->name;
    item.subject = request.limits[i].subject;
    item.allowed = state.allowed;
    item.limit = capacity(*state.policy);
    item.remaining = state.remaining;
    item.reset_after = state.reset_after;
    if (state.retry_after != Duration::max()) item.retry_after = state.retry_after;
  }
  if (decision.states.size() == 1) mirror_single_limit(reply, decision.states[0], now);
  reply.decision = std::move(decision);
  return reply;
}

using Decide = Task<LimitDecision> (Limits::*)(const Context&, std::span<const LimitCheck>);

auto runner(Limits& limits, const Clock& clock, Decide decide) {
  return [&limits, &clock, decide](const Context& context,
                                   LimitsRequest request) -> Task<LimitsReply> {
    const std::vector<LimitCheck> checks = checks_of(request);
    RD_CO_TRY(decision, co_await (limits.*decide)(context, checks));
    co_return reply_of(request, std::move(decision), clock.wall());
  };
}

void add_check(Registry& registry, Limits& limits, const Clock& clock) {
  const auto now = [&limits, &clock](
                       const Context& context,
                       const LimitsRequest& request) -> std::optional<Result<LimitsReply>> {
    const std::vector<LimitCheck> checks = checks_of(request);
    auto decision = limits.check_now(context, checks);
    if (!decision) return std::nullopt;
    if (!*decision) return fail(std::move(*decision).error());
    return reply_of(request, std::move(**decision), clock.wall());
  };
  const auto decorate = [&clock](const LimitsReply& reply, OperationOutput& output) {
    // A refusal is an answer, with the body of one; the status tells clients that look no further.
    if (!reply.allowed) output.status = 429;
    add_ratelimit_headers(output, reply.decision, clock.wall());
  };
  registry.add(OperationSpec<LimitsRequest, LimitsReply>{
      .info = {.id = "limits.check",
               .method = Method::post,
               .path = "/api/v1/limits/check",
               .summary = "Use up limits, if all of them admit it",
               .doc =
                   "Either every limit admits its cost and is charged, or none is. The answer is "
                   "200 when allowed and 429 when refused, with the same body and the headers "
                   "`RateLimit`, `RateLimit-Policy` and `X-RateLimit-*`; a refusal that waiting "
                   "can cure has `Retry-After`. `X-RateLimit-Reset` is in unix seconds.",
               .area = Area::limits,
               .access = Access::write,
               .refusals = {429},
               .priority = Priority::session},
      .now = now,
      .run = runner(limits, clock, &Limits::check),
      .decorate = decorate});
}

void add_peek(Registry& registry, Limits& limits, const Clock& clock) {
  registry.add(OperationSpec<LimitsRequest, LimitsReply>{
      .info = {.id = "limits.peek",
               .method = Method::post,
               .path = "/api/v1/limits/peek",
               .summary = "See what a check would say, without charging",
               .area = Area::limits,
               .access = Access::read},
      .run = runner(limits, clock, &Limits::peek)});
}

void add_refund(Registry& registry, Limits& limits, const Clock& clock) {
  registry.add(OperationSpec<LimitsRequest, LimitsReply>{
      .info = {.id = "limits.refund",
               .method = Method::post,
               .path = "/api/v1/limits/refund",
               .summary = "Give back what a check has charged",
               .doc =
                   "Each limit gets its cost back, never beyond full. `allowed` says whether the "
                   "same cost would be admitted now.",
               .area = Area::limits,
               .access = Access::write},
      .run = runner(limits, clock, &Limits::refund)});
}

void add_reset(Registry& registry, Limits& limits, Audit& audit) {
  const auto run = [&limits, &audit](const Context& context, ResetLimit request) -> Task<NoReply> {
    const std::string target = request.policy + '/' + request.subject;
    RD_CO_CHECK(
        co_await limits.reset(context, std::move(request.policy), std::move(request.subject)));
    audit.note(context, "limit.reset", target);
    co_return NoReply{};
  };
  registry.add(OperationSpec<ResetLimit, NoReply>{
      .info = {.id = "limits.reset",
               .method = Method::post,
               .path = "/api/v1/limits/reset",
               .summary = "Make the limit of one subject full again",
               .area = Area::limits,
               .access = Access::write,
               .status = 204},
      .run = run});
}

void add_policies(Registry& registry, Limits& limits) {
  const auto list = [&limits] {
    PolicyList reply;
    for (const LimitPolicy& policy : limits.policies()) reply.policies.push_back(view_of(policy));
    return reply;
  };
  const auto now = [list](const Context&,
                          const ListPolicies&) -> std::optional<Result<PolicyList>> {
    return list();
  };
  const auto run = [list](const Context&, ListPolicies) -> Task<PolicyList> { co_return list(); };
  registry.add(
      OperationSpec<ListPolicies, PolicyList>{.info = {.id = "limits.policies",
                                                       .method = Method::get,
                                                       .path = "/api/v1/limits/policies",
                                                       .summary = "List the configured policies",
                                                       .area = Area::limits,
                                                       .access = Access::read,
                                                       .priority = Priority::listing},
                                              .now = now,
                                              .run = run});
}

}  // namespace

void register_limits(Registry& registry, Limits& limits, const Clock& clock, Audit& audit) {
  add_check(registry, limits, clock);
  add_peek(registry, limits, clock);
  add_refund(registry, limits, clock);
  add_reset(registry, limits, audit);
  add_policies(registry, limits);
}

}  // namespace redoubt::operations
