// A redis-server of its own for a test: in a temporary directory, on a free port of 127.0.0.1, with
// the given lines of configuration, ended by its process id.
//
//   RedisServer redis;                         // redis.port()
//   RedisServer redis({"requirepass x"});
//   RedisServer sentinel({...}, RedisServer::Kind::sentinel);
//   RedisServer valkey({}, RedisServer::Kind::server, "valkey-server");
//   redis.pause(); redis.resume(); redis.restart(); redis.kill();
//
// Threads: one. Throws when redis-server does not come up within ten seconds.
#pragma once

#include "tests/support/real_time.hpp"
#include "tests/support/temporary_directory.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
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

// A port that was free a moment ago. Below the range the kernel gives to outgoing connections, so
// that none of those takes it; and low enough that port + 10000, a cluster's bus, exists.
inline std::uint16_t free_port() {
  static std::uint32_t next = 15000 + static_cast<std::uint32_t>(::getpid()) % 7000;
  for (int tries = 0; tries < 5000; ++tries) {
    next = next >= 22000 ? 15000 : next + 1;
    const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(static_cast<std::uint16_t>(next));
    const bool free = ::bind(one, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(one);
    if (free) return static_cast<std::uint16_t>(next);
  }
  throw std::runtime_error("no free port");
}

class RedisServer {
 public:
  enum class Kind { server, sentinel };

  explicit RedisServer(std::vector<std::string> lines = {}, Kind kind = Kind::server,
                       std::string program = "redis-server")
      : kind_(kind), program_(std::move(program)), port_(free_port()) {
    // A sentinel and a cluster node rewrite this file; so it is written once.
    std::ofstream file(directory_.file("redis.conf"));
    bool has_port = false;
    for (const std::string& line : lines) has_port |= line.starts_with("port ");
    if (!has_port) file << "port " << port_ << "\n";
    file << "bind 127.0.0.1\n"
         << "dir " << directory_.path() << "\n"
         << "logfile " << directory_.file("log") << "\n";
    if (kind_ == Kind::server) {
      file << "save \"\"\nappendonly no\n"
           << "unixsocket " << socket_path() << "\n";
    }
    for (const std::string& line : lines) file << line << "\n";
    file.close();
    start();
  }
  ~RedisServer() { kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string socket_path() const { return directory_.file("socket"); }
  pid_t pid() const { return pid_; }
  const TemporaryDirectory& directory() const { return directory_; }

  void start() {
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int null = ::open("/dev/null", O_RDWR);
      ::dup2(null, 0);
      ::dup2(null, 1);
      ::dup2(null, 2);
      const std::string file = directory_.file("redis.conf");
      const char* mode = kind_ == Kind::sentinel ? "--sentinel" : nullptr;
      ::execlp(program_.c_str(), program_.c_str(), file.c_str(), mode, nullptr);
      ::_exit(127);
    }
    const auto none = [] {};
    const bool up =
        poll_until([this] { return answers(); }, none, std::chrono::milliseconds(10), 1000);
    if (!up) throw std::runtime_error(program_ + " does not answer: " + log());
  }

  // kill -9: nothing is saved.
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void restart() {
    kill();
    start();
  }
  void pause() { ::kill(pid_, SIGSTOP); }
  void resume() { ::kill(pid_, SIGCONT); }

  std::string log() const {
    std::ifstream file(directory_.file("log"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // redis-cli with these arguments (a shell's words); what it prints.
  std::string cli(const std::string& arguments) const {
    const std::string line = "redis-cli -s " + socket_path() + " " + arguments + " 2>&1";
    return output_of(kind_ == Kind::server
                         ? line
                         : "redis-cli -p " + std::to_string(port_) + " " + arguments + " 2>&1");
  }

  static std::string output_of(const std::string& line) {
    std::FILE* const pipe = ::popen(line.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("popen");
    std::string text;
    char part[512];
    for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
    ::pclose(pipe);
    return text;
  }

 private:
  bool answers() const {
    int done = 0;
    if (::waitpid(pid_, &done, WNOHANG) == pid_) throw std::runtime_error("it ended: " + log());
    if (kind_ == Kind::server) {
      const std::string reply = cli("ping");
      return reply.starts_with("PONG") || reply.starts_with("NOAUTH") ||
             reply.starts_with("NOPERM");
    }
    const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(port_);
    const bool up = ::connect(one, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(one);
    return up;
  }

  Kind kind_;
  std::string program_;
  TemporaryDirectory directory_{TemporaryDirectory::Where::in_memory};
  std::uint16_t port_;
  pid_t pid_ = -1;
};

}  // namespace redoubt::test
