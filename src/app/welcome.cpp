#include "app/welcome.hpp"

#include "app/instance.hpp"
#include "app/options.hpp"

#include <cstdio>
#include <string>

namespace redoubt::app {
namespace {

std::string url_of(const config::ListenAddress& address, std::uint16_t port, const char* scheme) {
  config::ListenAddress reachable = address;
  if (reachable.host == "0.0.0.0") reachable.host = "127.0.0.1";
  if (reachable.host == "::") reachable.host = "::1";
  reachable.port = port;
  return std::string(scheme) + "://" + config::format(reachable);
}

std::vector<std::string> urls_of(const config::HttpSettings& http,
                                 const std::vector<std::uint16_t>& ports) {
  std::vector<std::string> urls;
  std::size_t next = 0;
  for (const auto& address : http.listen) urls.push_back(url_of(address, ports[next++], "http"));
  for (const auto& address : http.tls_listen) {
    urls.push_back(url_of(address, ports[next++], "https"));
  }
  return urls;
}

void print_first_steps(const std::string& url, const std::string& key) {
  std::printf(
      "\nTry it: a session for ada.\n\n"
      "  curl -s %s/api/v1/sessions \\\n"
      "    -H 'Authorization: Bearer %s' \\\n"
      "    -H 'Content-Type: application/json' -d '{\"user\":\"ada\"}'\n",
      url.c_str(), key.c_str());
}

}  // namespace

void print_first_key(const IssuedApiKey& key) {
  std::printf("\nThis is the first start here. Your admin key, shown this once only:\n\n  %s\n",
              key.token.c_str());
  std::fflush(stdout);
}

void print_welcome(const config::Config& config, const std::vector<std::uint16_t>& ports,
                   const std::optional<IssuedApiKey>& first_key) {
  const auto urls = urls_of(config.http, ports);
  std::printf("Redoubt %s is up.\n\n", std::string(version()).c_str());
  for (const std::string& url : urls) std::printf("  API      %s/api/v1\n", url.c_str());
  std::printf("  Docs     %s/docs\n", urls.front().c_str());
  if (config.record.database_url.empty()) {
    std::printf("  Record   %s (SQLite)\n", record_options(config.record).path.c_str());
  } else {
    std::printf("  Record   PostgreSQL\n");
  }
  if (first_key) {
    print_first_key(*first_key);
    print_first_steps(urls.front(), first_key->token);
  } else {
    print_first_steps(urls.front(), "'\"$REDOUBT_API_KEY\"'");
    std::printf(
        "\n$REDOUBT_API_KEY is an API key; the first one was shown at the first start. Lost it? "
        "Stop\n"
        "the server and run `redoubt new-admin-key`.\n");
  }
  std::printf("\nCtrl-C stops it; nothing acknowledged is lost.\n");
  std::fflush(stdout);
}

}  // namespace redoubt::app
