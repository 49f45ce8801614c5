#include "operations/gate_operations.hpp"

#include "operations/ratelimit_headers.hpp"
#include "operations/sessions_replies.hpp"

namespace redoubt::operations {
template <>
struct EnumNames<LimitBy> {
  static constexpr std::array<std::string_view, 7> names{"user",    "session", "tenant", "agent",
                                                         "address", "route",   "subject"};
};
template <>
struct EnumNames<GateOutcome> {
  static constexpr std::array<std::string_view, 4> names{"allowed", "session_invalid",
                                                         "agent_mismatch", "limited"};
};

template <>
struct Description<GateLimit> {
  static constexpr std::string_view name = "GateLimit";
  static constexpr auto fields = describe(
      field<&GateLimit::policy>("policy", "Name of a configured policy.", required, length(1, 64),
                                example("default")),
      field<&GateLimit::by>("by", "Whom the limit counts."),
      field<&GateLimit::subject>("subject", "What to count when `by` is subject.", length(0, 512)),
      field<&GateLimit::cost>("cost", "How much of the limit this request uses.",
                              between(1, 1'000'000)));
};

template <>
struct Description<GateRequest> {
  static constexpr std::string_view name = "GateRequest";
  static constexpr auto fields = describe(
      field<&GateRequest::token>("token",
                                 "The session token to verify. Without it, the API key of this "
                                 "call itself is judged.",
                                 secret, length(0, 4096)),
      field<&GateRequest::agent>("agent", "The session must be bound to this agent.",
                                 length(0, 256)),
      field<&GateRequest::address>("address",
                                   "The end client's address, for limits by address. Without it, "
                                   "the address of this call.",
                                   length(0, 64)),
      field<&GateRequest::route>("route", "What is being called, for limits by route.",
                                 length(0, 256)),
      field<&GateRequest::limits>("limits", "Decided together: all admit, or none is charged.",
                                  items(0, 16)));
};

namespace {

struct GateSession {
  SessionPtr session;
  WallTime expires_at;
};

template <auto Member>
constexpr FieldInfo of_session(std::string_view name, std::string_view doc) {
  return detail::session_field<GateSession, Member>(name, doc);
}

}  // namespace

template <>
struct Description<GateSession> {
  static constexpr std::string_view name = "GateSession";
  static constexpr auto fields =
      describe(of_session<&Session::id>("id", "The session's id."),
               of_session<&Session::user>("user", "Whose session it is."),
               of_session<&Session::agent>("agent", "The agent it is bound to; may be empty."),
               detail::data_field<GateSession>(),
               of_session<&Session::version>("version", "Version of the data."),
               field<&GateSession::expires_at>("expires_at", "When it ends unless used again."));
};

namespace {

struct GateLimitState {
  std::string policy;
  bool allowed = true;
  std::int64_t remaining = 0;
  Duration reset_after{0};
  std::optional<Duration> retry_after;
  static constexpr std::string_view schema_name = "GateLimitState";
  static constexpr auto fields = describe(
      field<&GateLimitState::policy>("policy", "Name of the policy."),
      field<&GateLimitState::allowed>("allowed", "Whether this limit alone admits the request."),
      field<&GateLimitState::remaining>("remaining", "What is left right now."),
      field<&GateLimitState::reset_after>("reset_after", "Seconds until it is full again."),
      field<&GateLimitState::retry_after>("retry_after",
                                          "Seconds until this would be admitted; "
                                          "absent when waiting does not help."));
};

struct GateReply {
  bool allowed = true;
  std::int64_t status = 200;
  GateOutcome outcome = GateOutcome::allowed;
  std::string tenant;
  std::string principal;
  std::optional<GateSession> session;
  std::vector<GateLimitState> limits;
  LimitDecision decision;  // For the headers; not part of the body.
  static constexpr std::string_view schema_name = "GateVerdict";
  static constexpr auto fields = describe(
      field<&GateReply::allowed>("allowed", "Go on, or not."),
      field<&GateReply::status>("status", "200, 401, 403 or 429: also the status of this answer."),
      field<&GateReply::outcome>("outcome", "Why."),
      field<&GateReply::tenant>("tenant", "The tenant of the credential."),
      field<&GateReply::principal>("principal", "user:<id> or key:<id>; empty when nobody."),
      field<&GateReply::session>("session", "The session, when there is a good one."),
      field<&GateReply::limits>("limits", "Each limit asked for, in order."));
};

GateReply reply_of(GateVerdict verdict) {
  GateReply reply;
  reply.allowed = verdict.outcome == GateOutcome::allowed;
  reply.status = status_of(verdict.outcome);
  reply.outcome = verdict.outcome;
  reply.tenant = std::move(verdict.tenant);
  reply.principal = std::move(verdict.principal);
  if (verdict.session) {
    reply.session.emplace(std::move(verdict.session->session), verdict.session->expires_at);
  }
  reply.limits.reserve(verdict.decision.states.size());
  for (const LimitState& state : verdict.decision.states) {
    GateLimitState limit;
    limit.policy = state.policy->name;
    limit.allowed = state.allowed;
    limit.remaining = state.remaining;
    limit.reset_after = state.reset_after;
    if (state.retry_after != Duration::max()) limit.retry_after = state.retry_after;
    reply.limits.push_back(std::move(limit));
  }
  reply.decision = std::move(verdict.decision);
  return reply;
}

}  // namespace

int status_of(GateOutcome outcome) {
  switch (outcome) {
    case GateOutcome::allowed:
      return 200;
    case GateOutcome::session_invalid:
      return 401;
    case GateOutcome::agent_mismatch:
      return 403;
    case GateOutcome::limited:
      return 429;
  }
  return 500;
}

void register_gate(Registry& registry, Gate& gate, const Clock& clock) {
  const auto now = [&gate](const Context& context,
                           const GateRequest& request) -> std::optional<Result<GateReply>> {
    auto verdict = gate.decide_now(context, request);
    if (!verdict) return std::nullopt;
    if (!*verdict) return fail(std::move(*verdict).error());
    return reply_of(std::move(**verdict));
  };
  const auto run = [&gate](const Context& context, GateRequest request) -> Task<GateReply> {
    RD_CO_TRY(verdict, co_await gate.decide(context, std::move(request)));
    co_return reply_of(std::move(verdict));
  };
  const auto decorate = [&clock](const GateReply& reply, OperationOutput& output) {
    output.status = static_cast<int>(reply.status);
    if (!reply.decision.states.empty()) add_ratelimit_headers(output, reply.decision, clock.wall());
    output.add_header("Cache-Control", "no-store");
  };
  registry.add(OperationSpec<GateRequest, GateReply>{
      .info = {.id = "gate.decide",
               .method = Method::post,
               .path = "/api/v1/gate",
               .summary = "Decide whether a request may go on",
               .doc =
                   "Verifies the session, checks the agent it is bound to and decides the limits "
                   "together, in that order. The status of the answer is the verdict: 200, 401, "
                   "403 or 429. For proxies there is the same without a body: "
                   "`GET /api/v1/gate/forward`.",
               .area = Area::gate,
               .access = Access::write,
               .refusals = {401, 403, 429},
               .priority = Priority::session},
      .now = now,
      .run = run,
      .decorate = decorate});
}

}  // namespace redoubt::operations
