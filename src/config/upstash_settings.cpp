#include "config/setting.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <chrono>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kTokenMin = 16;

const EnumNames<UpstashAccess> kAccess{{"read_only", UpstashAccess::read_only},
                                       {"read_write", UpstashAccess::read_write},
                                       {"admin", UpstashAccess::admin}};

// "read_only:<token>", or the token alone. Never quotes it.
Parsed<UpstashToken> one_token(std::string_view text) {
  UpstashToken token;
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    const auto named = std::ranges::find(kAccess, text.substr(0, colon),
                                         [](const auto& name) { return name.first; });
    if (named == kAccess.end()) {
      return wrong("has an access that is none of read_only, read_write, admin");
    }
    token.access = named->second;
    text.remove_prefix(colon + 1);
  }
  const auto printable = [](char c) { return c > ' ' && c != 0x7f; };
  if (!std::ranges::all_of(text, printable)) {
    return wrong("has a token with white space or control characters in it");
  }
  if (text.size() < kTokenMin) return wrong("has a token shorter than 16 characters");
  token.token = Secret(std::string(text));
  return token;
}

Parsed<std::vector<UpstashToken>> tokens(std::string_view text) {
  const auto items = list_items(text);
  if (!items) return wrong(items.error());
  std::vector<UpstashToken> all;
  for (const std::string_view item : *items) {
    auto token = one_token(item);
    if (!token) return wrong(std::move(token).error());
    all.push_back(*std::move(token));
  }
  return all;
}

Parsed<std::string> path(std::string_view text) {
  if (text == "none") return std::string();
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '/';
  };
  const bool clean = text.size() > 1 && text.starts_with('/') && !text.ends_with('/') &&
                     text.find("//") == std::string_view::npos && std::ranges::all_of(text, good);
  if (!clean) return wrong(fmt::format("{} is neither none nor a path like /redis", quote(text)));
  if (text.starts_with("/api")) return wrong("paths below /api are taken");
  return std::string(text);
}

std::vector<Setting> way_settings() {
  auto listen = setting(
      {"upstash.listen",
       {"REDOUBT_UPSTASH_ADDR"},
       "Where Redis is served over HTTP as Upstash does it, for clients that speak only that."},
      "address:port, ... or none", at(&Config::upstash, &UpstashSettings::listen), listen_addresses,
      [](const std::vector<ListenAddress>& addresses) {
        std::vector<std::string> texts;
        for (const auto& address : addresses) texts.push_back(format(address));
        return joined(texts);
      });
  listen.list = true;
  auto mounted = setting({"upstash.path",
                          {"REDOUBT_UPSTASH_PATH"},
                          "The path of the API's own ports below which it is served too."},
                         "a path or none", at(&Config::upstash, &UpstashSettings::path), path,
                         [](const std::string& value) { return value.empty() ? "none" : value; });
  auto secrets = setting({"upstash.tokens",
                          {"REDOUBT_UPSTASH_TOKENS"},
                          "Tokens that are good there, beside API keys with the scope redis. A "
                          "token alone may read and "
                          "write."},
                         "[read_only:|read_write:|admin:]token, ...",
                         at(&Config::upstash, &UpstashSettings::tokens), tokens,
                         [](const std::vector<UpstashToken>& value) -> std::string {
                           return value.empty() ? "not set" : "set";
                         });
  secrets.secret = true;
  return {std::move(listen), std::move(mounted), std::move(secrets)};
}

std::vector<Setting> rule_settings() {
  const auto upstash = [](auto field) { return at(&Config::upstash, field); };
  const EnumNames<UpstashPrefix> prefixes{{"none", UpstashPrefix::none},
                                          {"tenant", UpstashPrefix::tenant}};
  return {
      enum_setting(
          {"upstash.prefix",
           {"REDOUBT_UPSTASH_PREFIX"},
           "tenant: every tenant has its own keys, behind tenant:<id>:. none: all keys are "
           "one, and only the home tenant has access."},
          prefixes, upstash(&UpstashSettings::prefix)),
      boolean_setting({"upstash.tenant_scripts",
                       {"REDOUBT_UPSTASH_TENANT_SCRIPTS"},
                       "With a prefix per tenant: whether scripts may run. A script can reach the "
                       "keys of every tenant, so say true only if all of them are trusted."},
                      upstash(&UpstashSettings::tenant_scripts)),
      size_setting({"upstash.request_max",
                    {"REDOUBT_UPSTASH_REQUEST_MAX"},
                    "The longest request there. Below the path, REDOUBT_BODY_MAX holds."},
                   1u << 10, 64u << 20, upstash(&UpstashSettings::request_max)),
      duration_setting({"upstash.command_timeout",
                        {"REDOUBT_UPSTASH_COMMAND_TIMEOUT"},
                        "How long a command of such a client may take."},
                       10ms, 5min, upstash(&UpstashSettings::command_timeout)),
      integer_setting({"upstash.streams_max",
                       {"REDOUBT_UPSTASH_STREAMS_MAX"},
                       "Event streams (subscribe, monitor) of the whole server."},
                      0, 1'000'000, upstash(&UpstashSettings::streams_max)),
  };
}

}  // namespace

std::vector<Setting> upstash_settings() {
  std::vector<Setting> rows = way_settings();
  for (Setting& row : rule_settings()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace redoubt::config
