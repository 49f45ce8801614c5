#include "faces/upstash/face.hpp"

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "faces/rest/request_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace redoubt::faces {
namespace {

namespace asio = boost::asio;
using redis::Value;
using wire::HttpMethod;
using wire::upstash::Format;
using wire::upstash::Kind;

constexpr std::string_view kWrongPass = "WRONGPASS invalid or missing auth token";
constexpr std::string_view kAway = "ERR Redis is not available";
constexpr std::string_view kTooMuch = "ERR max concurrent requests exceeded";

struct Facts {
  std::string_view authorization;
  std::string_view encoding;
  std::string_view format;
  std::string_view timeout_ms;
  bool repeated = false;
};

Facts facts_of(const wire::RequestHead& head) {
  Facts facts;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const wire::Field& field = head.fields[i];
    if (wire::ascii_iequals(field.name, "authorization")) {
      facts.repeated = !facts.authorization.empty();
      facts.authorization = field.value;
    } else if (wire::ascii_iequals(field.name, "upstash-encoding")) {
      facts.encoding = field.value;
    } else if (wire::ascii_iequals(field.name, "upstash-response-format")) {
      facts.format = field.value;
    } else if (wire::ascii_iequals(field.name, "redoubt-timeout-ms")) {
      facts.timeout_ms = field.value;
    }
  }
  return facts;
}

std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() ||
      !wire::ascii_iequals(authorization.substr(0, kScheme.size()), kScheme)) {
    return {};
  }
  return trim(authorization.substr(kScheme.size()));
}

std::string_view method_label(HttpMethod method) {
  switch (method) {
    case HttpMethod::get:
      return "GET";
    case HttpMethod::head:
      return "HEAD";
    case HttpMethod::post:
      return "POST";
    case HttpMethod::put:
      return "PUT";
    default:
      return "other";
  }
}

std::string_view route_of(Kind kind) {
  switch (kind) {
    case Kind::command:
      return "/redis";
    case Kind::pipeline:
      return "/redis/pipeline";
    case Kind::transaction:
      return "/redis/multi-exec";
    case Kind::subscribe:
    case Kind::psubscribe:
      return "/redis/subscribe";
    case Kind::monitor:
      return "/redis/monitor";
  }
  return "/redis";
}

// What nobody keeps goes before what somebody waits for; what looks through all keys, first.
operations::Priority priority_of(const wire::upstash::Request& commands) {
  if (commands.kind == Kind::pipeline || commands.kind == Kind::transaction) {
    return operations::Priority::ordinary;
  }
  if (commands.kind != Kind::command) return operations::Priority::ephemeral;
  const std::span<const std::string_view> arguments = commands.command(0);
  const std::string_view name = arguments.empty() ? std::string_view() : arguments.front();
  const auto is = [name](std::string_view other) { return wire::ascii_iequals(name, other); };
  if (is("keys") || is("scan")) return operations::Priority::listing;
  return is("publish") ? operations::Priority::ephemeral : operations::Priority::ordinary;
}

bool is_unknown(const Error& error) {
  return error.slug == "redis_unknown_outcome" || error.code == Errc::deadline_exceeded;
}

std::string text_of(const Error& error) {
  if (is_unknown(error)) {
    return "ERR no answer from Redis in time: the command may have been executed";
  }
  if (error.code == Errc::unavailable) return fmt::format("{}: {}", kAway, error.message);
  return "ERR " + error.message;
}

}  // namespace

// One request on its way through.
struct UpstashFace::Exchange {
  const net::HttpRequest& request;
  std::string_view path;
  net::HttpResponse& response;
  Facts facts = {};
  std::string token = {};  // From the query.
  std::string_view credential = {};
  UpstashGrant grant = {};
  wire::upstash::Request commands = {};
  Format format = Format::json;
  Duration deadline{0};  // Of its commands.
  std::optional<operations::Admission::Place> place = {};
};

UpstashFace::UpstashFace(const UpstashParts& parts, UpstashOptions options)
    : parts_(parts),
      options_(std::move(options)),
      tokens_(parts.keys, options_.tokens, options_.rules.tenant_prefix),
      gatekeeper_(options_.rules),
      routes_(parts.metrics) {
  std::array<std::uint8_t, 6> id;
  parts.random.fill(id);
  node_ = to_base64url(id);
  if (parts_.client != nullptr) {
    streams_ = std::make_unique<UpstashStreams>(parts_.executor, *parts_.client, gatekeeper_,
                                                parts_.metrics, options_.streams_max);
  }
}

