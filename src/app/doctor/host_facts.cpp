#include "app/doctor/facts.hpp"
#include "base/random.hpp"
#include "net/http_client.hpp"
#include "services/keys/ring_source.hpp"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

namespace redoubt::app::doctor {
namespace {

using diagnostics::HostFacts;
using diagnostics::Listener;
using diagnostics::PortState;

constexpr Duration kAskServer{1'000};

// 0, or the errno of binding.
int try_to_bind(const config::ListenAddress& address) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
  } else if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    size = sizeof(sockaddr_in6);
  } else {
    return EADDRNOTAVAIL;
  }
  const int one = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (one < 0) return errno;
  const int yes = 1;  // As the server does: what lingers from its last run is no obstacle.
  ::setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool bound =
      ::bind(one, reinterpret_cast<const sockaddr*>(&storage), size) == 0 && ::listen(one, 1) == 0;
  const int why = bound ? 0 : errno;
  ::close(one);
  return why;
}

bool is_ours(const config::ListenAddress& address, bool tls) {
  if (tls) return false;  // Its certificate need not be one that we trust.
  config::ListenAddress asked = address;
  if (asked.host == "0.0.0.0") asked.host = "127.0.0.1";
  if (asked.host == "::") asked.host = "::1";
  net::ClientRequest request;
  request.url = "http://" + config::format(asked) + "/api/v1/info";
  request.timeout = kAskServer;
  const auto response = net::fetch(request);
  return response && response->status == 200 && response->body.contains("\"redoubt\"");
}

Listener look_at(const config::ListenAddress& address, bool tls) {
  Listener out;
  out.address = config::format(address);
  out.tls = tls;
  out.beyond_loopback = diagnostics::reach_of(address.host) != diagnostics::Reach::loopback;
  const int why = address.port == 0 ? 0 : try_to_bind(address);
  if (why == 0) return out;
  out.trouble = std::generic_category().message(why);
  out.state = why != EADDRINUSE       ? PortState::refused
              : is_ours(address, tls) ? PortState::served
                                      : PortState::taken;
  return out;
}

void look_at_listeners(const config::HttpSettings& http, HostFacts& facts) {
  for (const auto& address : http.listen) facts.listeners.push_back(look_at(address, false));
  for (const auto& address : http.tls_listen) facts.listeners.push_back(look_at(address, true));
  // Beside a listener of ours that answers, one that only speaks TLS is ours too.
  const bool served = std::ranges::find(facts.listeners, PortState::served, &Listener::state) !=
                      facts.listeners.end();
  for (Listener& one : facts.listeners) {
    if (served && one.tls && one.state == PortState::taken) one.state = PortState::served;
  }
  facts.behind_proxy = !http.trusted_proxies.empty();
  facts.any_origin = std::ranges::find(http.cors_origins, "*") != http.cors_origins.end();
}

void look_at_keys(const config::Config& config, HostFacts& facts) {
  facts.production = config.mode == config::Mode::production;
  facts.key_given = !config.crypto.key_ring.empty();
  const std::string file = config.record.data_dir + "/keyring";
  struct stat found {};
  if (facts.key_given || ::stat(file.c_str(), &found) != 0) return;
  facts.key_file = file;
  facts.key_file_mode = mode_with(file, S_IRWXG | S_IRWXO);
  if (facts.production || !facts.key_file_mode.empty()) return;
  // The file is there, so none is made.
  keys::RingSettings settings;
  settings.read = [] { return Result<std::optional<Secret>>(std::nullopt); };
  settings.data_dir = config.record.data_dir;
  SystemRandom random;
  const auto source = keys::open_ring_source(std::move(settings), random);
  if (!source) facts.key_problem = source.error().message;
}

}  // namespace

std::string mode_with(const std::string& path, unsigned bits) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || (found.st_mode & bits) == 0) return {};
  return fmt::format("{:04o}", found.st_mode & 07777);
}

HostFacts gather_host(const config::Loaded& loaded, const Sources& sources) {
  HostFacts facts;
  facts.unused = loaded.unused;
  for (const std::string& path :
       {sources.config_file, sources.dotenv_file, loaded.config.crypto.key_file}) {
    if (path.empty() || mode_with(path, S_IRGRP | S_IROTH).empty()) continue;
    // A file of settings without secrets is nobody's secret.
    const bool secret = path == loaded.config.crypto.key_file ||
                        std::ranges::any_of(loaded.values, [](const config::SettingValue& value) {
                          return value.text == "set" && (value.origin == config::Origin::file ||
                                                         value.origin == config::Origin::dotenv);
                        });
    if (secret) facts.open_files.push_back(path);
  }
  look_at_keys(loaded.config, facts);
  look_at_listeners(loaded.config.http, facts);
  return facts;
}

}  // namespace redoubt::app::doctor
