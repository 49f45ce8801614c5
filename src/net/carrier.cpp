#include "net/carrier.hpp"

#include "net/http_connection.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <utility>

namespace redoubt::net {
namespace {

constexpr std::size_t kIdleMax = 256;         // Kept for reuse,
constexpr std::size_t kBodyKept = 64 * 1024;  // and the body of each.

}  // namespace

Carrier::Carrier(const std::shared_ptr<ServerState>& server)
    : server_(server), handler_(server->handler) {}

void Carrier::carry(std::unique_ptr<Carrier> carrier) {
  if (carrier->started_) return wake(std::move(carrier));
  carrier->started_ = true;
  boost::asio::io_context& io = carrier->connection->io();
  boost::asio::co_spawn(io, run(std::move(carrier)), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

void Carrier::wake(std::unique_ptr<Carrier> carrier) {
  Carrier& woken = *carrier;
  woken.owner_ = std::move(carrier);
  woken.next_.complete();
}

boost::asio::awaitable<void> Carrier::run(std::unique_ptr<Carrier> carrier) {
  Carrier& self = *carrier;
  while (self.connection) {
    std::exception_ptr thrown;
    try {
      co_await self.handler_.handle(*self.request, self.response);
    } catch (...) {
      thrown = std::current_exception();
    }
    std::exchange(self.connection, nullptr)->resume(self, std::move(thrown));
    self.response.clear();
    if (!keep(carrier)) co_return;
    co_await self.next_.wait();
    carrier = std::move(self.owner_);
  }
}

bool Carrier::keep(std::unique_ptr<Carrier>& carrier) {
  // That was the last connection of a server that is gone, or others have the server, too.
  const std::shared_ptr<ServerState> server = carrier->server_.lock();
  if (!server || server->carriers.dismissed_) return false;
  if (server->carriers.idle_.size() >= kIdleMax) return false;
  if (carrier->response.body.capacity() > kBodyKept) return false;
  server->carriers.idle_.push_back(std::move(carrier));
  return true;
}

std::unique_ptr<Carrier> Carriers::take(const std::shared_ptr<ServerState>& server) {
  if (idle_.empty()) return std::make_unique<Carrier>(server);
  std::unique_ptr<Carrier> carrier = std::move(idle_.back());
  idle_.pop_back();
  return carrier;
}

void Carriers::dismiss() {
  dismissed_ = true;
  for (std::unique_ptr<Carrier>& carrier : std::exchange(idle_, {})) {
    Carrier::wake(std::move(carrier));
  }
}

}  // namespace redoubt::net