UpstashFace::~UpstashFace() = default;

void UpstashFace::ping() {
  if (streams_) streams_->ping();
}

// ---- Answers ----

void UpstashFace::put_error(int status, std::string_view text, net::HttpResponse& response) {
  response.status = status;
  response.content_type = "application/json";
  response.body.clear();
  wire::upstash::append_error(response.body, text);
  if (status == 503) response.headers += "Retry-After: 1\r\n";
  if (status == 405) response.headers += "Allow: GET, HEAD, POST, PUT\r\n";
}

void UpstashFace::put_failure(const Error& error, net::HttpResponse& response) {
  const int status = is_unknown(error)                 ? 504
                     : error.code == Errc::unavailable ? 503
                     : error.code == Errc::internal    ? 500
                                                       : 400;
  if (status == 500) {
    parts_.log.error("upstash.failed", {{"code", slug_of(error)}, {"cause", error.cause}});
  }
  put_error(status, text_of(error), response);
}

// Reads go to the master, so any later token sees all earlier writes.
void UpstashFace::put_sync_token(net::HttpResponse& response) {
  response.headers += "Upstash-Sync-Token: ";
  response.headers += node_;
  response.headers += ':';
  response.headers += std::to_string(++sequence_);
  response.headers += "\r\n";
}

void UpstashFace::refuse(int status, std::string_view reason, net::HttpResponse& response) {
  std::string text = "ERR ";
  text += status == 413 ? "max request size exceeded" : reason;
  put_error(status, text, response);
  put_sync_token(response);
  routes_.count("other", "/redis", status, 0);
}

// ---- A request ----

asio::awaitable<void> UpstashFace::handle(const net::HttpRequest& request, std::string_view path,
                                          net::HttpResponse& response) {
  Exchange exchange{.request = request, .path = path, .response = response};
  bool good = check_method(exchange);
  if (good) {
    auto grant = grant_now(exchange);
    if (!grant) grant = co_await tokens_.later(std::string(exchange.credential));
    good = take_grant(std::move(*grant), exchange);
  }
  if (!good || !read(exchange) || !read_timeout(exchange) || !has_redis(exchange) ||
      !take_place(exchange)) {
    // It is answered.
  } else if (exchange.commands.kind == Kind::command) {
    // Most requests: without a coroutine of its own.
    auto admitted = admit(exchange, exchange.commands.command(0));
    if (admitted) {
      auto value = co_await parts_.client->run(std::move(admitted->command));
      put_value(exchange, std::move(value), admitted->known);
    } else {
      put_value(exchange, Value::error(std::move(admitted).error()), nullptr);
    }
  } else if (exchange.commands.kind == Kind::pipeline) {
    co_await run_pipeline(exchange);
  } else if (exchange.commands.kind == Kind::transaction) {
    co_await run_transaction(exchange);
  } else {
    open_stream(exchange);
  }
  put_sync_token(response);
  routes_.count(method_label(request.head.method), route_of(exchange.commands.kind),
                response.status, (parts_.clock.boot() - request.received).count());
}

bool UpstashFace::check_method(Exchange& exchange) {
  switch (exchange.request.head.method) {
    case HttpMethod::get:
    case HttpMethod::head:
    case HttpMethod::post:
    case HttpMethod::put:
      return true;
    default:
      put_error(405, "ERR method not allowed: GET, HEAD, POST and PUT are", exchange.response);
      return false;
  }
}

// Empty: the record knows.
std::optional<Result<UpstashGrant>> UpstashFace::grant_now(Exchange& exchange) {
  exchange.facts = facts_of(exchange.request.head);
  if (exchange.facts.repeated) {
    return Result<UpstashGrant>(fail(unauthenticated("credential_unknown", {})));
  }
  exchange.credential = bearer(exchange.facts.authorization);
  if (exchange.facts.authorization.empty()) {
    exchange.token = wire::upstash::token_in_query(exchange.request.head.query).value_or("");
    exchange.credential = exchange.token;
  }
  return tokens_.now(exchange.credential);
}

bool UpstashFace::take_grant(Result<UpstashGrant> grant, Exchange& exchange) {
  if (grant) {
    exchange.grant = *std::move(grant);
    return true;
  }
  if (grant.error().code == Errc::unauthenticated) {
    put_error(401, kWrongPass, exchange.response);
  } else if (grant.error().code == Errc::permission_denied) {
    put_error(403, "NOPERM " + grant.error().message, exchange.response);
  } else {
    put_failure(grant.error(), exchange.response);
  }
  return false;
}

