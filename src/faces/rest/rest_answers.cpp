// What every answer carries, whatever it is about: problems, standard fields, metrics, the access log.
#include "faces/rest/rest_handler.hpp"

#include "base/append.hpp"
#include "base/ids.hpp"
#include "faces/rest/header_lines.hpp"
#include "faces/rest/refusals.hpp"
#include "net/http_connection.hpp"
#include "operations/problem.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::faces {
namespace {

constexpr std::uint64_t kJitter = 3;  // Seconds, below this.

// "Server-Timing: app;dur=0.042": milliseconds.
void append_timing(std::string& out, std::int64_t microseconds) {
  const fmt::format_int whole(microseconds / 1000);
  const auto rest = static_cast<unsigned>(microseconds % 1000);
  const char digits[] = {'.', static_cast<char>('0' + rest / 100),
                         static_cast<char>('0' + rest / 10 % 10),
                         static_cast<char>('0' + rest % 10)};
  append_parts(out, "Server-Timing: app;dur=", std::string_view(whole.data(), whole.size()),
               std::string_view(digits, sizeof digits), "\r\n");
}

}  // namespace

std::string_view RestHandler::method_label(wire::HttpMethod method) {
  if (method == wire::HttpMethod::other) return "other";
  return operations::method_name(method_of(method));
}

void RestHandler::note_downgrades(Exchange& exchange) const {
  const Caller* caller = exchange.identity.caller.get();
  if (caller != nullptr && caller->by_grace) {
    const bool key = caller->kind == Caller::Kind::api_key;
    exchange.downgrades.note(key ? Downgrade::keys_grace : Downgrade::sessions_grace);
  }
  const auto& error = exchange.output.error;
  if (error && is_of_record(*error, options_.record_cut_off && options_.record_cut_off())) {
    exchange.downgrades.note(Downgrade::record_away);
  }
}

void RestHandler::put_downgrades(const Exchange& exchange, net::HttpResponse& response) {
  put_header(response.headers, "Redoubt-Mode", "degraded");
  std::string names;
  exchange.downgrades.each([&](std::size_t i) {
    downgrades_[i]->add();
    if (!names.empty()) names += ", ";
    names += kDowngradeNames[i];
  });
  put_header(response.headers, "Redoubt-Guarantee", names);
}

void RestHandler::put_output(const net::HttpRequest& request, Exchange& exchange,
                             net::HttpResponse& response) {
  note_downgrades(exchange);
  operations::OperationOutput& output = exchange.output;
  response.headers.swap(output.headers);
  if (output.error) {
    put_problem(*output.error, exchange.request_id, response,
                output.status >= 400 ? output.status : 0);
  } else {
    response.status = output.status;
    response.storage.swap(output.content_type_storage);
    response.content_type =
        response.storage.empty() ? output.content_type : std::string_view(response.storage);
    response.body.swap(output.body);
    if (response.status == 204 || response.status == 304) response.content_type = {};
  }
  put_standard_headers(request, exchange, response);
  const bool forward = exchange.route.operation == nullptr;
  account(request, exchange, forward ? ForwardAuth::kPath : exchange.route.operation->info.path,
          response);
}

void RestHandler::put_problem(const Error& error, std::string_view request_id,
                              net::HttpResponse& response, int status) {
  operations::Problem problem = operations::problem_of(error, request_id);
  if (status != 0 && status != problem.status) {
    problem.status = status;  // One that has no kind of error of its own says what it is.
    problem.title = net::reason_phrase(status);
  }
  response.status = static_cast<int>(problem.status);
  response.content_type = operations::kProblemContentType;
  response.body.clear();
  operations::write_problem(response.body, problem);
  if (response.status == 401) {
    put_header(response.headers, "WWW-Authenticate", R"(Bearer realm="redoubt")");
  }
  const std::int64_t wait_ms = error.retry_after.count();
  const bool has_retry = response.headers.find("Retry-After:") != std::string::npos;
  if ((wait_ms > 0 || response.status == 503) && !has_retry) {
    std::int64_t seconds = std::max<std::int64_t>(1, (wait_ms + 999) / 1000);
    // Or all who were refused at one moment would be back at one moment.
    if (response.status == 503) seconds += static_cast<std::int64_t>(ids_.next() % kJitter);
    put_header(response.headers, "Retry-After", std::to_string(seconds));
  }
  if (response.status >= 500) {
    log_.error("request.failed", {{"code", slug_of(error)},
                                  {"cause", error.cause.empty() ? error.message : error.cause},
                                  {"request_id", request_id}});
  }
}

void RestHandler::put_standard_headers(const net::HttpRequest& request, Exchange& exchange,
                                       net::HttpResponse& response) {
  std::string& out = response.headers;
  put_header(out, "X-Request-ID", exchange.request_id);
  if (!exchange.facts.traceparent.empty()) {
    put_header(out, "traceparent", exchange.facts.traceparent);
  }
  exchange.spent_ns = (clock_.boot() - request.received).count();
  append_timing(out, exchange.spent_ns / 1000);
  if (exchange.downgrades.any()) put_downgrades(exchange, response);
  // Browsers guess at what is not JSON; they are not to.
  if (response.content_type != "application/json") out += "X-Content-Type-Options: nosniff\r\n";
  if (!exchange.facts.origin.empty()) put_cors(exchange, response);
}

bool RestHandler::origin_allowed(std::string_view origin) const {
  return !origin.empty() && std::ranges::any_of(options_.cors_origins, [&](const std::string& o) {
    return o == "*" || o == origin;
  });
}

void RestHandler::put_cors(const Exchange& exchange, net::HttpResponse& response) const {
  if (!origin_allowed(exchange.facts.origin)) return;
  put_header(response.headers, "Access-Control-Allow-Origin", exchange.facts.origin);
  put_header(response.headers, "Vary", "Origin");
  put_header(response.headers, "Access-Control-Expose-Headers",
             "ETag, Idempotency-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, "
             "Server-Timing, "
             "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID, "
             "Redoubt-Cache, Redoubt-Fill-Lease, Redoubt-Mode, Redoubt-Guarantee");
}

void RestHandler::account(const net::HttpRequest& request, const Exchange& exchange,
                          std::string_view route, const net::HttpResponse& response) {
  const std::int64_t spent = exchange.spent_ns;
  metrics_.count(method_label(request.head.method), route, response.status, spent);
  const bool wanted = options_.access_log == AccessLogMode::all ||
                      (options_.access_log == AccessLogMode::errors && response.status >= 500);
  if (!wanted) return;
  // The path without its query: queries carry what people should not put there.
  log_.info("http.request",
            {{"method", request.head.method_text},
             {"path", request.head.path},
             {"status", response.status},
             {"ms", static_cast<double>(spent) / 1e6},
             {"client", exchange.client},
             {"principal", exchange.identity.caller
                               ? std::string_view(exchange.identity.caller->principal)
                               : std::string_view()},
             {"request_id", exchange.request_id},
             {"traceparent", exchange.facts.traceparent}});
}

void RestHandler::refuse(int status, std::string_view reason, net::HttpResponse& response) {
  Error error(Errc::invalid_argument, "http_refused", std::string(reason));
  if (status == 413) {
    error = Error(Errc::payload_too_large, "payload_too_large", std::string(reason));
  }
  if (status == 500) error.code = Errc::internal;
  std::string request_id;
  append_uuid7(request_id, clock_.wall(), ids_);
  put_problem(error, request_id, response, status);
  put_header(response.headers, "X-Request-ID", request_id);
  metrics_.count("other", kUnrouted, status, 0);
}

}  // namespace redoubt::faces
