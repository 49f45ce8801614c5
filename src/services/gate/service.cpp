#include "services/gate/service.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <optional>

namespace redoubt::gate {
namespace {

constexpr std::size_t kLimitsMax = 16;

// Who a request turned out to be, as far as it is known. Views into the context and the session.
struct Subject {
  std::string_view tenant;
  std::string_view user;
  std::string_view session;
  std::string_view agent;
  std::string address;  // As limits count it; empty when none does.
  std::string_view route;
};

// The limits of one request under the names they are counted by. The names stand one behind the
// other in one text, which is sized before it is written: no view into it moves.
struct Checks {
  std::string names;
  std::array<LimitCheck, kLimitsMax> checks;
  std::size_t count = 0;

  std::span<const LimitCheck> view() const { return {checks.data(), count}; }

  void add(const GateLimit& limit, std::string_view prefix, std::string_view value) {
    const std::size_t begin = names.size();
    names += prefix;
    names += value;
    checks[count++] = {.policy = limit.policy,
                       .subject = std::string_view(names).substr(begin),
                       .cost = limit.cost};
  }
};

// One spelling per address, and one subject per IPv6 /64: that is what one subscriber is given, and
// whoever has it can send from any address in it. What is no address counts as it is written.
std::string counted_address(std::string_view text) {
  const std::string name(text.substr(0, INET6_ADDRSTRLEN));
  in6_addr v6{};
  char canonical[INET6_ADDRSTRLEN] = "";
  if (name.size() != text.size() || ::inet_pton(AF_INET6, name.c_str(), &v6) != 1) {
    return std::string(text);
  }
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    return ::inet_ntop(AF_INET, &v6.s6_addr[12], canonical, sizeof canonical);
  }
  std::fill(std::begin(v6.s6_addr) + 8, std::end(v6.s6_addr), std::uint8_t{0});
  return std::string(::inet_ntop(AF_INET6, &v6, canonical, sizeof canonical)) + "/64";
}

std::string_view value_of(LimitBy by, const Subject& who, const GateLimit& limit) {
  switch (by) {
    case LimitBy::user:
      return who.user;
    case LimitBy::session:
      return who.session;
    case LimitBy::tenant:
      return who.tenant;
    case LimitBy::agent:
      return who.agent;
    case LimitBy::address:
      return who.address;
    case LimitBy::route:
      return who.route;
    case LimitBy::subject:
      return limit.subject;
  }
  return {};
}

constexpr std::array<std::string_view, 7> kPrefixes{
    "user:", "session:", "tenant:", "agent:", "address:", "route:", "subject:"};

std::string_view prefix_of(LimitBy by) {
  return kPrefixes[static_cast<std::size_t>(by)];
}

Error nothing_to_count(const GateLimit& limit, std::size_t index) {
  const std::string_view by = prefix_of(limit.by);
  return invalid_argument("body.limits." + std::to_string(index) + ".by",
                          "limit '" + limit.policy + "' counts by " +
                              std::string(by.substr(0, by.size() - 1)) +
                              ", but this request names none",
                          "required");
}

Result<void> name_limits(const GateRequest& request, const Subject& who, bool address_only,
                         Checks& out) {
  if (request.limits.size() > kLimitsMax) {
    return fail(invalid_argument("body.limits", "at most 16 limits in one call", "length"));
  }
  const auto concerns = [address_only](const GateLimit& limit) {
    return !address_only || limit.by == LimitBy::address;
  };
  std::size_t size = 0;
  for (const GateLimit& limit : request.limits) {
    if (concerns(limit)) size += prefix_of(limit.by).size() + value_of(limit.by, who, limit).size();
  }
  out.names.reserve(size);
  for (std::size_t i = 0; i < request.limits.size(); ++i) {
    const GateLimit& limit = request.limits[i];
    if (!concerns(limit)) continue;
    const std::string_view value = value_of(limit.by, who, limit);
    if (value.empty()) return fail(nothing_to_count(limit, i));
    out.add(limit, prefix_of(limit.by), value);
  }
  return {};
}

std::string address_of(const Context& context, const GateRequest& request) {
  const auto by_address = [](const GateLimit& limit) { return limit.by == LimitBy::address; };
  if (std::ranges::none_of(request.limits, by_address)) return {};  // Nobody will ask for it.
  return counted_address(request.address.empty() ? context.client_address
                                                 : std::string_view(request.address));
}

Subject subject_of(const Context& context, const GateRequest& request,
                   const VerifiedSession* session) {
  Subject who;
  who.tenant = context.caller.tenant;
  who.address = address_of(context, request);
  who.route = request.route;
  if (session != nullptr) {
    who.user = session->session->user;
    who.session = session->session->id;
    who.agent = session->session->agent;
  } else {
    who.user = context.caller.principal;  // An API key counts as a user of its own.
    who.agent = request.agent;
  }
  return who;
}

void name_principal(const Context& context, GateVerdict& verdict) {
  verdict.tenant = context.caller.tenant;
  if (verdict.session) {
    verdict.principal = "user:" + verdict.session->session->user;
  } else {
    verdict.principal = context.caller.principal;
  }
}

// The part before the limits: the session's verdict. True when limits are to be asked in full.
bool admit_session(const Context& context, const GateRequest& request,
                   std::optional<Result<VerifiedSession>>& session, GateVerdict& verdict) {
  if (session && !*session) {
    verdict.outcome = GateOutcome::session_invalid;
    return false;
  }
  if (session) verdict.session = std::move(**session);
  if (!session && context.session != nullptr) verdict.session = *context.session;
  name_principal(context, verdict);
  if (request.agent.empty()) return true;
  if (!verdict.session || verdict.session->session->agent != request.agent) {
    verdict.outcome = GateOutcome::agent_mismatch;
    return false;
  }
  return true;
}

// Whether all limits can be named before the session is known. An agent that is asked for is the
// session's, or the session is refused.
bool known_without_session(const GateRequest& request) {
  const auto known = [&request](const GateLimit& limit) {
    if (limit.by == LimitBy::agent) return !request.agent.empty();
    return limit.by != LimitBy::user && limit.by != LimitBy::session;
  };
  return !request.limits.empty() && std::ranges::all_of(request.limits, known);
}

bool is_verdict(const Result<VerifiedSession>& session) {
  return session || session.error().code == Errc::unauthenticated;
}

class GateService final : public Gate {
 public:
  GateService(Sessions& sessions, Limits& limits) : sessions_(sessions), limits_(limits) {}

