#include "tests/support/postgres_server.hpp"

#include <libpq-fe.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <thread>

namespace redoubt::test {
namespace {

namespace fs = std::filesystem;

std::string find_programs() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    if (fs::exists(version.path() / "bin/initdb")) found.push_back(version.path() / "bin");
  }
  std::ranges::sort(found);
  return found.empty() ? std::string() : found.back();
}

// The directory with initdb and postgres, of the newest version installed; empty: none. Looked for
// once: a directory that is opened beside threads that close sockets takes over their descriptors'
// numbers, which looks like a race to a thread sanitizer.
const std::string& programs() {
  static const std::string found = find_programs();
  return found;
}

struct User {
  uid_t uid;
  gid_t gid;
};

// Whom the server runs as; empty: whoever runs the test.
std::optional<User> unprivileged() {
  if (::getuid() != 0) return std::nullopt;
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* entry = ::getpwnam(name)) return User{entry->pw_uid, entry->pw_gid};
  }
  return std::nullopt;
}

// Starts a program as the unprivileged user, its output into `log`.
pid_t spawn(std::vector<std::string> command, const std::string& directory) {
  const auto user = unprivileged();
  const std::string log = directory + "/server.log";
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (user &&
      (::setgroups(0, nullptr) != 0 || ::setgid(user->gid) != 0 || ::setuid(user->uid) != 0)) {
    ::_exit(126);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // Not to outlive a test that crashed.
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (::chdir(directory.c_str()) != 0) ::_exit(126);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

std::string name_in(const std::string& socket_url) {
  const auto name = socket_url.substr(socket_url.find("@/") + 2);
  return name.substr(0, name.find('?'));
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

struct Close {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ConnectionHandle = std::unique_ptr<PGconn, Close>;

}  // namespace

bool PostgresServer::available() {
  return !programs().empty();
}

PostgresServer& PostgresServer::shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() : PostgresServer(Options{}) {}

PostgresServer::PostgresServer(Options options) : options_(std::move(options)) {
  const bool memory = !options_.durable && fs::is_directory("/dev/shm");
  directory_ = (memory ? fs::path("/dev/shm") : fs::temp_directory_path()) / "redoubt-pg-XXXXXX";
  if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("mkdtemp " + directory_);
  if (const auto user = unprivileged()) {
    if (::chown(directory_.c_str(), user->uid, user->gid) != 0) throw std::runtime_error("chown");
  }
  make_cluster();
  copy_certificate();
  start();
  if (options_.standby_of == nullptr) {
    execute(url("postgres", "postgres"), "CREATE ROLE redoubt LOGIN");
  }
}

PostgresServer::~PostgresServer() {
  stop();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PostgresServer::make_cluster() {
  std::vector<std::string> command{programs() + "/initdb",
                                   "-D",
                                   directory_ + "/data",
                                   "-U",
                                   "postgres",
                                   "-A",
                                   "trust",
                                   "-N",
                                   "--locale=C",
                                   "-E",
                                   "UTF8"};
  if (const PostgresServer* primary = options_.standby_of) {
    command = {programs() + "/pg_basebackup",
               "-D",
               directory_ + "/data",
               "-R",
               "-N",
               "-c",
               "fast",
               "-d",
               primary->url("postgres", "postgres")};
  }
  const int status = wait_for(spawn(command, directory_));
  if (status != 0) throw std::runtime_error("no cluster; see " + directory_ + "/server.log");
}

void PostgresServer::promote() {
  execute(url("postgres", "postgres"), "SELECT pg_promote()");
}

// The server wants its key to be its own.
void PostgresServer::copy_certificate() {
  if (options_.tls_key.empty()) return;
  fs::copy_file(options_.tls_certificate, directory_ + "/server.crt");
  fs::copy_file(options_.tls_key, directory_ + "/server.key");
  fs::permissions(directory_ + "/server.key", fs::perms::owner_read);
  if (const auto user = unprivileged()) {
    for (const char* name : {"/server.crt", "/server.key"}) {
      if (::chown((directory_ + name).c_str(), user->uid, user->gid) != 0) {
        throw std::runtime_error("chown");
      }
    }
  }
  for (const char* setting :
       {"ssl=on", "ssl_cert_file=../server.crt", "ssl_key_file=../server.key"}) {
    options_.settings.emplace_back(setting);
  }
}

void PostgresServer::start() {
  std::vector<std::string> command{programs() + "/postgres", "-D", directory_ + "/data"};
  std::vector<std::string> settings{"port=" + std::to_string(port()),
                                    "listen_addresses=127.0.0.1",
                                    "unix_socket_directories=" + directory_,
                                    std::string("fsync=") + (options_.durable ? "on" : "off"),
                                    "max_connections=100",
                                    "shared_buffers=64MB"};
  settings.insert(settings.end(), options_.settings.begin(), options_.settings.end());
  for (const std::string& setting : settings) {
    command.emplace_back("-c");
    command.push_back(setting);
  }
  postmaster_ = spawn(command, directory_);
  for (int i = 0; i < 600; ++i) {
    const PGPing answer = PQping(url("postgres", "postgres").c_str());
    if (answer == PQPING_OK) return;
    // It refuses to start while the last child of one that was killed is still on its way out.
    int status = 0;
    if (::waitpid(postmaster_, &status, WNOHANG) == postmaster_) {
      postmaster_ = spawn(command, directory_);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error("PostgreSQL does not start; see " + directory_ + "/server.log");
}

std::string PostgresServer::url(const std::string& role, const std::string& database) const {
  return "postgresql://" + role + "@/" + database + "?host=" + directory_ +
         "&port=" + std::to_string(port());
}

std::string PostgresServer::new_database() {
  return copy_of(url("redoubt", "template1"));
}

std::string PostgresServer::copy_of(const std::string& other) {
  const std::string name = "test_" + std::to_string(++databases_);
  execute(url("postgres", "postgres"),
          "CREATE DATABASE " + name + " OWNER redoubt STRATEGY file_copy TEMPLATE " + name_in(other));
  return url("redoubt", name);
}

std::string PostgresServer::over_tcp(const std::string& socket_url) const {
  return "postgresql://redoubt@127.0.0.1:" + std::to_string(port()) + "/" + name_in(socket_url);
}

std::string PostgresServer::url_of(const std::string& other) const {
  return url("redoubt", name_in(other));
}

std::string PostgresServer::execute(const std::string& database_url, const std::string& sql) {
  std::string as_superuser = database_url;
  const std::string role = "//redoubt@";
  if (const auto at = as_superuser.find(role); at != std::string::npos) {
    as_superuser.replace(at, role.size(), "//postgres@");
  }
  const ConnectionHandle connection(PQconnectdb(as_superuser.c_str()));
  PGresult* result = PQexec(connection.get(), sql.c_str());
  const bool done =
      PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
  const std::string problem = PQerrorMessage(connection.get());
  std::string value;
  if (PQntuples(result) > 0 && PQnfields(result) > 0) value = PQgetvalue(result, 0, 0);
  PQclear(result);
  if (!done) throw std::runtime_error(sql + ": " + problem);
  return value;
}

// The postmaster's children are those of the postmaster's process id.
std::vector<pid_t> PostgresServer::processes() const {
  std::vector<pid_t> out{postmaster_};
  const std::string path =
      "/proc/" + std::to_string(postmaster_) + "/task/" + std::to_string(postmaster_) + "/children";
  std::ifstream children(path);
  for (pid_t child = 0; children >> child;) out.push_back(child);
  return out;
}

void PostgresServer::kill() {
  ::kill(postmaster_, SIGSTOP);  // No child is born between the look and the kill.
  for (const pid_t process : processes()) ::kill(process, SIGKILL);
  wait_for(postmaster_);
  postmaster_ = -1;
}

void PostgresServer::stop() {
  if (postmaster_ < 0) return;
  ::kill(postmaster_, SIGQUIT);
  wait_for(postmaster_);
  postmaster_ = -1;
}

void PostgresServer::pause() {
  for (const pid_t process : processes()) ::kill(process, SIGSTOP);
}

void PostgresServer::resume() {
  for (const pid_t process : processes()) ::kill(process, SIGCONT);
}

}  // namespace redoubt::test
