#include "config/setting.hpp"

#include "base/vault.hpp"

namespace redoubt::config {
namespace {

Parsed<Secret> parse_ring_text(std::string_view text) {
  Secret secret{std::string(text)};
  const auto ring = parse_key_ring(secret);
  if (ring) return secret;
  const auto& error = ring.error();
  return wrong(error.fields.empty() ? error.message : error.fields.front().detail);
}

}  // namespace

std::vector<Setting> crypto_settings() {
  const EnumNames<Mode> modes{{"development", Mode::development}, {"production", Mode::production}};
  auto ring =
      setting({"crypto.token_encryption_key",
               {"TOKEN_ENCRYPTION_KEY"},
               "Seals what is stored. One key, or a ring label:key,label:key whose first key seals "
               "and whose "
               "others only open. Make one with: openssl rand -hex 32"},
              "64 hex digits, or label:hex,label:hex",
              at(&Config::crypto, &CryptoSettings::key_ring), parse_ring_text,
              [](const Secret& value) { return std::string(value.empty() ? "not set" : "set"); });
  ring.secret = true;
  ring.set_file = [](Config& config, const std::string& path) { config.crypto.key_file = path; };
  return {
      enum_setting({"mode",
                    {"REDOUBT_MODE"},
                    "development: a missing TOKEN_ENCRYPTION_KEY is made and kept in the data "
                    "directory. production: it must be given."},
                   modes, [](auto& config) -> auto& { return config.mode; }),
      std::move(ring),
  };
}

}  // namespace redoubt::config
