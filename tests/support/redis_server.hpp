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

#include "tests/support/free_port.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
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

class RedisServer {
 public:
  enum class Kind { server, sentinel };

  explicit RedisServer(std::vector<std::string> lines = {}, Kind kind = Kind::server,
                       std::string program = "redis-server")
      : kind_(kind), program_(std::move(program)) {
    const auto is_port = [](const std::string& line) { return line.starts_with("port "); };
    if (std::ranges::any_of(lines, is_port)) {
      configure(lines);
      start();
      return;
    }
    for (int tries = 0; tries < kPorts; ++tries) {
      configure(with_port(lines));
      if (try_to_start()) return;
      port_ = FreePort();
    }
    throw std::runtime_error(program_ + " finds no port: " + log());
  }
  ~RedisServer() { kill(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::uint16_t port() const { return port_.number(); }
  std::string socket_path() const { return directory_.file("socket"); }
  pid_t pid() const { return pid_; }
  const TemporaryDirectory& directory() const { return directory_; }

  // Again: on the port that everybody knows, so whoever has it by now is waited for.
  void start() {
    const auto none = [] {};
    const bool up =
        poll_until([this] { return try_to_start(); }, none, std::chrono::milliseconds(100), 100);
    if (!up) throw std::runtime_error(program_ + " does not get its port: " + log());
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
                         : "redis-cli -p " + std::to_string(port()) + " " + arguments + " 2>&1");
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
  static constexpr int kPorts = 10;

  std::vector<std::string> with_port(std::vector<std::string> lines) const {
    lines.insert(lines.begin(), "port " + std::to_string(port()));
    return lines;
  }

  // A sentinel and a cluster node rewrite this file; so it is not written again once they run.
  void configure(const std::vector<std::string>& lines) const {
    std::ofstream file(directory_.file("redis.conf"));
    file << "bind 127.0.0.1\n"
         << "dir " << directory_.path() << "\n"
         << "logfile " << directory_.file("log") << "\n";
    if (kind_ == Kind::server) {
      file << "save \"\"\nappendonly no\n"
           << "unixsocket " << socket_path() << "\n";
    }
    for (const std::string& line : lines) file << line << "\n";
  }

  // False: somebody has its port. Throws when it does not come up for another reason.
  bool try_to_start() {
    const std::size_t logged = log().size();
    spawn();
    const auto over = [this] { return has_ended() || answers(); };
    const auto none = [] {};
    const bool known = poll_until(over, none, std::chrono::milliseconds(10), 1000);
    if (pid_ > 0 && known) return true;
    if (pid_ < 0 && log().find("Address already in use", logged) != std::string::npos) return false;
    throw std::runtime_error(program_ + " does not answer: " + log());
  }

  void spawn() {
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ > 0) return;
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

  bool has_ended() {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
  }

  bool answers() const {
    if (kind_ == Kind::server) {
      const std::string reply = cli("ping");
      return reply.starts_with("PONG") || reply.starts_with("NOAUTH") ||
             reply.starts_with("NOPERM");
    }
    const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(port());
    const bool up = ::connect(one, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(one);
    return up;
  }

  Kind kind_;
  std::string program_;
  TemporaryDirectory directory_{TemporaryDirectory::Where::in_memory};
  FreePort port_;
  pid_t pid_ = -1;
};

}  // namespace redoubt::test
