// What is wrong with the settings, the keys and the ports. Pure functions.
#pragma once

#include "services/diagnostics/reach.hpp"
#include "services/diagnostics/rule.hpp"

#include <span>
#include <string>
#include <vector>

namespace redoubt::diagnostics {

enum class PortState : std::uint8_t {
  free,
  served,  // By a server of this program.
  taken,   // By something else.
  refused,
};

struct Listener {
  std::string address;  // "0.0.0.0:3284"
  bool beyond_loopback = false;
  bool tls = false;
  PortState state = PortState::free;
  std::string trouble;  // Of a port that is refused.
};

struct HostFacts {
  std::string config_problem;           // Of a configuration that does not load; else empty.
  std::vector<std::string> unused;      // Names that were given and mean nothing here.
  std::vector<std::string> open_files;  // With secrets in them, and readable by others.
  bool production = false;
  bool key_given = false;     // TOKEN_ENCRYPTION_KEY, or its file.
  std::string key_problem;    // Why the ring cannot be used; else empty.
  std::string key_file;       // The ring in the data directory, where one is there.
  std::string key_file_mode;  // When others may read it; else empty.
  bool behind_proxy = false;  // Trusted proxies are named.
  bool any_origin = false;    // CORS for everybody.
  std::vector<Listener> listeners;
};

using HostRule = Rule<HostFacts>;
std::span<const HostRule> host_rules();

std::vector<Finding> examine_host(const HostFacts& facts);

// Every code there is, in the order of docs/doctor.md.
std::vector<Code> all_codes();

}  // namespace redoubt::diagnostics
