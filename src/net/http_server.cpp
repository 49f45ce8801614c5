#include "net/http_server.hpp"

#include "net/http_connection.hpp"
#include "net/tls.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <ctime>
#include <vector>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::milliseconds kAcceptPause{100};  // After running out of descriptors.
constexpr int kBacklog = 4096;

std::string make_date_line(WallTime now) {
  const std::time_t seconds = static_cast<std::time_t>(now.ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const std::size_t n =
      std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
  return std::string(text, n);
}

class Server final : public HttpServer {
 public:
  Server(asio::io_context& io, const Clock& clock, Log& log, HttpHandler& handler,
         HttpServerOptions options, std::shared_ptr<TlsContext> tls)
      : state_(std::make_shared<ServerState>(io, clock, log, handler, std::move(options))),
        tls_(std::move(tls)),
        acceptor_(io),
        tick_(io),
        pause_(io) {}

  Result<void> listen() override {
    boost::system::error_code ec;
    const HttpServerOptions& o = state_->options;
    const auto address = asio::ip::make_address(o.address, ec);
    if (ec) {
      return fail(Error(Errc::invalid_argument, "listen_address",
                        "the address to listen on is not an IP address: " + o.address));
    }
    const tcp::endpoint endpoint(address, o.port);
    if (o.must_be_free) probe(endpoint, ec);
    const auto step = [&ec](auto&& call) {
      if (!ec) call();
    };
    step([&] { acceptor_.open(endpoint.protocol(), ec); });
    step([&] { acceptor_.set_option(asio::socket_base::reuse_address(true), ec); });
    step([&] {
      using reuse_port = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
      acceptor_.set_option(reuse_port(true), ec);
    });
    step([&] { acceptor_.bind(endpoint, ec); });
    step([&] { acceptor_.listen(kBacklog, ec); });
    step([&] { acceptor_.non_blocking(true, ec); });
    if (ec) {
      return fail(
          Error(Errc::unavailable, "listen_failed",
                fmt::format("cannot listen on {}:{}: {}", o.address, o.port, ec.message())));
    }
    port_ = acceptor_.local_endpoint(ec).port();
    renew_time();
    accept();
    tick();
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void drain() override {
    state_->draining = true;
    boost::system::error_code ec;
    acceptor_.close(ec);
    pause_.cancel();
    for (const auto& connection : connections_) connection->drain();
  }

  void close_all() override {
    drain();
    tick_.cancel();
    closing_ = true;
    for (const auto& connection : connections_) connection->close();
    connections_.clear();
  }

  const HttpServerCounters& counters() const override { return state_->counters; }

 private:
  // SO_REUSEPORT would share the port with any other program of this user that set it too; a bind
  // without it tells.
  void probe(const tcp::endpoint& endpoint, boost::system::error_code& ec) {
    tcp::acceptor trial(state_->io);
    trial.open(endpoint.protocol(), ec);
    if (!ec) trial.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) trial.bind(endpoint, ec);
  }

  void renew_time() {
    state_->now = state_->clock.boot();
    state_->date_line = make_date_line(state_->clock.wall());
  }

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code ec, tcp::socket socket) {
      if (ec == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (ec) return pause_accepting(ec);
      admit(std::move(socket));
      accept();
    });
  }

  // Out of descriptors or memory: keep what is open, and do not spin on the accept queue.
  void pause_accepting(boost::system::error_code ec) {
    ++state_->counters.refused;
    state_->log.warn("http.accept_failed", {{"cause", ec.message()}});
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([this](boost::system::error_code cancelled) {
      if (!cancelled && acceptor_.is_open()) accept();
    });
  }

  void admit(tcp::socket socket) {
    ++state_->counters.accepted;
    boost::system::error_code ec;
    if (connections_.size() >= state_->options.connections_max) {
      reap();
      if (connections_.size() >= state_->options.connections_max) {
        ++state_->counters.refused;
        socket.close(ec);
        return;
      }
    }
    socket.non_blocking(true, ec);
    socket.set_option(tcp::no_delay(true), ec);
    auto connection = tls_ ? make_tls_connection(state_, std::move(socket), tls_->current())
                           : make_plain_connection(state_, std::move(socket));
    connection->start();
    connections_.push_back(std::move(connection));
  }

  void reap() {
    std::erase_if(connections_, [](const auto& connection) { return connection->closed(); });
  }

  void tick() {
    tick_.expires_after(kTick);
    tick_.async_wait([this](boost::system::error_code cancelled) {
      if (cancelled || closing_) return;
      renew_time();
      for (const auto& connection : connections_) connection->tick();
      reap();
      tick();
    });
  }

  std::shared_ptr<ServerState> state_;
  std::shared_ptr<TlsContext> tls_;
  tcp::acceptor acceptor_;
  asio::steady_timer tick_;
  asio::steady_timer pause_;
  std::vector<std::shared_ptr<HttpConnection>> connections_;
  std::uint16_t port_ = 0;
  bool closing_ = false;
};

}  // namespace

std::unique_ptr<HttpServer> make_http_server(asio::io_context& io, const Clock& clock, Log& log,
                                             HttpHandler& handler, HttpServerOptions options,
                                             std::shared_ptr<TlsContext> tls) {
  return std::make_unique<Server>(io, clock, log, handler, std::move(options), std::move(tls));
}

}  // namespace redoubt::net
