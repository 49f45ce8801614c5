// Connections over plain sockets: system calls, made when the socket is known to be ready.
//
// Edges are remembered, not re-armed: `readable_` holds from an edge until a read comes back short
// or empty, `hung_up_` for ever, so that the end of a stream that arrived with its last bytes is
// seen.
#include "net/http_connection.hpp"

#include <boost/asio/post.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace redoubt::net {
namespace {

constexpr int kReadsPerTurn = 16;  // Then other connections have their turn.

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

// Its server keeps it for the rest of the turn in which it closes: see Readiness::watch().
class PlainConnection final : public HttpConnection, public ReadyListener {
 public:
  PlainConnection(std::shared_ptr<ServerState> state, int descriptor, std::string peer)
      : HttpConnection(std::move(state), std::move(peer), false), descriptor_(descriptor) {}
  ~PlainConnection() override { close_socket(); }

  void start() override { begin(); }

  void on_ready(std::uint32_t events) override {
    if (closed()) return;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && writing()) pump_write();
    if (wants_bytes()) taken_ = receive();
  }

  void on_taken() override {
    if (!taken_) return;
    const Received got = *std::exchange(taken_, std::nullopt);
    pumping_ = true;
    gather_answers();
    if (!closed()) tell(got);
    pumping_ = false;
  }

  void on_worked() override {
    if (closed()) return;
    send_answers();
    pump_read();
  }

 protected:
  void start_read(char* at, std::size_t room) override {
    at_ = at;
    room_ = room;
    pump_read();
  }

  ssize_t write_now(std::string_view bytes) override {
    const ssize_t n = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) return would_block() ? 0 : -1;
    return n;
  }

  void start_write(std::string_view bytes) override { unwritten_ = bytes; }

  bool say_goodbye() override {
    if (::shutdown(descriptor_, SHUT_WR) != 0) {
      close();
      return false;
    }
    return true;
  }

  void close_socket() override {
    if (descriptor_ < 0) return;
    ::shutdown(descriptor_, SHUT_RDWR);
    ::close(descriptor_);
    descriptor_ = -1;
  }

  bool may_write_while_reading() const override { return true; }

  // The edge that tells may still be on its way.
  void read_what_is_there() override {
    readable_ = true;
    pump_read();
  }

 private:
  struct Received {
    bool failed;
    std::size_t bytes;
  };

  bool wants_bytes() const { return reading() && readable_ && !taken_ && !pumping_ && !closed(); }

  // Empty: there was nothing after all.
  std::optional<Received> receive() {
    const ssize_t n = ::recv(descriptor_, at_, room_, MSG_DONTWAIT);
    if (n < 0 && would_block()) {
      readable_ = false;
      return std::nullopt;
    }
    // A short read of a stream socket means that it is empty (epoll(7)).
    if (n > 0 && static_cast<std::size_t>(n) < room_ && !hung_up_) readable_ = false;
    return Received{n <= 0, n > 0 ? static_cast<std::size_t>(n) : 0};
  }

  void tell(const Received& got) { on_read(got.failed, got.bytes); }

  // on_read asks for the next read from inside; the loop answers it, so that nothing nests.
  void pump_read() {
    for (int i = 0; wants_bytes(); ++i) {
      if (i == kReadsPerTurn) return later();
      const auto got = receive();
      if (!got) return;
      pumping_ = true;
      tell(*got);
      pumping_ = false;
    }
  }

  void later() {
    if (posted_) return;
    posted_ = true;
    auto self = std::static_pointer_cast<PlainConnection>(shared_from_this());
    boost::asio::post(server().io, [self] {
      self->posted_ = false;
      self->pump_read();
    });
  }

  void pump_write() {
    const ssize_t n = write_now(unwritten_);
    if (n == 0) return;  // The next edge will tell.
    unwritten_ = {};
    on_write(n<0, n> 0 ? static_cast<std::size_t>(n) : 0);
    if (writing() && !unwritten_.empty()) pump_write();
  }

  int descriptor_;
  bool readable_ = false;
  bool hung_up_ = false;
  bool pumping_ = false;           // Inside on_read.
  std::optional<Received> taken_;  // And not told yet.
  bool posted_ = false;
  char* at_ = nullptr;
  std::size_t room_ = 0;
  std::string_view unwritten_;
};

}  // namespace

std::shared_ptr<HttpConnection> make_plain_connection(std::shared_ptr<ServerState> server,
                                                      int descriptor, std::string peer) {
  Readiness& readiness = server->readiness;
  auto connection =
      std::make_shared<PlainConnection>(std::move(server), descriptor, std::move(peer));
  if (!readiness.watch(descriptor, *connection)) return nullptr;
  return connection;
}

}  // namespace redoubt::net
