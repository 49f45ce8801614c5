// One connection of an HTTP server: the state machine between the socket and the handler. Written
// once for plain and TLS streams.
//
//   reading --head and body complete--> answering --all answered, written--> reading
//      |                                   | needs a coroutine
//      |                                   v
//      |                                waiting --answered--> answering
//      +--refused, closed, too slow--> closed
#pragma once

#include "net/http_server.hpp"
#include "wire/chunked.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::net {

using tcp = boost::asio::ip::tcp;

// What the connections of one server share; lives as long as the last of them.
struct ServerState {
  ServerState(boost::asio::io_context& io_context, const Clock& the_clock, Log& the_log,
              HttpHandler& the_handler, HttpServerOptions the_options)
      : io(io_context),
        clock(the_clock),
        log(the_log),
        handler(the_handler),
        options(std::move(the_options)) {}

  boost::asio::io_context& io;
  const Clock& clock;
  Log& log;
  HttpHandler& handler;
  HttpServerOptions options;
  HttpServerCounters counters;
  std::string out;         // Scratch for the answers of one read.
  HttpResponse response;   // Scratch for answers that need no coroutine.
  wire::RequestHead head;  // Scratch for heads that need no coroutine.
  std::string date_line;   // "Date: ...\r\n", renewed by the tick.
  BootTime now;            // Renewed by the tick: what timeouts are measured with.
  bool draining = false;
};

class HttpConnection {
 public:
  virtual ~HttpConnection() = default;
  virtual void start() = 0;
  // Applies the slow-peer rules; closes the connection that breaks one.
  virtual void tick() = 0;
  virtual void drain() = 0;
  virtual void close() = 0;
  virtual bool closed() const = 0;
};

std::shared_ptr<HttpConnection> make_plain_connection(std::shared_ptr<ServerState> server,
                                                      tcp::socket socket);
std::shared_ptr<HttpConnection> make_tls_connection(std::shared_ptr<ServerState> server,
                                                    tcp::socket socket,
                                                    std::shared_ptr<boost::asio::ssl::context> tls);

// Renders status line, framing and fields of `response`; the body unless `head_only`.
void append_response(std::string& out, const HttpResponse& response, const std::string& date_line,
                     bool keep_alive, bool http10, bool head_only);
std::string_view reason_phrase(int status);

}  // namespace redoubt::net
