// A port of 127.0.0.1 that is one test's alone, also while the server that it is for is down: of
// two test programs side by side, one would else take the port of a server that the other one
// restarts.
//
// What holds a port for its owner is a socket of that name, which the kernel takes back when the
// process ends, however it ends. Programs that do not ask for ports in this way are unaware of it;
// a server whose port was taken says so when it starts.
//
// Threads: one.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::test {

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

class FreePort {
 public:
  FreePort() {
    // Each program begins elsewhere, so that it seldom meets the ports of another one.
    static std::uint32_t next = kFirst + static_cast<std::uint32_t>(::getpid()) % kCount;
    for (std::uint32_t tries = 0; tries < kCount; ++tries) {
      next = next + 1 < kFirst + kCount ? next + 1 : kFirst;
      if (take(static_cast<std::uint16_t>(next))) return;
    }
    throw std::runtime_error("no free port");
  }
  FreePort(FreePort&& other) noexcept
      : number_(other.number_), held_by_(std::exchange(other.held_by_, -1)) {}
  FreePort& operator=(FreePort&& other) noexcept {
    std::swap(number_, other.number_);
    std::swap(held_by_, other.held_by_);
    return *this;
  }
  ~FreePort() {
    if (held_by_ >= 0) ::close(held_by_);
  }

  std::uint16_t number() const { return number_; }

 private:
  // Below the range the kernel gives to outgoing connections, so that none of those takes it; and
  // low enough that port + 10000, a cluster's bus, exists.
  static constexpr std::uint32_t kFirst = 15'000;
  static constexpr std::uint32_t kCount = 7'000;

  bool take(std::uint16_t number) {
    const int holder = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!hold(holder, number) || !is_unused(number)) {
      ::close(holder);
      return false;
    }
    number_ = number;
    held_by_ = holder;
    return true;
  }

  // A name without a file, of one socket at a time.
  static bool hold(int holder, std::uint16_t number) {
    const std::string name = "redoubt-test-port-" + std::to_string(number);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(name, address.sun_path + 1);
    const std::size_t size = offsetof(sockaddr_un, sun_path) + 1 + name.size();
    return ::bind(holder, reinterpret_cast<sockaddr*>(&address), static_cast<socklen_t>(size)) == 0;
  }

  static bool is_unused(std::uint16_t number) {
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(number);
    const bool unused = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    return unused;
  }

  std::uint16_t number_ = 0;
  int held_by_ = -1;
};

// One that is held until the program ends.
inline std::uint16_t free_port() {
  static std::vector<FreePort> held;
  return held.emplace_back().number();
}

}  // namespace redoubt::test
