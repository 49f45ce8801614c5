// Coroutines that carry requests which cannot be answered at once. Starting one costs as much as a
// good part of what such a request does, so one that has answered waits for another request.
//
// Threads: the server's.
#pragma once

#include "base/completion.hpp"
#include "net/http_server.hpp"
#include "wire/http1.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace redoubt::net {

class Carriers;
class HttpConnection;
struct ServerState;

// One coroutine, and the request that it has in hand with its answer, which outlive the scratch of
// the server. The coroutine owns it while it works, Carriers while it waits.
class Carrier {
 public:
  explicit Carrier(const std::shared_ptr<ServerState>& server);

  // Handles the request, then tells its connection (HttpConnection::resume()).
  // REQUIRES: all of what follows is filled in.
  static void carry(std::unique_ptr<Carrier> carrier);

  std::shared_ptr<HttpConnection> connection;  // Until it is answered.
  wire::RequestHead head;
  std::optional<HttpRequest> request;
  HttpResponse response;

 private:
  friend class Carriers;
  static boost::asio::awaitable<void> run(std::unique_ptr<Carrier> carrier);
  static bool keep(std::unique_ptr<Carrier>& carrier);
  static void wake(std::unique_ptr<Carrier> carrier);

  const std::weak_ptr<ServerState> server_;
  HttpHandler& handler_;
  bool started_ = false;
  Completion next_;
  std::unique_ptr<Carrier> owner_;  // Itself, between being woken and going on.
};

// Those of a server that wait.
class Carriers {
 public:
  // One that waits, or a new one.
  std::unique_ptr<Carrier> take(const std::shared_ptr<ServerState>& server);
  // They end, and from now on none waits. REQUIRES: before the end of the server's event loop.
  void dismiss();

 private:
  friend class Carrier;
  std::vector<std::unique_ptr<Carrier>> idle_;
  bool dismissed_ = false;
};

}  // namespace redoubt::net
