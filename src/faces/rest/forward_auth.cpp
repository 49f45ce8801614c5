#include "faces/rest/forward_auth.hpp"

#include "base/text.hpp"
#include "operations/gate_operations.hpp"
#include "operations/ratelimit_headers.hpp"

#include <algorithm>
#include <array>

namespace redoubt::faces {
namespace {

using operations::OperationOutput;

constexpr std::array<std::pair<std::string_view, LimitBy>, 6> kBy{{{"user", LimitBy::user},
                                                                   {"session", LimitBy::session},
                                                                   {"tenant", LimitBy::tenant},
                                                                   {"agent", LimitBy::agent},
                                                                   {"address", LimitBy::address},
                                                                   {"route", LimitBy::route}}};

Error bad_limit(std::string_view text) {
  return invalid_argument("query.limit",
                          "must be <policy>[:<by>[:<cost>]] with by one of user, session, tenant, "
                          "agent, address, route; got '" +
                              std::string(text) + "'");
}

Result<GateLimit> read_limit(std::string_view text) {
  const auto parts = split(text, ':');
  GateLimit limit;
  if (parts.empty() || parts.size() > 3 || parts[0].empty()) return fail(bad_limit(text));
  limit.policy = parts[0];
  if (parts.size() > 1) {
    const auto* by = std::ranges::find(kBy, parts[1], &std::pair<std::string_view, LimitBy>::first);
    if (by == kBy.end()) return fail(bad_limit(text));
    limit.by = by->second;
  }
  if (parts.size() > 2) {
    const auto cost = parse_int(parts[2]);
    if (!cost || *cost < 1 || *cost > 1'000'000) return fail(bad_limit(text));
    limit.cost = *cost;
  }
  return limit;
}

// A value made by a user, in a header that a proxy will hand on.
void add_user_header(OperationOutput& output, operations::HeaderName name, std::string_view value) {
  const bool plain =
      std::ranges::all_of(value, [](char c) { return c > 0x20 && c < 0x7f && c != '%'; });
  if (plain) return output.add_header(name, value);
  output.add_header(name, percent_encode(value));
}

}  // namespace

ForwardAuth::ForwardAuth(Gate& gate, Limits& limits, const Clock& clock)
    : gate_(gate), limits_(limits), clock_(clock) {}

void ForwardAuth::limit_by_default(bool on) {
  limit_by_default_ = on;
  last_request_.reset();  // It was read by the old rule.
}

bool ForwardAuth::serves(std::string_view path) {
  return path.starts_with(kPath) && (path.size() == kPath.size() || path[kPath.size()] == '/');
}

std::string_view ForwardAuth::credential(const RequestFacts& facts) {
  const std::string_view given = credential_of(facts);
  if (!given.empty() || !facts.authorization.empty()) return given;
  return cookie_value(facts.cookie, "__Host-redoubt-session");
}

Result<const GateRequest*> ForwardAuth::read(std::string_view query) {
  if (!last_request_ || query != last_query_) {
    last_request_.reset();
    RD_TRY(request, parse(query));
    last_request_ = std::move(request);
    last_query_ = query;
  }
  return &*last_request_;
}

Result<GateRequest> ForwardAuth::parse(std::string_view query) const {
  GateRequest request;
  for (const std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string_view name = pair.substr(0, equals);
    const auto value = percent_decode(
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1), true);
    if (!value) return fail(invalid_argument("query", "a bad percent-escape"));
    if (name == "limit") {
      RD_TRY(limit, read_limit(*value));
      request.limits.push_back(std::move(limit));
    } else if (name == "agent") {
      request.agent = *value;
    } else if (name == "route") {
      request.route = *value;
    }
    // Others belong to the original request: Envoy sends its query along.
  }
  if (request.limits.empty() && limit_by_default_ && limits_.find_policy("default") != nullptr) {
    request.limits.push_back({.policy = "default", .by = LimitBy::user, .subject = {}, .cost = 1});
  }
  return request;
}

void ForwardAuth::put(const Result<GateVerdict>& verdict, OperationOutput& output) {
  if (!verdict) {
    output.error = verdict.error();
    return;
  }
  output.status = operations::status_of(verdict->outcome);
  output.add_header("Cache-Control", "no-store");
  if (!verdict->decision.states.empty()) {
    operations::add_ratelimit_headers(output, verdict->decision, clock_.wall());
  }
  if (verdict->outcome == GateOutcome::agent_mismatch) {
    output.error =
        Error(Errc::permission_denied, "agent_mismatch", "the session is not bound to this agent");
  }
  if (verdict->outcome == GateOutcome::session_invalid) {
    output.error = unauthenticated("session_invalid", "the session token is not valid");
  }
  if (verdict->outcome == GateOutcome::limited) {
    output.error = Error(Errc::rate_limited, "rate_limited", "a limit refuses this request");
  }
  // All of them on every answer, empty when there is nothing to say: a proxy that copies only what
  // is there would let the client's own field through.
  const Session* session = verdict->session ? verdict->session->session.get() : nullptr;
  const auto of = [session](std::string Session::*member) {
    return session == nullptr ? std::string_view() : std::string_view(session->*member);
  };
  add_user_header(output, "Redoubt-Tenant", verdict->tenant);
  add_user_header(output, "Redoubt-Principal", verdict->principal);
  add_user_header(output, "Redoubt-User", of(&Session::user));
  add_user_header(output, "Redoubt-Session", of(&Session::id));
  add_user_header(output, "Redoubt-Agent", of(&Session::agent));
}

bool ForwardAuth::decide_now(const Context& context, const GateRequest& request,
                             OperationOutput& output) {
  const auto verdict = gate_.decide_now(context, request);
  if (!verdict) return false;
  put(*verdict, output);
  return true;
}

boost::asio::awaitable<void> ForwardAuth::decide(const Context& context, GateRequest request,
                                                 OperationOutput& output) {
  const auto verdict = co_await gate_.decide(context, std::move(request));
  put(verdict, output);
}

}  // namespace redoubt::faces