bool UpstashFace::has_redis(Exchange& exchange) {
  std::string_view missing;
  if (parts_.client == nullptr) {
    missing = "none is configured";
  } else if (parts_.missing) {
    missing = parts_.missing();
  }
  if (missing.empty()) return true;
  put_error(503, fmt::format("{}: {}", kAway, missing), exchange.response);
  return false;
}

bool UpstashFace::take_place(Exchange& exchange) {
  const auto waited = parts_.clock.boot() - exchange.request.received;
  exchange.deadline -= std::chrono::floor<Duration>(waited);
  if (exchange.deadline <= Duration(0)) {
    put_error(503, fmt::format("{}: not begun in time", kTooMuch), exchange.response);
    return false;
  }
  if (parts_.admission == nullptr) return true;
  auto place = parts_.admission->admit(priority_of(exchange.commands), exchange.grant.tenant);
  if (!place) {
    put_error(503, fmt::format("{}: {}", kTooMuch, place.error().message), exchange.response);
    return false;
  }
  exchange.place.emplace(*std::move(place));
  return true;
}

bool UpstashFace::read(Exchange& exchange) {
  const net::HttpRequest& request = exchange.request;
  const auto commands = wire::upstash::read_request(exchange.path, request.head.query, request.body,
                                                    options_.limits, exchange.commands);
  if (!commands) {
    put_error(400, commands.error(), exchange.response);
    return false;
  }
  const auto format = wire::upstash::read_format(exchange.facts.encoding, exchange.facts.format,
                                                 exchange.commands.kind);
  if (!format) {
    put_error(400, format.error(), exchange.response);
    return false;
  }
  exchange.format = *format;
  return true;
}

bool UpstashFace::read_timeout(Exchange& exchange) {
  const auto asked = asked_timeout(exchange.facts.timeout_ms);
  if (!asked) {
    put_error(400, fmt::format("ERR Redoubt-Timeout-Ms {}", kTimeoutRange), exchange.response);
    return false;
  }
  const Duration most = options_.deadline;
  exchange.deadline = *asked > Duration(0) ? std::min(*asked, most) : most;
  return true;
}

std::expected<UpstashGatekeeper::Admitted, std::string> UpstashFace::admit(
    Exchange& exchange, std::span<const std::string_view> arguments) {
  auto admitted = gatekeeper_.admit(scripts_.translate(arguments), exchange.grant);
  if (admitted) admitted->command.within(exchange.deadline);
  return admitted;
}

Value UpstashFace::finished(Value value, std::span<const std::string_view> arguments,
                            const wire::RedisCommand* known, const UpstashGrant& grant) {
  if (known != nullptr && known->name == "SCRIPT" && !value.is_error()) {
    if (std::string sha = UpstashScripts::loaded_sha(arguments); !sha.empty()) {
      return Value::bulk(std::move(sha));
    }
  }
  return gatekeeper_.reply(std::move(value), known, grant);
}

void UpstashFace::put_value(Exchange& exchange, Result<Value> value,
                            const wire::RedisCommand* known) {
  if (!value) return put_failure(value.error(), exchange.response);
  const Value reply =
      finished(*std::move(value), exchange.commands.command(0), known, exchange.grant);
  exchange.response.status = reply.is_error() && exchange.format != Format::resp2 ? 400 : 200;
  exchange.response.content_type = wire::upstash::content_type(exchange.format);
  wire::upstash::append_reply(exchange.response.body, reply, exchange.format);
}

