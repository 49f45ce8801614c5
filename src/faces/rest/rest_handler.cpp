#include "faces/rest/rest_handler.hpp"

#include "base/ids.hpp"
#include "base/text.hpp"
#include "faces/rest/header_lines.hpp"

#include <algorithm>

namespace redoubt::faces {
namespace {

constexpr std::size_t kSpareMax = 256;  // Exchanges kept for reuse.

// Fields of the request, for operations that read them.
class Fields final : public operations::HeaderSource {
 public:
  explicit Fields(const wire::RequestHead& head) : head_(head) {}
  std::string_view header(std::string_view name) const override {
    for (std::size_t i = 0; i < head_.field_count; ++i) {
      if (iequals(head_.fields[i].name, name)) return head_.fields[i].value;
    }
    return {};
  }

 private:
  const wire::RequestHead& head_;
};

bool has_json_body(const operations::Operation& operation) {
  return std::ranges::any_of(operation.request_fields, [](const operations::FieldInfo& f) {
    return f.where == operations::Where::body;
  });
}

bool is_json(std::string_view content_type) {
  if (content_type == "application/json") return true;  // As nearly all of them write it.
  const std::string_view essence = trim(content_type.substr(0, content_type.find(';')));
  return iequals(essence, "application/json") || iequals(essence, "application/merge-patch+json");
}

const Caller& stranger() {
  static const Caller caller = [] {
    Caller c;
    c.tenant = kHomeTenant;
    return c;
  }();
  return caller;
}

// What the gate verifies when the credential was no good: it refuses, and charges the address.
constexpr std::string_view kNobodysToken = "rds_";

// Below the gate's path the query is the original request's: its sender must not choose the limits.
std::string_view own_query(const net::HttpRequest& request) {
  return request.head.path == ForwardAuth::kPath ? request.head.query : std::string_view();
}

bool is_nobody(const Identity& identity) {
  return !identity.caller || identity.caller->kind == Caller::Kind::anonymous;
}

}  // namespace

void RestHandler::Exchange::clear() {
  facts = {};
  request_id.clear();
  client = {};
  route.operation = nullptr;
  route.param_count = 0;
  identity = {};
  downgrades = {};
  identified = false;
  output.clear();
}

RestHandler::RestHandler(const operations::Registry& registry, Authenticator& authenticator,
                         ForwardAuth& forward_auth, const StaticRoutes& routes, const Clock& clock,
                         Random& random, Audit& audit, Log& log, Metrics& metrics,
                         RestOptions options)
    : router_(registry),
      authenticator_(authenticator),
      forward_auth_(forward_auth),
      routes_(routes),
      clock_(clock),
      audit_(audit),
      log_(log),
      options_(std::move(options)),
      ids_(random.next_u64()),
      metrics_(metrics) {
  for (std::size_t i = 0; i < kDowngradeNames.size(); ++i) {
    downgrades_[i] = &metrics.counter("redoubt_guarantee_downgrades_total",
                                      "Answers that guarantee less than usual, by what is less.",
                                      {{"guarantee", kDowngradeNames[i]}});
  }
}

void RestHandler::begin(const net::HttpRequest& request, Exchange& exchange) {
  exchange.clear();
  exchange.facts = read_facts(request.head);
  if (exchange.facts.request_id.empty()) {
    append_uuid7(exchange.request_id, clock_.wall(), ids_);
  } else {
    exchange.request_id = exchange.facts.request_id;
  }
  exchange.client = options_.proxies.client_address(request.peer_address, request.head);
  exchange.deadline = request.received + options_.request_deadline;
  if (const auto asked = asked_timeout(exchange.facts.timeout_ms); asked && *asked > Duration(0)) {
    exchange.deadline = request.received + std::min(*asked, options_.request_deadline);
  }
}

// What cannot be meant is not guessed at: whoever sends it would wait for another time than he
// thinks.
bool RestHandler::answer_bad_timeout(const net::HttpRequest& request, Exchange& exchange,
                                     net::HttpResponse& response) {
  if (asked_timeout(exchange.facts.timeout_ms)) return false;
  put_problem(invalid_argument("header.Redoubt-Timeout-Ms", std::string(kTimeoutRange), "range"),
              exchange.request_id, response);
  put_standard_headers(request, exchange, response);
  account(request, exchange, kUnrouted, response);
  return true;
}

Context RestHandler::context_of(Exchange& exchange) const {
  const Identity& identity = exchange.identity;
  return Context{.caller = identity.caller ? *identity.caller : stranger(),
                 .request_id = exchange.request_id,
                 .client_address = exchange.client,
                 .user_agent = exchange.facts.user_agent,
                 .session = identity.session ? &*identity.session : nullptr,
                 .deadline = exchange.deadline,
                 .downgrades = &exchange.downgrades};
}

// ---- What is no operation ----

operations::Method RestHandler::method_of(wire::HttpMethod method) {
  using operations::Method;
  switch (method) {
    case wire::HttpMethod::get:
      return Method::get;
    case wire::HttpMethod::head:
      return Method::head;
    case wire::HttpMethod::post:
      return Method::post;
    case wire::HttpMethod::put:
      return Method::put;
    case wire::HttpMethod::patch:
      return Method::patch;
    case wire::HttpMethod::del:
      return Method::del;
    case wire::HttpMethod::options:
    case wire::HttpMethod::other:
      return Method::options;
  }
  return Method::options;
}

bool RestHandler::answer_static(const net::HttpRequest& request, Exchange& exchange,
                                net::HttpResponse& response) {
  const auto* route = routes_.find(request.head.path);
  if (route == nullptr) return false;
  const bool get =
      request.head.method == wire::HttpMethod::get || request.head.method == wire::HttpMethod::head;
  if (get) {
    route->second(request, response);
  } else {
    Error error(Errc::invalid_argument, "method_not_allowed", "this path answers GET only");
    put_problem(error, exchange.request_id, response, 405);
    put_header(response.headers, "Allow", "GET, HEAD");
  }
  put_standard_headers(request, exchange, response);
  account(request, exchange, route->first, response);
  return true;
}

bool RestHandler::answer_preflight(const net::HttpRequest& request, Exchange& exchange,
                                   net::HttpResponse& response) {
  if (request.head.method != wire::HttpMethod::options || exchange.facts.cors_method.empty() ||
      !origin_allowed(exchange.facts.origin)) {
    return false;
  }
  response.status = 204;
  put_header(response.headers, "Access-Control-Allow-Methods",
             "GET, HEAD, POST, PUT, PATCH, DELETE");
  put_header(response.headers, "Access-Control-Allow-Headers",
             "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-API-Key, "
             "X-Request-ID, traceparent, Redoubt-Fill-Lease, Redoubt-Timeout-Ms");
  put_header(response.headers, "Access-Control-Max-Age", "600");
  put_standard_headers(request, exchange, response);
  account(request, exchange, kUnrouted, response);
  return true;
}

bool RestHandler::answer_unrouted(const net::HttpRequest& request, Exchange& exchange,
                                  net::HttpResponse& response) {
  using Status = operations::RouteMatch::Status;
  if (exchange.route.status == Status::method_not_allowed) {
    Error error(Errc::invalid_argument, "method_not_allowed",
                "this path answers " + std::string(exchange.route.allow) + " only");
    put_problem(error, exchange.request_id, response, 405);
    put_header(response.headers, "Allow", exchange.route.allow);
  } else if (exchange.route.status == Status::bad_path) {
    put_problem(invalid_argument("path", "a bad percent-escape in the path"), exchange.request_id,
                response);
  } else {
    Error error(Errc::not_found, "route_not_found",
                "no such path; /docs lists what there is, /openapi.json describes it");
    put_problem(error, exchange.request_id, response);
  }
  put_standard_headers(request, exchange, response);
  account(request, exchange, kUnrouted, response);
  return true;
}

// Two keys, or one that says nothing: what was meant is not guessed at, as whoever sends it relies
// on it. Those of a request that a proxy asks about are for the server behind it.
bool RestHandler::answer_doubtful_key(const net::HttpRequest& request, Exchange& exchange,
                                      net::HttpResponse& response) {
  if (!exchange.facts.doubtful_key) return false;
  put_problem(invalid_argument("header.Idempotency-Key", "must be one field with a key in it"),
              exchange.request_id, response);
  put_standard_headers(request, exchange, response);
  account(request, exchange, kUnrouted, response);
  return true;
}

// Two credentials: this server and the backend behind it might each believe another one.
bool RestHandler::answer_doubtful(const net::HttpRequest& request, Exchange& exchange,
                                  net::HttpResponse& response) {
  if (!exchange.facts.repeated_credential) return false;
  put_problem(invalid_argument("header.Authorization",
                               "send one Authorization or X-API-Key field, not several"),
              exchange.request_id, response);
  put_standard_headers(request, exchange, response);
  account(request, exchange, kUnrouted, response);
  return true;
}

bool RestHandler::answer_without_operation(const net::HttpRequest& request, Exchange& exchange,
                                           net::HttpResponse& response) {
  if (answer_doubtful(request, exchange, response)) return true;
  if (answer_bad_timeout(request, exchange, response)) return true;
  // Whatever is asked there is the gate's question; a preflight would be a yes to it.
  if (ForwardAuth::serves(request.head.path)) return false;
  if (answer_doubtful_key(request, exchange, response)) return true;
  router_.match(method_of(request.head.method), request.head.path, exchange.route);
  if (exchange.route.status == operations::RouteMatch::Status::found) return false;
  return answer_static(request, exchange, response) ||
         answer_preflight(request, exchange, response) ||
         answer_unrouted(request, exchange, response);
}

// ---- Operations ----

bool RestHandler::check_content_type(const net::HttpRequest& request, Exchange& exchange) const {
  if (request.body.empty() || is_json(exchange.facts.content_type) ||
      !has_json_body(*exchange.route.operation)) {
    return true;
  }
  Error error(Errc::invalid_argument, "unsupported_media_type",
              "send the body as Content-Type: application/json");
  exchange.output.error = std::move(error);
  exchange.output.status = 415;
  return false;
}

bool RestHandler::handle_now(const net::HttpRequest& request, net::HttpResponse& response) {
  Exchange& exchange = *exchange_;
  begin(request, exchange);
  if (answer_without_operation(request, exchange, response)) return true;
  const bool forward = ForwardAuth::serves(request.head.path);
  const bool is_public = !forward && exchange.route.operation->info.is_public;
  if (!is_public) {
    auto identity = authenticator_.now(credential_of(exchange, forward));
    if (!identity) return leave(response);
    take_identity(std::move(*identity), exchange, forward);
  }
  exchange.identified = true;
  if (!exchange.output.error &&
      !(forward ? forward_now(request, exchange) : operate_now(request, exchange))) {
    return leave(response);
  }
  put_output(request, exchange, response);
  return true;
}

std::string_view RestHandler::credential_of(const Exchange& exchange, bool forward) {
  return forward ? ForwardAuth::credential(exchange.facts) : faces::credential_of(exchange.facts);
}

// The gate decides itself what becomes of nobody.
void RestHandler::take_identity(Result<Identity> identity, Exchange& exchange, bool forward) {
  if (identity) {
    exchange.identity = std::move(*identity);
  } else if (!forward || identity.error().code != Errc::unauthenticated) {
    exchange.output.error = std::move(identity).error();
  }
}

bool RestHandler::leave(net::HttpResponse& response) {
  response.kept = std::move(exchange_);
  if (spare_.empty()) {
    exchange_ = std::make_shared<Exchange>();
  } else {
    exchange_ = std::move(spare_.back());
    spare_.pop_back();
  }
  return false;
}

bool RestHandler::authorize(const Context& context, Exchange& exchange) {
  const operations::OperationInfo& info = exchange.route.operation->info;
  auto allowed = operations::authorize(info, context.caller);
  if (allowed) return true;
  const Error& error = exchange.output.error.emplace(std::move(allowed).error());
  if (error.code == Errc::permission_denied) audit_.note_refusal(context, info.id, error.slug);
  return false;
}

bool RestHandler::operate_now(const net::HttpRequest& request, Exchange& exchange) {
  const operations::Operation& operation = *exchange.route.operation;
  const Context context = context_of(exchange);
  if (!authorize(context, exchange)) return true;
  if (!check_content_type(request, exchange)) return true;
  if (!operation.now) return false;
  const Fields fields(request.head);
  return operation.now(context, input_of(request, exchange, fields), exchange.output);
}

operations::OperationInput RestHandler::input_of(const net::HttpRequest& request,
                                                 const Exchange& exchange,
                                                 const operations::HeaderSource& fields) {
  return {.path = exchange.route.params(),
          .query = request.head.query,
          .body = request.body,
          .content_type = exchange.facts.content_type,
          .idempotency_key = exchange.facts.idempotency_key,
          .headers = &fields};
}

Result<GateRequest> RestHandler::forward_request(const net::HttpRequest& request,
                                                 const Exchange& exchange) {
  RD_TRY(asked, forward_auth_.read(own_query(request)));
  GateRequest own = *asked;
  if (is_nobody(exchange.identity)) own.token = kNobodysToken;
  return own;
}

bool RestHandler::forward_now(const net::HttpRequest& request, Exchange& exchange) {
  auto asked = forward_auth_.read(own_query(request));
  if (!asked) {
    exchange.output.error = std::move(asked).error();
    return true;
  }
  const Context context = context_of(exchange);
  if (!is_nobody(exchange.identity)) {
    return forward_auth_.decide_now(context, **asked, exchange.output);
  }
  GateRequest own = **asked;
  own.token = kNobodysToken;
  return forward_auth_.decide_now(context, own, exchange.output);
}

// Goes on where handle_now() left it.
boost::asio::awaitable<void> RestHandler::handle(const net::HttpRequest& request,
                                                 net::HttpResponse& response) {
  const auto kept = std::static_pointer_cast<Exchange>(std::exchange(response.kept, nullptr));
  Exchange& exchange = *kept;
  const bool forward = ForwardAuth::serves(request.head.path);
  if (!exchange.identified) {
    std::string credential(credential_of(exchange, forward));
    auto identity = co_await authenticator_.later(std::move(credential));
    take_identity(std::move(identity), exchange, forward);
  }
  const Context context = context_of(exchange);
  if (exchange.output.error) {
    // Nothing else is looked at.
  } else if (forward) {
    co_await forward_later(context, request, exchange);
  } else if (may_operate(context, request, exchange)) {
    co_await operate_later(context, request, exchange);
  }
  put_output(request, exchange, response);
  if (spare_.size() < kSpareMax) spare_.push_back(kept);
}

Result<operations::Admission::Place> RestHandler::admit(operations::Priority priority,
                                                        const std::string& tenant) {
  if (admission_ == nullptr) return operations::Admission::Place();
  return admission_->admit(priority, tenant);
}

bool RestHandler::may_operate(const Context& context, const net::HttpRequest& request,
                              Exchange& exchange) {
  if (!authorize(context, exchange) || !check_content_type(request, exchange)) return false;
  if (clock_.boot() <= exchange.deadline) return true;
  exchange.output.error =
      Error(Errc::deadline_exceeded, "", "the deadline passed before the work began");
  return false;
}

boost::asio::awaitable<void> RestHandler::operate_later(const Context& context,
                                                        const net::HttpRequest& request,
                                                        Exchange& exchange) {
  const operations::Operation& operation = *exchange.route.operation;
  const auto admitted = admit(operation.info.priority, context.caller.tenant);
  if (!admitted) {
    exchange.output.error = admitted.error();
    co_return;
  }
  const Fields fields(request.head);
  const operations::OperationInput input = input_of(request, exchange, fields);
  // Of a caller who was not known at once, it has not been asked.
  const bool unasked = !exchange.identified && operation.now;
  if (unasked && operation.now(context, input, exchange.output)) co_return;
  co_await operation.run(context, input, exchange.output);
}

boost::asio::awaitable<void> RestHandler::forward_later(const Context& context,
                                                        const net::HttpRequest& request,
                                                        Exchange& exchange) {
  auto asked = forward_request(request, exchange);
  if (!asked) {
    exchange.output.error = std::move(asked).error();
    co_return;
  }
  const auto admitted = admit(operations::Priority::session, context.caller.tenant);
  if (!admitted) {
    exchange.output.error = admitted.error();
    co_return;
  }
  co_await forward_auth_.decide(context, std::move(*asked), exchange.output);
}

}  // namespace redoubt::faces