  std::optional<Result<GateVerdict>> decide_now(const Context& context,
                                                const GateRequest& request) override {
    std::optional<Result<VerifiedSession>> session;
    if (!request.token.empty()) {
      session = sessions_.verify_now(context, request.token);
      if (!session) return std::nullopt;
      if (!is_verdict(*session)) return fail(std::move(*session).error());
    }
    GateVerdict verdict;
    Checks checks;
    if (auto named = judge(context, request, session, verdict, checks); !named) {
      return fail(std::move(named).error());
    }
    if (checks.count == 0) return verdict;
    auto decision = limits_.check_now(context, checks.view());
    if (!decision) return std::nullopt;
    if (!*decision) return fail(std::move(*decision).error());
    conclude(std::move(**decision), verdict);
    return verdict;
  }

  // Where the limits can be named without the session, they are asked while it is looked up: one
  // trip to Redis for both. If it is refused then, the charge is withdrawn before the answer. Only
  // a token that could be real gets so far: a forged one is refused by verify_now.
  Task<GateVerdict> decide(const Context& context, GateRequest request) override {
    std::optional<Result<VerifiedSession>> session;
    Checks checks;
    std::unique_ptr<BegunCheck> begun;
    if (!request.token.empty()) {
      session = sessions_.verify_now(context, request.token);
      if (!session) {
        begun = begin(context, request, checks);
        session = co_await sessions_.verify(context, request.token);
      }
    }
    const bool decided = !session || is_verdict(*session);
    GateVerdict verdict;
    const bool admitted = decided && admit_session(context, request, session, verdict);
    if (begun && admitted) {
      RD_CO_TRY(decision, co_await begun->decision());
      conclude(std::move(decision), verdict);
      co_return verdict;
    }
    if (begun) co_await begun->withdraw();
    if (!decided) co_return fail(std::move(*session).error());
    checks = {};
    RD_CO_CHECK(name_checks(context, request, admitted, verdict, checks));
    if (checks.count == 0) co_return verdict;
    RD_CO_TRY(decision, co_await limits_.check(context, checks.view()));
    conclude(std::move(decision), verdict);
    co_return verdict;
  }

 private:
  std::unique_ptr<BegunCheck> begin(const Context& context, const GateRequest& request,
                                    Checks& checks) {
    if (!known_without_session(request)) return nullptr;
    const Subject who = subject_of(context, request, nullptr);
    if (!name_limits(request, who, false, checks)) return nullptr;
    return limits_.begin(context, checks.view());
  }

  static Result<void> judge(const Context& context, const GateRequest& request,
                            std::optional<Result<VerifiedSession>>& session, GateVerdict& verdict,
                            Checks& checks) {
    const bool admitted = admit_session(context, request, session, verdict);
    return name_checks(context, request, admitted, verdict, checks);
  }

  static Result<void> name_checks(const Context& context, const GateRequest& request, bool admitted,
                                  GateVerdict& verdict, Checks& checks) {
    const bool known = verdict.outcome != GateOutcome::session_invalid;
    const VerifiedSession* who = verdict.session ? &*verdict.session : nullptr;
    if (!known) verdict.tenant = context.caller.tenant;
    return name_limits(request, subject_of(context, request, who), !admitted, checks);
  }

  // A limit's refusal outranks the session's: whoever guesses too fast learns only that.
  static void conclude(LimitDecision decision, GateVerdict& verdict) {
    if (!decision.allowed) verdict.outcome = GateOutcome::limited;
    verdict.decision = std::move(decision);
  }

  Sessions& sessions_;
  Limits& limits_;
};

}  // namespace

std::unique_ptr<Gate> make_gate(Sessions& sessions, Limits& limits) {
  return std::make_unique<GateService>(sessions, limits);
}

}  // namespace redoubt::gate
