// A server that says what a test tells it to, for faults that a real Redis does not show. It
// answers the client's handshake as Redis 7 in RESP3 would; every other command is the script's.
//
//   FakeRedis fake([](FakeRedis::Peer& peer, const std::string& name, int connection) { ... });
//
// Runs on a thread of its own; the script is called there.
#pragma once

#include "tests/support/redis_server.hpp"
#include "wire/resp.hpp"

#include <poll.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>

namespace redoubt::test {

class FakeRedis {
 public:
  struct Peer {
    int socket;
    bool closed = false;
    void send(std::string_view bytes) {
      (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    void close() { closed = true; }
  };
  // `name` of the command and on which connection, from 1, it came.
  using Script = std::function<void(Peer&, const std::string& name, int connection)>;

  enum class Handshake { as_redis, scripted };

  explicit FakeRedis(Script script, Handshake handshake = Handshake::as_redis)
      : script_(std::move(script)), handshake_(handshake) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 16);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeRedis() {
    ended_ = true;
    thread_.join();
    for (auto& [socket, state] : peers_) ::close(socket);
    ::close(listener_);
  }
  std::uint16_t port() const { return port_; }
  int commands(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return counts_[name];
  }

 private:
  struct State {
    int number = 0;
    std::string buffer;
    wire::resp::Decoder decoder;
  };

  void serve() {
    while (!ended_) {
      std::vector<pollfd> all{{listener_, POLLIN, 0}};
      for (const auto& [socket, state] : peers_) all.push_back({socket, POLLIN, 0});
      ::poll(all.data(), all.size(), 5);
      if (all[0].revents != 0) {
        const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (peer >= 0) peers_[peer].number = ++accepted_;
      }
      for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].revents != 0 && !read(all[i].fd)) {
          ::close(all[i].fd);
          peers_.erase(all[i].fd);
        }
      }
    }
  }

  bool read(int socket) {
    char part[65536];
    const ssize_t n = ::recv(socket, part, sizeof part, MSG_DONTWAIT);
    if (n <= 0) return false;
    State& state = peers_[socket];
    state.buffer.append(part, static_cast<std::size_t>(n));
    for (;;) {
      wire::resp::Value command;
      std::size_t used = 0;
      const auto status = state.decoder.decode(state.buffer, used, command);
      state.buffer.erase(0, used);
      if (status != wire::resp::Decoder::Status::value) return true;
      Peer peer{socket};
      answer(peer, std::string(command.items()[0].text()), state.number);
      if (peer.closed) return false;
    }
  }

  void answer(Peer& peer, const std::string& name, int connection) {
    {
      const std::lock_guard lock(mutex_);
      ++counts_[name];
    }
    if (name == "HELLO" && handshake_ == Handshake::as_redis) return peer.send("%0\r\n");
    if (name == "ROLE") return peer.send("*1\r\n$6\r\nmaster\r\n");
    if (name == "INFO") return peer.send("$0\r\n\r\n");
    script_(peer, name, connection);
  }

  Script script_;
  const Handshake handshake_;
  std::map<int, State> peers_;
  std::mutex mutex_;
  std::map<std::string, int> counts_;
  int listener_ = -1;
  int accepted_ = 0;
  std::uint16_t port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace redoubt::test
