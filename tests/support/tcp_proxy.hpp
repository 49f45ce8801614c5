// A TCP proxy on a loopback port that can lose connections at a chosen byte: for what a real server
// and a real network show only by luck.
//
// Threads: its own; the functions may be called from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace redoubt::test {

class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t upstream);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  std::uint16_t port() const { return port_; }

  enum class Cut : std::uint8_t {
    none,
    before,  // The request does not reach the server.
    after,   // It does, and its answer does not come back.
    held,    // As before, and the server is not told that the client has gone.
  };
  // The next request that contains `text` is lost so, and its connection with it.
  void arm(Cut cut, std::string text);
  bool fired() const { return fired_; }
  // From that cut on, no new connection is let through.
  void refuse_from_the_cut_on() { refuses_after_ = true; }

  // Where connections made from now on lead to; those there are are cut.
  void redirect(std::uint16_t upstream);

 private:
  struct Pair {
    int client = -1;
    int server = -1;
    std::thread up;
    std::thread down;
    std::atomic<bool> mute{false};      // Answers are dropped.
    std::atomic<bool> answered{false};  // While mute: one was.
  };
  void accept_all();
  void carry_up(Pair& pair);
  static void carry_down(Pair& pair);
  Cut cut_for(const std::string& bytes);
  void fire();
  static void end(Pair& pair);

  std::atomic<std::uint16_t> upstream_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> fired_{false};
  std::atomic<bool> refuses_after_{false};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // Guards the three below.
  Cut cut_ = Cut::none;
  std::string text_;
  std::list<Pair> pairs_;
  std::thread acceptor_;
};

}  // namespace redoubt::test
