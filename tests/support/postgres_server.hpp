// A real PostgreSQL for one test program: a cluster in a temporary directory, on a Unix socket and
// a free loopback port, ended with the program. PostgreSQL refuses to run as root, so under root it
// runs as the user postgres.
//
// available() is false where no PostgreSQL is installed; then say so and skip.
#pragma once

#include "tests/support/free_port.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

namespace redoubt::test {

class PostgresServer {
 public:
  struct Options {
    bool durable = false;               // fsync: for measurements and crashes of the machine.
    std::vector<std::string> settings;  // "max_connections=20"
    std::string tls_certificate = {};   // Paths of PEM files; with them it speaks TLS.
    std::string tls_key = {};
    const class PostgresServer* standby_of = nullptr;  // Follows that one until promote().
  };

  PostgresServer();  // REQUIRES: available().
  explicit PostgresServer(Options options);
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  static bool available();

  // The one that the tests of a program share; made at the first call.
  static PostgresServer& shared();

  // A new, empty database owned by a role without privileges, as a URL on the Unix socket.
  std::string new_database();
  // With everything that is in `other`, which nobody is connected to for long any more.
  std::string copy_of(const std::string& other);
  // The same database over TCP.
  std::string over_tcp(const std::string& url) const;
  std::uint16_t port() const { return port_.number(); }
  std::string data_directory() const { return directory_ + "/data"; }

  // The same database here, of a URL of another server.
  std::string url_of(const std::string& url) const;

  // As superuser in the database of `url`. Throws when the server refuses. The first column of the
  // first row, or "".
  std::string execute(const std::string& url, const std::string& sql);

  void promote();  // A standby becomes a server of its own, on the next timeline.
  void kill();     // SIGKILL to the postmaster and its children; start() recovers.
  void stop();     // Immediate shutdown.
  void start();    // After kill() or stop(); returns when it answers.
  void pause();    // SIGSTOP of all its processes.
  void resume();

 private:
  void make_cluster();
  void copy_certificate();
  std::string url(const std::string& role, const std::string& database) const;
  std::vector<pid_t> processes() const;

  Options options_;
  std::string directory_;
  FreePort port_;
  pid_t postmaster_ = -1;
  int databases_ = 0;
};

}  // namespace redoubt::test
