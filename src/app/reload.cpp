#include "app/reload.hpp"

#include "base/bytes.hpp"
#include "base/crypto.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>
#include <type_traits>
#include <variant>

namespace redoubt::app {
namespace {

constexpr std::array<std::string_view, 2> kLive{"sessions.auth_grace", "cache.without_redis"};

bool is_live(std::string_view key) {
  if (key.starts_with("limits.") || key.starts_with("redis.")) return true;
  return std::ranges::find(kLive, key) != kLive.end();
}

bool same(const Secret& a, const Secret& b) {
  return constant_time_equal(as_bytes(a.reveal()), as_bytes(b.reveal()));
}

bool same(const redis::Credentials& a, const redis::Credentials& b) {
  return a.user == b.user && same(a.password, b.password);
}

bool same(const redis::Tls& a, const redis::Tls& b) {
  return a.enabled == b.enabled && a.ca_file == b.ca_file && a.server_name == b.server_name &&
         a.certificate_file == b.certificate_file && a.key_file == b.key_file &&
         a.verify == b.verify;
}

bool same(const redis::Standalone& a, const redis::Standalone& b) {
  return a.endpoint == b.endpoint;
}

bool same(const redis::Sentinel& a, const redis::Sentinel& b) {
  return a.sentinels == b.sentinels && a.master_name == b.master_name &&
         same(a.credentials, b.credentials) && same(a.tls, b.tls);
}

bool same(const redis::Cluster& a, const redis::Cluster& b) {
  return a.seeds == b.seeds;
}

bool same(const redis::Rest& a, const redis::Rest& b) {
  return a.url == b.url && same(a.token, b.token);
}

std::map<std::string_view, std::string_view> texts_of(const config::Loaded& loaded) {
  std::map<std::string_view, std::string_view> texts;
  for (const config::SettingValue& value : loaded.values) texts.emplace(value.key, value.text);
  return texts;
}

}  // namespace

ConfigChange compare(const config::Loaded& before, const config::Loaded& after) {
  const auto old_texts = texts_of(before);
  const auto new_texts = texts_of(after);
  std::map<std::string_view, bool> changed;
  for (const auto& [key, text] : old_texts) {
    const auto found = new_texts.find(key);
    changed[key] = found == new_texts.end() || found->second != text;
  }
  for (const auto& [key, text] : new_texts) changed.try_emplace(key, true);
  ConfigChange out;
  for (const auto& [key, differs] : changed) {
    if (!differs) continue;
    (is_live(key) ? out.live : out.restart).emplace_back(key);
  }
  return out;
}

bool same_redis(const redis::Options& a, const redis::Options& b) {
  const bool same_place = std::visit(
      [&b](const auto& place) {
        const auto* other = std::get_if<std::remove_cvref_t<decltype(place)>>(&b.topology);
        return other != nullptr && same(place, *other);
      },
      a.topology);
  return same_place && same(a.credentials, b.credentials) && same(a.tls, b.tls) &&
         a.database == b.database && a.timeouts.connect == b.timeouts.connect &&
         a.timeouts.operation == b.timeouts.operation;
}

}  // namespace redoubt::app
