// The Upstash face: Redis over HTTP as Upstash serves it, for clients that only speak that
// (@upstash/redis, @upstash/ratelimit, our own REST transport), in front of any Redis.
//
//   UpstashFace face(parts, options);                  one per worker
//   UpstashHandler handler(face, "");                  for a listener of its own
//   UpstashHandler mounted(face, "/redis");            for a path of the main port: mount.hpp
//   every 15 s: face.ping();
//
// The client is best one of the face's own: RESP2, because then replies have exactly the shapes and
// texts that clients of Upstash expect (from RESP3 they are converted, and a double gets its
// shortest text), and with a deadline long enough for the commands of strangers.
//
// Every answer of this face is JSON with an `error` or a `result`, or what the format asked for:
// clients read nothing else.
//
//   status  error
//   400     the command failed, in Redis' words; or the request is not one
//   401     WRONGPASS invalid or missing auth token
//   403     NOPERM ...  a good credential without access here
//   405     the method; 413 the size
//   503     ERR Redis is not available: not executed. Retry-After says when to try again
//   503     ERR max concurrent requests exceeded: there is too much work already; not executed
//   504     ERR no answer from Redis in time: the command may have been executed
//
// A request may wait as long as the options say, and no longer than its Redoubt-Timeout-Ms.
//
// Threads: one per worker, on its executor.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "faces/rest/route_metrics.hpp"
#include "faces/upstash/access.hpp"
#include "faces/upstash/rules.hpp"
#include "faces/upstash/scripts.hpp"
#include "faces/upstash/streams.hpp"
#include "net/http_server.hpp"
#include "operations/admission.hpp"
#include "redis/client.hpp"
#include "wire/upstash.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>
#include <redoubt/tenants.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::faces {

struct UpstashOptions {
  std::vector<UpstashToken> tokens;
  UpstashRules rules;
  wire::upstash::Limits limits;
  Duration deadline{5'000};         // Of a request's commands, at most.
  std::size_t streams_max = 1'000;  // Of this worker.
};

struct UpstashParts {
  boost::asio::any_io_executor executor;
  redis::Client* client;  // Null: no Redis is configured; everything is answered by 503.
  ApiKeys& keys;
  const Clock& clock;
  Random& random;
  Log& log;
  Metrics& metrics;
  // Why Redis is not to be asked now, so that nobody waits for it; empty: it is. Null: never.
  std::function<std::string_view()> missing = {};
  operations::Admission* admission = nullptr;  // Null: nothing is refused for there being too much.
};

class UpstashFace {
 public:
  UpstashFace(const UpstashParts& parts, UpstashOptions options);
  ~UpstashFace();

  // `path` is the request's without the base.
  boost::asio::awaitable<void> handle(const net::HttpRequest& request, std::string_view path,
                                      net::HttpResponse& response);
  void refuse(int status, std::string_view reason, net::HttpResponse& response);

  // Keeps event streams alive.
  void ping();

 private:
  struct Exchange;

  // False of these six: it is answered.
  bool check_method(Exchange& exchange);
  bool take_grant(Result<UpstashGrant> grant, Exchange& exchange);
  bool read(Exchange& exchange);
  bool read_timeout(Exchange& exchange);
  bool has_redis(Exchange& exchange);
  bool take_place(Exchange& exchange);
  std::optional<Result<UpstashGrant>> grant_now(Exchange& exchange);
  void put_value(Exchange& exchange, Result<redis::Value> value, const wire::RedisCommand* known);
  boost::asio::awaitable<void> run_pipeline(Exchange& exchange);
  boost::asio::awaitable<void> run_transaction(Exchange& exchange);
  void open_stream(Exchange& exchange);
  std::expected<UpstashGatekeeper::Admitted, std::string> admit(
      Exchange& exchange, std::span<const std::string_view> arguments);
  redis::Value finished(redis::Value value, std::span<const std::string_view> arguments,
                        const wire::RedisCommand* known, const UpstashGrant& grant);
  void put_failure(const Error& error, net::HttpResponse& response);
  void put_error(int status, std::string_view text, net::HttpResponse& response);
  void put_sync_token(net::HttpResponse& response);

  const UpstashParts parts_;
  const UpstashOptions options_;
  UpstashTokens tokens_;
  UpstashGatekeeper gatekeeper_;
  UpstashScripts scripts_;
  std::unique_ptr<UpstashStreams> streams_;
  RouteMetrics routes_;
  std::string node_;
  std::uint64_t sequence_ = 0;
};

// One way to the face: what comes before its paths is `base`.
class UpstashHandler final : public net::HttpHandler {
 public:
  UpstashHandler(UpstashFace& face, std::string base) : face_(face), base_(std::move(base)) {}

  bool handle_now(const net::HttpRequest&, net::HttpResponse&) override { return false; }
  boost::asio::awaitable<void> handle(const net::HttpRequest& request,
                                      net::HttpResponse& response) override;
  void refuse(int status, std::string_view reason, net::HttpResponse& response) override;

 private:
  UpstashFace& face_;
  const std::string base_;
};

}  // namespace redoubt::faces
