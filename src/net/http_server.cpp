#include "net/http_server.hpp"

#include "net/http_connection.hpp"
#include "net/tls.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include <ctime>
#include <vector>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::milliseconds kAcceptPause{100};  // After running out of descriptors.
constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;

std::string address_text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
    } else {
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
  } else {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                sizeof text);
  }
  return text;
}

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
  ~Server() override { state_->carriers.dismiss(); }

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
    RD_CHECK(state_->readiness.open());
    renew_time();
    accept();
    tick();
    return {};
  }

  std::uint16_t port() const override { return port_; }

  void drain() override {
    if (state_->draining) return;
    if (acceptor_.is_open()) accept_some(kBacklog);  // They were told that they are connected.
    state_->draining = true;
    boost::system::error_code ec;
    acceptor_.close(ec);
    pause_.cancel();
    state_->carriers.dismiss();  // They would keep the loop running.
    for (const auto& connection : connections_) connection->drain();
  }

  void close_all() override {
    drain();
    tick_.cancel();
    closing_ = true;
    for (const auto& connection : connections_) connection->close();
    connections_.clear();
    state_->readiness.close();
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

  // Plain sockets never meet Asio's reactor, so they are accepted as descriptors.
  void accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](boost::system::error_code ec) {
      if (ec || !acceptor_.is_open()) return;
      if (const int trouble = accept_some(kAcceptsPerTurn); trouble != 0) {
        return pause_accepting(
            boost::system::error_code(trouble, boost::system::system_category()));
      }
      accept();
    });
  }

  // Takes up to `most` waiting connections; 0, or the errno that ended it.
  int accept_some(int most) {
    for (int i = 0; i < most; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int descriptor =
          ::accept4(acceptor_.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor >= 0) {
        admit(descriptor, address);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
      if (errno != ECONNABORTED && errno != EINTR) return errno;
    }
    return 0;
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

  void admit(int descriptor, const sockaddr_storage& address) {
    ++state_->counters.accepted;
    if (connections_.size() >= state_->options.connections_max) reap();
    if (connections_.size() >= state_->options.connections_max) return turn_away(descriptor);
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto connection = connect(descriptor, address);
    if (!connection) return turn_away(-1);
    connections_.push_back(connection);
    connection->start();
  }

  std::shared_ptr<HttpConnection> connect(int descriptor, const sockaddr_storage& address) {
    std::string peer = address_text(address);
    if (!tls_) return make_plain_connection(state_, descriptor, std::move(peer));
    tcp::socket socket(state_->io);
    boost::system::error_code ec;
    socket.assign(address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor, ec);
    if (ec) {
      ::close(descriptor);
      return nullptr;
    }
    return make_tls_connection(state_, std::move(socket), std::move(peer), tls_->current());
  }

  void turn_away(int descriptor) {
    ++state_->counters.refused;
    if (descriptor >= 0) ::close(descriptor);
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
