// The gate: everything a request to an agent backend must pass, in one call: is the session good, is
// it the agent's, do the limits admit it. The answer carries what the caller needs to go on: who it
// is, what is left, when to come back.
//
// The order is fixed: session, agent, limits. A refused session charges no limit but those by address,
// so that guessing tokens is itself limited; nothing else is charged unless everything admits.
//
// Threads: one Gate per worker; call it from that worker's executor.
// Errors: invalid_argument for an unknown policy or a `by` that has nothing to name (a session limit
// without a session); unavailable when the record is needed and away. A refusal is a verdict.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/limits.hpp>
#include <redoubt/result.hpp>
#include <redoubt/sessions.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

// Whom a limit counts.
enum class LimitBy : std::uint8_t { user, session, tenant, agent, address, route, subject };

struct GateLimit {
  std::string policy;        // A configured name.
  LimitBy by = LimitBy::user;
  std::string subject;       // Only for LimitBy::subject.
  std::int64_t cost = 1;
};

struct GateRequest {
  std::string token;         // A session token. Empty: the context's own session or API key.
  std::string agent;         // Not empty: the session must be bound to this agent.
  std::string address;       // The end client's; for LimitBy::address. Default: the context's.
  std::string route;         // For LimitBy::route: any name of what is being called.
  std::vector<GateLimit> limits;
};

enum class GateOutcome : std::uint8_t {
  allowed,
  session_invalid,  // 401
  agent_mismatch,   // 403
  limited,          // 429
};

struct GateVerdict {
  GateOutcome outcome = GateOutcome::allowed;
  std::string tenant;
  std::string principal;                   // "user:<id>" or "key:<id>"; empty when session_invalid.
  std::optional<VerifiedSession> session;  // When there is a good one.
  LimitDecision decision;                  // Of the limits; empty when none was asked.
};

class Gate {
 public:
  virtual ~Gate() = default;

  // Decides from memory, or is empty when the record must be asked; then call decide().
  virtual std::optional<Result<GateVerdict>> decide_now(const Context& context,
                                                        const GateRequest& request) = 0;
  virtual Task<GateVerdict> decide(const Context& context, GateRequest request) = 0;
};

}  // namespace redoubt
