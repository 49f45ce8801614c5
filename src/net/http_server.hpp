// The HTTP/1.1 server of one worker: a listener with SO_REUSEPORT, its connections, and the loop
// that reads, hands requests to a handler and writes answers.
//
// All requests that arrived together are answered in one write. A handler that can answer at once
// does so without a coroutine and without an allocation; the others run as a coroutine while the
// connection waits, its input untouched, so that the request's views stay good.
//
// Slow peers are told by a tick, not by a timer per read: a head must be complete in 10 s, head and
// body must arrive at 500 B/s after 5 s, an answer must be taken within 10 s of progress, an idle
// connection goes after 75 s (reliability: slowloris, R-U-Dead-Yet).
//
// Threads: everything on the worker's io_context, but stop functions and counters where said.
#pragma once

#include "base/log.hpp"
#include "net/http_stream.hpp"
#include "wire/http1.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt::net {

class TlsContext;  // net/tls.hpp

struct HttpServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 3284;  // 0: any free one.
  bool must_be_free = true;   // Of the first worker; the others share its port.
  wire::HeadLimits head;
  std::size_t body_max = 1 << 20;
  std::size_t connections_max = 10'000;  // Of this worker.
  std::chrono::seconds idle_timeout{75};
  std::chrono::seconds head_timeout{10};
  std::chrono::seconds body_timeout{30};
  std::chrono::seconds write_timeout{10};
  std::chrono::seconds rate_grace{5};
  std::size_t rate_min = 500;              // Bytes per second, after the grace.
  std::size_t stream_queue_max = 1 << 20;  // What a stream's peer may leave untaken.
};

// Good until the answer is complete.
struct HttpRequest {
  const wire::RequestHead& head;
  std::string_view body;
  std::string_view peer_address;  // Textual, without port.
  bool tls = false;
  BootTime received;
};

struct HttpResponse {
  int status = 200;
  std::string_view content_type;  // Empty: no body is announced (204, 304). Static or in storage.
  std::string headers;            // "Name: value\r\n" lines.
  std::string body;
  std::string storage;  // For a content type made at run time.
  bool close = false;
  StreamStart stream;  // Set: the body goes on (http_stream.hpp); `body` is its beginning.
  // What handle_now() has found out by the time it leaves the request to handle().
  std::shared_ptr<void> kept;

  void clear();  // Keeps the capacity of the strings.
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // True: `response` is complete. False: handle() is to be called, with what was kept.
  virtual bool handle_now(const HttpRequest& request, HttpResponse& response) = 0;
  virtual boost::asio::awaitable<void> handle(const HttpRequest& request,
                                              HttpResponse& response) = 0;
  // A request that could not be read: the answer in the handler's own error format.
  virtual void refuse(int status, std::string_view reason, HttpResponse& response) = 0;
  // Whose error format that is, once the head was read: this one's, unless it hands requests on.
  virtual HttpHandler& answering(const wire::RequestHead&) { return *this; }
};

struct HttpServerCounters {  // Any thread may read.
  std::atomic<std::int64_t> open{0};
  std::atomic<std::int64_t> accepted{0};
  std::atomic<std::int64_t> refused{0};    // Over connections_max, or no descriptors left.
  std::atomic<std::int64_t> timed_out{0};  // Closed by a slow-peer rule.
  std::atomic<std::int64_t> in_flight{0};  // Requests waiting for a coroutine.
  std::atomic<std::int64_t> streams{0};    // Responses that go on.
};

class HttpServer {
 public:
  virtual ~HttpServer() = default;

  // Errors: unavailable "listen_failed" naming address and port (in use, no permission).
  virtual Result<void> listen() = 0;
  virtual std::uint16_t port() const = 0;

  // Stops accepting; idle connections close now, others after the answer they wait for.
  virtual void drain() = 0;
  // Closes what is left, answered or not.
  virtual void close_all() = 0;

  virtual const HttpServerCounters& counters() const = 0;
};

std::unique_ptr<HttpServer> make_http_server(boost::asio::io_context& io, const Clock& clock,
                                             Log& log, HttpHandler& handler,
                                             HttpServerOptions options,
                                             std::shared_ptr<TlsContext> tls = nullptr);

}  // namespace redoubt::net
