#include "services/diagnostics/host_rules.hpp"

#include "services/diagnostics/record_rules.hpp"
#include "services/diagnostics/redis_rules.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace redoubt::diagnostics {
namespace {

using enum Severity;
using See = std::optional<Seen>;

See config_invalid(const HostFacts& f) {
  if (f.config_problem.empty()) return std::nullopt;
  return Seen{f.config_problem};
}

See config_unused(const HostFacts& f) {
  if (f.unused.empty()) return std::nullopt;
  return Seen{fmt::format("given and not used by this version: {}", fmt::join(f.unused, ", "))};
}

See files_open(const HostFacts& f) {
  if (f.open_files.empty()) return std::nullopt;
  return Seen{fmt::format("other accounts may read {}", fmt::join(f.open_files, ", ")),
              fmt::format("chmod go= {}", fmt::join(f.open_files, " "))};
}

See key_invalid(const HostFacts& f) {
  if (f.key_problem.empty()) return std::nullopt;
  return Seen{f.key_problem};
}

See key_missing(const HostFacts& f) {
  if (!f.production || f.key_given) return std::nullopt;
  return Seen{"production mode, and TOKEN_ENCRYPTION_KEY is not set"};
}

See key_development(const HostFacts& f) {
  if (f.production || f.key_given) return std::nullopt;
  return Seen{f.key_file.empty()
                  ? "the key will be made in the data directory at the first start"
                  : fmt::format("the key lies in {}, beside what it seals", f.key_file)};
}

See key_readable(const HostFacts& f) {
  if (f.key_file_mode.empty()) return std::nullopt;
  return Seen{fmt::format("{} has mode {}", f.key_file, f.key_file_mode),
              "chmod 0600 " + f.key_file + "; then redoubt keys rotate"};
}

const Listener* first(const HostFacts& f, PortState state) {
  const auto it = std::ranges::find(f.listeners, state, &Listener::state);
  return it == f.listeners.end() ? nullptr : &*it;
}

See port_taken(const HostFacts& f) {
  const Listener* const one = first(f, PortState::taken);
  if (one == nullptr) return std::nullopt;
  return Seen{fmt::format("another program listens on {}", one->address)};
}

See port_refused(const HostFacts& f) {
  const Listener* const one = first(f, PortState::refused);
  if (one == nullptr) return std::nullopt;
  return Seen{fmt::format("{} cannot be listened on: {}", one->address, one->trouble)};
}

See running(const HostFacts& f) {
  const Listener* const one = first(f, PortState::served);
  if (one == nullptr) return std::nullopt;
  return Seen{fmt::format("a server of this program answers on {}", one->address)};
}

bool is_public_plain(const Listener& one) {
  return one.beyond_loopback && !one.tls;
}

See http_plaintext(const HostFacts& f) {
  const auto it = std::ranges::find_if(f.listeners, is_public_plain);
  if (it == f.listeners.end() || f.behind_proxy) return std::nullopt;
  return Seen{fmt::format("{} takes requests without TLS, and no proxy in front of it is named",
                          it->address)};
}

See development_exposed(const HostFacts& f) {
  const auto it = std::ranges::find_if(f.listeners, &Listener::beyond_loopback);
  if (f.production || it == f.listeners.end()) return std::nullopt;
  return Seen{fmt::format("development mode listens on {}", it->address)};
}

See any_origin(const HostFacts& f) {
  if (!f.any_origin) return std::nullopt;
  return Seen{"any web page may call the API"};
}

constexpr std::array kRules{
    HostRule{{"config_invalid", critical, "The configuration does not load.",
              "The server does not start with it.", "mend what each line names"},
             config_invalid},
    HostRule{{"config_unused", info, "Settings are given that this version knows and does not use.",
              "They do not do what they seem to.", "unset them; redoubt config lists them"},
             config_unused},
    HostRule{{"config_readable_by_others", warning,
              "Other accounts may read a file of settings with secrets in it.",
              "They have the keys and passwords in it.", "chmod go= <file>"},
             files_open},
    HostRule{
        {"key_invalid", critical, "The encryption key cannot be used.",
         "The server does not start with it.",
         "openssl rand -hex 32 for a new installation; else the key that its record was sealed "
         "under"},
        key_invalid},
    HostRule{{"key_missing", critical, "Production mode has no encryption key.",
              "The server does not start: it makes no key by itself in production.",
              "TOKEN_ENCRYPTION_KEY=$(openssl rand -hex 32), kept where the data is not"},
             key_missing},
    HostRule{{"key_development", info, "The key is made here and lies beside the data.",
              "Whoever copies the data directory has the key too.",
              "REDOUBT_MODE=production and TOKEN_ENCRYPTION_KEY=<the key>"},
             key_development},
    HostRule{{"key_readable_by_others", critical, "Other accounts may read the key.",
              "They can open everything that is sealed.",
              "chmod 0600 <data directory>/keyring; then redoubt keys rotate"},
             key_readable},
    HostRule{{"port_taken", critical, "Another program has the port.", "The server does not start.",
              "ss -ltnp shows which one; or REDOUBT_LISTEN=<address>"},
             port_taken},
    HostRule{{"port_refused", critical, "The system does not let us have the address.",
              "The server does not start.",
              "a port from 1024 on, an address of this machine, or CAP_NET_BIND_SERVICE: "
              "REDOUBT_LISTEN"},
             port_refused},
    HostRule{{"server_running", info, "A server of this program runs here.",
              "Its port is in use by itself.",
              "nothing; redoubt call diagnostics.redis asks it for what it sees"},
             running},
    HostRule{{"http_plaintext", warning, "Requests from other machines come without TLS.",
              "Tokens and keys in them can be read on the way.",
              "REDOUBT_TLS_LISTEN with a certificate, or a proxy with TLS named in "
              "REDOUBT_TRUSTED_PROXIES"},
             http_plaintext},
    HostRule{{"development_exposed", warning, "Development mode is reachable from other machines.",
              "It makes its own key and is meant for one machine.", "REDOUBT_MODE=production"},
             development_exposed},
    HostRule{{"any_origin", warning, "CORS is open for every origin.",
              "A page that a user visits can call the API from the user's network.",
              "name the origins in REDOUBT_CORS_ORIGINS"},
             any_origin},
};

template <class Rules>
void add_codes(const Rules& rules, std::vector<Code>& out) {
  for (const auto& rule : rules) out.push_back(rule.code);
}

}  // namespace

std::span<const HostRule> host_rules() {
  return kRules;
}

std::vector<Finding> examine_host(const HostFacts& facts) {
  std::vector<Finding> findings;
  apply(host_rules(), facts, findings);
  for (Finding& finding : findings) finding.section = "host";
  sort_findings(findings);
  return findings;
}

std::vector<Code> all_codes() {
  std::vector<Code> codes;
  add_codes(redis_access_rules(), codes);
  add_codes(redis_server_rules(), codes);
  add_codes(redis_memory_rules(), codes);
  add_codes(redis_behaviour_rules(), codes);
  add_codes(sqlite_rules(), codes);
  add_codes(postgres_rules(), codes);
  add_codes(host_rules(), codes);
  return codes;
}

}  // namespace redoubt::diagnostics
