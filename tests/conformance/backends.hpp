// Everything the shared tier can be kept in, each behind the client as an installation has it: what
// one suite of properties is run against (conformance.hpp).
//
//   memory       this process: the limit engine, and the twin of the copies
//   resp3, resp2, tls, unix   one redis-server
//   advised      with the account that `redoubt doctor` advises, and no other
//   bare         a provider that has renamed away what is not needed: HELLO, INFO, CONFIG, ...
//   sentinel     a master, two replicas, three Sentinels
//   cluster      three masters
//   rest         our own Upstash face in front of a redis-server
//   valkey       one valkey-server, where one is installed
//   and each server program in REDOUBT_TEST_REDIS_SERVERS, "name=path name=path"
//
// Each is started when first asked for and lives as long as the program.
#pragma once

#include "redis/options.hpp"
#include "tests/support/redis_server.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace redoubt::conformance {

class Backend {
 public:
  virtual ~Backend() = default;

  // How a client finds it. Empty: it is the memory of this process.
  virtual std::optional<redis::Options> options() const { return std::nullopt; }

  // An account with rights to some channels may subscribe to no pattern but the very one that it
  // was given; so the server itself subscribes to names alone.
  virtual bool takes_patterns() const { return true; }

  // redis-cli with these arguments on each server that takes writes, as its operator.
  virtual std::string on_each_server(const std::string& arguments) = 0;
};

struct BackendKind {
  std::string name;
  std::function<std::unique_ptr<Backend>()> start;
  std::string missing;        // Why it cannot run here; empty: it can.
  bool if_installed = false;  // Missing is no failure, however strict the run.
  bool in_memory = false;

  friend void PrintTo(const BackendKind* kind, std::ostream* out) { *out << kind->name; }
};

// Always all of them.
const std::vector<BackendKind>& backends();

// REQUIRES: nothing is missing. Throws when it does not come up.
Backend& started(const BackendKind& kind);
// Ends them all. For the end of the program.
void stop_backends();

}  // namespace redoubt::conformance
