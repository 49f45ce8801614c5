// The REST face: turns HTTP requests into operations and their results into answers. It has no
// feature of its own; what it adds is what HTTP adds: routes, credentials, CORS, request ids, trace
// context, Server-Timing, problems, metrics and the access log.
//
// Threads: one per worker, on the worker's executor.
#pragma once

#include "base/metrics.hpp"
#include "base/random.hpp"
#include "faces/rest/authenticator.hpp"
#include "faces/rest/forward_auth.hpp"
#include "faces/rest/request_facts.hpp"
#include "faces/rest/route_metrics.hpp"
#include "faces/rest/static_routes.hpp"
#include "net/http_server.hpp"
#include "operations/admission.hpp"
#include "operations/operation.hpp"
#include "operations/router.hpp"

#include <redoubt/audit.hpp>
#include <redoubt/downgrades.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::faces {

enum class AccessLogMode : std::uint8_t { none, errors, all };

struct RestOptions {
  std::vector<std::string> cors_origins;  // {"*"}: any.
  TrustedProxies proxies;
  AccessLogMode access_log = AccessLogMode::errors;
  Duration request_deadline{10'000};
  std::function<bool()> record_cut_off;  // Whether the record is out of reach; empty: it never is.
};

class RestHandler final : public net::HttpHandler {
 public:
  RestHandler(const operations::Registry& registry, Authenticator& authenticator,
              ForwardAuth& forward_auth, const StaticRoutes& routes, const Clock& clock,
              Random& random, Audit& audit, Log& log, Metrics& metrics, RestOptions options);

  // Refuses work that waits when there is too much of it. Null, as at first: nothing is refused.
  void admit_by(operations::Admission* admission) { admission_ = admission; }

  bool handle_now(const net::HttpRequest& request, net::HttpResponse& response) override;
  boost::asio::awaitable<void> handle(const net::HttpRequest& request,
                                      net::HttpResponse& response) override;
  void refuse(int status, std::string_view reason, net::HttpResponse& response) override;

 private:
  static constexpr std::string_view kUnrouted = "(none)";  // In metrics: bounded, whatever comes.

  // One request on its way through; what both paths share.
  struct Exchange {
    RequestFacts facts;
    std::string request_id;
    std::string_view client;
    operations::RouteMatch route;
    Identity identity;
    bool identified = false;  // What `identity` is, or that it is nobody's, has been found out.
    operations::OperationOutput output;
    BootTime deadline;
    Downgrades downgrades;
    std::int64_t spent_ns = 0;
    void clear();
  };

  // False: the caller may not; the answer says so, and the audit trail will.
  bool authorize(const Context& context, Exchange& exchange);
  void begin(const net::HttpRequest& request, Exchange& exchange);
  // Leaves the request to handle(). Returns false.
  bool leave(net::HttpResponse& response);
  // True when the request is answered without an operation.
  bool answer_without_operation(const net::HttpRequest& request, Exchange& exchange,
                                net::HttpResponse& response);
  bool answer_doubtful(const net::HttpRequest& request, Exchange& exchange,
                       net::HttpResponse& response);
  bool answer_doubtful_key(const net::HttpRequest& request, Exchange& exchange,
                           net::HttpResponse& response);
  bool answer_static(const net::HttpRequest& request, Exchange& exchange,
                     net::HttpResponse& response);
  bool answer_preflight(const net::HttpRequest& request, Exchange& exchange,
                        net::HttpResponse& response);
  bool answer_unrouted(const net::HttpRequest& request, Exchange& exchange,
                       net::HttpResponse& response);
  // True: the exchange's output is complete. False: it needs a coroutine.
  bool operate_now(const net::HttpRequest& request, Exchange& exchange);
  bool forward_now(const net::HttpRequest& request, Exchange& exchange);
  boost::asio::awaitable<void> operate_later(const Context& context,
                                             const net::HttpRequest& request, Exchange& exchange);
  boost::asio::awaitable<void> forward_later(const Context& context,
                                             const net::HttpRequest& request, Exchange& exchange);
  bool may_operate(const Context& context, const net::HttpRequest& request, Exchange& exchange);
  static std::string_view credential_of(const Exchange& exchange, bool forward);
  static void take_identity(Result<Identity> identity, Exchange& exchange, bool forward);
  Result<operations::Admission::Place> admit(operations::Priority priority,
                                             const std::string& tenant);
  Result<GateRequest> forward_request(const net::HttpRequest& request, const Exchange& exchange);
  static operations::OperationInput input_of(const net::HttpRequest& request,
                                             const Exchange& exchange,
                                             const operations::HeaderSource& fields);
  bool check_content_type(const net::HttpRequest& request, Exchange& exchange) const;
  bool answer_bad_timeout(const net::HttpRequest& request, Exchange& exchange,
                          net::HttpResponse& response);
  Context context_of(Exchange& exchange) const;
  static operations::Method method_of(wire::HttpMethod method);

  // rest_answers.cpp
  static std::string_view method_label(wire::HttpMethod method);
  void note_downgrades(Exchange& exchange) const;
  void put_downgrades(const Exchange& exchange, net::HttpResponse& response);
  void put_output(const net::HttpRequest& request, Exchange& exchange, net::HttpResponse& response);
  // `status` 0: the one of the error's code.
  void put_problem(const Error& error, std::string_view request_id, net::HttpResponse& response,
                   int status = 0);
  void put_standard_headers(const net::HttpRequest& request, Exchange& exchange,
                            net::HttpResponse& response);
  void put_cors(const Exchange& exchange, net::HttpResponse& response) const;
  bool origin_allowed(std::string_view origin) const;
  void account(const net::HttpRequest& request, const Exchange& exchange, std::string_view route,
               const net::HttpResponse& response);

  operations::Router router_;
  Authenticator& authenticator_;
  ForwardAuth& forward_auth_;
  const StaticRoutes& routes_;
  const Clock& clock_;
  Audit& audit_;
  Log& log_;
  RestOptions options_;
  FastRandom ids_;
  RouteMetrics metrics_;
  std::array<Counter*, kDowngradeNames.size()> downgrades_{};
  operations::Admission* admission_ = nullptr;
  // What the request that came last is worked on with; one that is left to handle() keeps it.
  std::shared_ptr<Exchange> exchange_ = std::make_shared<Exchange>();
  std::vector<std::shared_ptr<Exchange>> spare_;
};

}  // namespace redoubt::faces
