#include "tests/support/tcp_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace redoubt::test {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

bool send_all(int descriptor, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(descriptor, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

std::string receive(int descriptor) {
  std::array<char, 65'536> buffer{};
  const ssize_t n = ::recv(descriptor, buffer.data(), buffer.size(), 0);
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

TcpProxy::TcpProxy(std::uint16_t upstream) : upstream_(upstream) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic, &size) != 0) {
    throw std::runtime_error("no port to listen on");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

TcpProxy::~TcpProxy() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (Pair& pair : pairs_) {
    end(pair);
    pair.up.join();
    pair.down.join();
    ::close(pair.client);
    ::close(pair.server);
  }
}

void TcpProxy::arm(Cut cut, std::string text) {
  const std::lock_guard lock(mutex_);
  fired_ = false;
  cut_ = cut;
  text_ = std::move(text);
}

void TcpProxy::redirect(std::uint16_t upstream) {
  upstream_ = upstream;
  const std::lock_guard lock(mutex_);
  for (Pair& pair : pairs_) end(pair);
}

void TcpProxy::accept_all() {
  while (!stopping_) {
    const int client = ::accept(listener_, nullptr, nullptr);
    if (client < 0) continue;
    const int server = connect_to(upstream_);
    if (server < 0) {
      ::close(client);
      continue;
    }
    const std::lock_guard lock(mutex_);
    Pair& pair = pairs_.emplace_back();
    pair.client = client;
    pair.server = server;
    pair.up = std::thread([this, &pair] { carry_up(pair); });
    pair.down = std::thread([&pair] { carry_down(pair); });
  }
}

TcpProxy::Cut TcpProxy::cut_for(const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  if (cut_ == Cut::none || bytes.find(text_) == std::string::npos) return Cut::none;
  return std::exchange(cut_, Cut::none);
}

void TcpProxy::fire() {
  if (refuses_after_) upstream_ = 0;
  fired_ = true;
}

void TcpProxy::carry_up(Pair& pair) {
  for (;;) {
    const std::string bytes = receive(pair.client);
    if (bytes.empty()) break;
    const Cut cut = cut_for(bytes);
    if (cut == Cut::before || cut == Cut::held) fire();
    if (cut == Cut::before) break;
    if (cut == Cut::held) {
      ::shutdown(pair.client, SHUT_RDWR);
      return;
    }
    pair.mute = cut == Cut::after;
    if (!send_all(pair.server, bytes)) break;
    if (cut == Cut::after) {
      while (!pair.answered) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      fire();
      break;
    }
  }
  end(pair);
}

void TcpProxy::carry_down(Pair& pair) {
  for (;;) {
    const std::string bytes = receive(pair.server);
    if (bytes.empty()) break;
    if (pair.mute) {
      pair.answered = true;
    } else if (!send_all(pair.client, bytes)) {
      break;
    }
  }
  pair.answered = true;
  end(pair);
}

// Both directions notice; the sockets stay open until the proxy goes.
void TcpProxy::end(Pair& pair) {
  ::shutdown(pair.client, SHUT_RDWR);
  ::shutdown(pair.server, SHUT_RDWR);
}

}  // namespace redoubt::test
