// The gate for proxies that ask before they forward: nginx auth_request, Caddy forward_auth,
// Traefik ForwardAuth, Envoy ext_authz (HTTP). No body in either direction; the answer is the
// status (200, 401, 403, 429 or 503) and fields for the upstream.
//
//   GET /api/v1/gate/forward?limit=<policy>[:<by>[:<cost>]]&agent=<id>&route=<name>
//
// Any method, and any path below /api/v1/gate/forward/ (Envoy appends the original one). The
// credential is the original request's: Authorization (bearer session token or API key), X-API-Key,
// or the cookie __Host-redoubt-session. Without `limit`, the policy "default" by user, unless
// limit_by_default(false).
//
// Fields out: Redoubt-Tenant, Redoubt-Principal, Redoubt-User, Redoubt-Session, Redoubt-Agent and
// those of the limits. Values that could not stand in a header are percent-encoded.
#pragma once

#include "faces/rest/authenticator.hpp"
#include "faces/rest/request_facts.hpp"
#include "operations/operation.hpp"

#include <redoubt/gate.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace redoubt::faces {

class ForwardAuth {
 public:
  static constexpr std::string_view kPath = "/api/v1/gate/forward";

  ForwardAuth(Gate& gate, Limits& limits, const Clock& clock);

  // Whether a request that names no limit is limited by the policy "default", as at first it is.
  void limit_by_default(bool on);

  static bool serves(std::string_view path);
  static std::string_view credential(const RequestFacts& facts);

  // What the query asks. The last one is remembered: a proxy asks the same again and again. Good
  // until the next call. Errors: invalid_argument for a malformed query.
  Result<const GateRequest*> read(std::string_view query);

  // True: decided, `output` is complete. False: call decide().
  bool decide_now(const Context& context, const GateRequest& request,
                  operations::OperationOutput& output);
  boost::asio::awaitable<void> decide(const Context& context, GateRequest request,
                                      operations::OperationOutput& output);

 private:
  Result<GateRequest> parse(std::string_view query) const;
  void put(const Result<GateVerdict>& verdict, operations::OperationOutput& output);

  Gate& gate_;
  Limits& limits_;
  const Clock& clock_;
  bool limit_by_default_ = true;
  std::string last_query_;
  std::optional<GateRequest> last_request_;
};

}  // namespace redoubt::faces