// What became of each: refused here, or sent and answered. Refused ones have an error already.
asio::awaitable<void> UpstashFace::run_pipeline(Exchange& exchange) {
  const std::size_t count = exchange.commands.size();
  std::vector<redis::Command> sent;
  std::vector<Value> replies(count);
  std::vector<const wire::RedisCommand*> known(count, nullptr);
  std::vector<std::size_t> places;
  sent.reserve(count);
  places.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    auto admitted = admit(exchange, exchange.commands.command(i));
    if (!admitted) {
      replies[i] = Value::error(std::move(admitted).error());
      continue;
    }
    known[i] = admitted->known;
    places.push_back(i);
    sent.push_back(std::move(admitted->command));
  }
  std::vector<Result<Value>> results;
  if (!sent.empty()) results = co_await parts_.client->run_all(std::move(sent));
  const auto away = [](const Result<Value>& result) {
    return !result && result.error().code == Errc::unavailable;
  };
  if (!results.empty() && std::ranges::all_of(results, away)) {
    put_failure(results.front().error(), exchange.response);
    co_return;
  }
  for (std::size_t k = 0; k < results.size(); ++k) {
    const std::size_t i = places[k];
    replies[i] = results[k] ? finished(*std::move(results[k]), exchange.commands.command(i),
                                       known[i], exchange.grant)
                            : Value::error(text_of(results[k].error()));
  }
  std::string& body = exchange.response.body;
  exchange.response.content_type = wire::upstash::content_type(exchange.format);
  wire::upstash::begin_replies(body, count, exchange.format);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) wire::upstash::separate_replies(body, exchange.format);
    wire::upstash::append_reply(body, replies[i], exchange.format);
  }
  wire::upstash::end_replies(body, exchange.format);
}

asio::awaitable<void> UpstashFace::run_transaction(Exchange& exchange) {
  const std::size_t count = exchange.commands.size();
  std::vector<redis::Command> sent;
  std::vector<const wire::RedisCommand*> known;
  for (std::size_t i = 0; i < count; ++i) {
    auto admitted = admit(exchange, exchange.commands.command(i));
    if (!admitted) {
      put_error(400, admitted.error(), exchange.response);
      co_return;
    }
    known.push_back(admitted->known);
    sent.push_back(std::move(admitted->command));
  }
  Result<std::vector<Value>> replies = co_await parts_.client->transaction(std::move(sent));
  if (!replies) {
    const Error& error = replies.error();
    if (error.slug == "redis_exec_abort") {
      put_error(400, error.message, exchange.response);
    } else {
      put_failure(error, exchange.response);
    }
    co_return;
  }
  std::string& body = exchange.response.body;
  exchange.response.content_type = "application/json";
  wire::upstash::begin_replies(body, count, exchange.format);
  for (std::size_t i = 0; i < replies->size(); ++i) {
    if (i > 0) wire::upstash::separate_replies(body, exchange.format);
    const Value reply =
        finished(std::move((*replies)[i]), exchange.commands.command(i), known[i], exchange.grant);
    wire::upstash::append_reply(body, reply, exchange.format);
  }
  wire::upstash::end_replies(body, exchange.format);
}

// ---- Streams ----

void UpstashFace::open_stream(Exchange& exchange) {
  net::HttpResponse& response = exchange.response;
  const auto names = exchange.commands.command(0);
  if (exchange.commands.kind == Kind::monitor) {
    if (!gatekeeper_.may_monitor(exchange.grant)) {
      return put_error(400, UpstashGatekeeper::not_permitted("monitor"), response);
    }
  } else if (names.size() < 2) {
    return put_error(
        400, fmt::format("ERR wrong number of arguments for '{}' command", to_lower(names[0])),
        response);
  }
  if (streams_->full()) return put_error(503, "ERR max requests limit exceeded", response);
  if (!parts_.client->status().connected) {
    return put_error(503, kAway, response);
  }
  UpstashStreams::Wish wish{.grant = exchange.grant,
                            .names = {},
                            .patterns = exchange.commands.kind == Kind::psubscribe,
                            .monitor = exchange.commands.kind == Kind::monitor};
  for (const std::string_view name : names.subspan(1)) {
    auto channel = gatekeeper_.channel(name, exchange.grant);
    if (!channel) return put_error(400, channel.error(), response);
    wish.names.push_back({.shown = std::string(name), .channel = *std::move(channel)});
  }
  response.content_type = "text/event-stream";
  response.headers += "Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\n";
  response.stream = [this, wish = std::move(wish)](std::shared_ptr<net::ResponseStream> stream) {
    streams_->follow(wish, std::move(stream));
  };
}

// ---- The way in ----

asio::awaitable<void> UpstashHandler::handle(const net::HttpRequest& request,
                                             net::HttpResponse& response) {
  std::string_view path = request.head.path;
  if (path.starts_with(base_)) path.remove_prefix(base_.size());
  return face_.handle(request, path, response);
}

void UpstashHandler::refuse(int status, std::string_view reason, net::HttpResponse& response) {
  face_.refuse(status, reason, response);
}

}  // namespace redoubt::faces
