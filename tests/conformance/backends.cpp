#include "tests/conformance/backends.hpp"

#include "tests/conformance/rest_backend.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/guarded_redis.hpp"
#include "tests/support/redis_cluster.hpp"
#include "tests/support/redis_loop.hpp"

#include <sstream>
#include <stdexcept>
#include <utility>

namespace redoubt::conformance {
namespace {

using test::RedisServer;
using Lines = std::vector<std::string>;

class Memory final : public Backend {
 public:
  std::string on_each_server(const std::string&) override { return {}; }
};

// One server; what is special about the way to it is done to the options.
class OneServer : public Backend {
 public:
  explicit OneServer(const std::string& program = "redis-server", Lines lines = {})
      : server_(std::move(lines), RedisServer::Kind::server, program),
        options_(test::standalone(server_.port())) {}

  std::optional<redis::Options> options() const override { return options_; }
  std::string on_each_server(const std::string& arguments) override {
    return server_.cli(arguments);
  }

 protected:
  RedisServer server_;
  redis::Options options_;
};

class Resp2 final : public OneServer {
 public:
  Resp2() { options_.allow_resp3 = false; }
};

class OverUnixSocket final : public OneServer {
 public:
  OverUnixSocket() {
    options_.topology =
        redis::Standalone{{.host = {}, .port = 0, .socket_path = server_.socket_path()}};
  }
};

class OverTls final : public Backend {
 public:
  std::optional<redis::Options> options() const override {
    redis::Options options = test::standalone(port_);
    options.tls.enabled = true;
    options.tls.ca_file = certificates_.file("ca.crt");
    options.timeouts.tls = Duration(5'000);
    return options;
  }
  std::string on_each_server(const std::string& arguments) override {
    return server_.cli(arguments);
  }

 private:
  test::Certificates certificates_;
  std::uint16_t port_ = test::free_port();
  RedisServer server_{{"port 0", "tls-port " + std::to_string(port_),
                       "tls-cert-file " + certificates_.file("good.crt"),
                       "tls-key-file " + certificates_.file("good.key"),
                       "tls-ca-cert-file " + certificates_.file("ca.crt"), "tls-auth-clients no"}};
};

// What the finding redis_account_all_rights tells an operator to do.
class AdvisedAccount final : public OneServer {
 public:
  AdvisedAccount()
      : OneServer("redis-server",
                  {"user redoubt on >secret ~rd:* &rd:* +@all -@dangerous +info +role"}) {
    options_.credentials = {.user = "redoubt", .password = Secret(std::string("secret"))};
  }
  bool takes_patterns() const override { return false; }
};

// Managed services keep commands to themselves by ACL or by giving them another name. Without HELLO
// and with AUTH as a password alone, it is as Redis 5 was.
class Bare final : public OneServer {
 public:
  Bare() : OneServer("redis-server", lines()) {
    options_.credentials.password = Secret(std::string("secret"));
  }
  std::string on_each_server(const std::string& arguments) override {
    std::string operators = arguments;
    if (operators.starts_with("config ")) operators.replace(0, 6, "operators-config");
    return server_.cli("--no-auth-warning -a secret " + operators);
  }

 private:
  static Lines lines() {
    Lines lines{"requirepass secret", "rename-command CONFIG operators-config"};
    for (const char* gone : {"HELLO", "INFO", "ROLE", "ACL", "MODULE", "DEBUG", "KEYS", "FLUSHALL",
                             "FLUSHDB", "SHUTDOWN", "MONITOR", "REPLICAOF", "SLAVEOF"}) {
      lines.push_back(std::string("rename-command ") + gone + " \"\"");
    }
    return lines;
  }
};

class Guarded final : public Backend {
 public:
  std::optional<redis::Options> options() const override {
    redis::Options options = redis_.options();
    options.timeouts = test::standalone(0).timeouts;
    return options;
  }
  std::string on_each_server(const std::string& arguments) override {
    return redis_.master.cli("--no-auth-warning -a data " + arguments);
  }

 private:
  test::GuardedRedis redis_;
};

class Clustered final : public Backend {
 public:
  std::optional<redis::Options> options() const override {
    redis::Options options = cluster_.options();
    options.timeouts = test::standalone(0).timeouts;
    return options;
  }
  std::string on_each_server(const std::string& arguments) override {
    std::string said;
    for (const auto& node : cluster_.nodes) said += node->cli(arguments);
    return said;
  }

 private:
  test::RedisCluster cluster_{0};
};

template <class B>
std::unique_ptr<Backend> make() {
  return std::make_unique<B>();
}

std::string not_installed(const std::string& program) {
  const std::string found = RedisServer::output_of("command -v " + program);
  return found.empty() ? "there is no " + program + " here" : std::string();
}

BackendKind server_program(std::string name, const std::string& program) {
  BackendKind kind;
  kind.name = std::move(name);
  kind.start = [program] { return std::make_unique<OneServer>(program); };
  kind.missing = not_installed(program);
  return kind;
}

std::vector<BackendKind> make_backends() {
  const std::string redis = not_installed("redis-server");
  std::vector<BackendKind> all;
  all.push_back({.name = "memory", .start = make<Memory>, .missing = {}, .in_memory = true});
  all.push_back({.name = "resp3", .start = make<OneServer>, .missing = redis});
  all.push_back({.name = "resp2", .start = make<Resp2>, .missing = redis});
  all.push_back({.name = "tls", .start = make<OverTls>, .missing = redis});
  all.push_back({.name = "unix", .start = make<OverUnixSocket>, .missing = redis});
  all.push_back({.name = "advised", .start = make<AdvisedAccount>, .missing = redis});
  all.push_back({.name = "bare", .start = make<Bare>, .missing = redis});
  all.push_back({.name = "sentinel", .start = make<Guarded>, .missing = redis});
  all.push_back({.name = "cluster", .start = make<Clustered>, .missing = redis});
  all.push_back({.name = "rest", .start = make<RestBackend>, .missing = redis});
  BackendKind valkey = server_program("valkey", "valkey-server");
  valkey.if_installed = true;
  all.push_back(std::move(valkey));
  const char* const others = std::getenv("REDOUBT_TEST_REDIS_SERVERS");
  std::istringstream words(others == nullptr ? "" : others);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
      throw std::runtime_error("REDOUBT_TEST_REDIS_SERVERS: " + word);
    all.push_back(server_program(word.substr(0, equals), word.substr(equals + 1)));
  }
  return all;
}

std::vector<std::pair<const BackendKind*, std::unique_ptr<Backend>>>& running() {
  static std::vector<std::pair<const BackendKind*, std::unique_ptr<Backend>>> all;
  return all;
}

}  // namespace

const std::vector<BackendKind>& backends() {
  static const std::vector<BackendKind> all = make_backends();
  return all;
}

Backend& started(const BackendKind& kind) {
  for (const auto& [of, backend] : running()) {
    if (of == &kind) return *backend;
  }
  return *running().emplace_back(&kind, kind.start()).second;
}

void stop_backends() {
  running().clear();
}

}  // namespace redoubt::conformance
