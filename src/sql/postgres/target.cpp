#include "sql/postgres/target.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

namespace redoubt::sql::postgres {
namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

// What a vanished peer costs is bounded by these, not by the kernel's quarter of an hour.
constexpr auto kDefaults = std::to_array<std::pair<const char*, const char*>>({
    {"application_name", "redoubt"},
    {"client_encoding", "UTF8"},
    {"target_session_attrs", "primary"},  // Never a standby, also after a failover.
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "2"},
    {"tcp_user_timeout", "10000"},
});

bool is_local(std::string_view host) {
  return host.empty() || host.front() == '/' || host.front() == '@' || host == "localhost" ||
         host == "127.0.0.1" || host == "::1";
}

bool all_local(std::string_view hosts) {
  for (;;) {
    const std::size_t comma = hosts.find(',');
    if (!is_local(hosts.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    hosts.remove_prefix(comma + 1);
  }
}

std::string_view value_of(const Target& target, std::string_view keyword) {
  for (const auto& [name, value] : target.parameters) {
    if (name == keyword) return value.reveal();
  }
  return {};
}

void set(Target& target, std::string keyword, std::string_view value) {
  target.parameters.emplace_back(std::move(keyword), Secret(std::string(value)));
}

void decide_tls(Target& target) {
  const std::string_view address = value_of(target, "hostaddr");
  const bool local = all_local(address.empty() ? value_of(target, "host") : address);
  const std::string mode(value_of(target, "sslmode"));
  if (mode.empty()) set(target, "sslmode", local ? "prefer" : "verify-full");
  target.weak_tls = !local && !mode.empty() && mode != "verify-full";
  std::error_code ignored;
  if (!local && value_of(target, "sslrootcert").empty() &&
      std::filesystem::exists(kSystemAuthorities, ignored)) {
    set(target, "sslrootcert", kSystemAuthorities);
  }
}

std::string name_of(const Target& target) {
  const auto or_else = [&](std::string_view keyword, std::string_view otherwise) {
    const std::string_view value = value_of(target, keyword);
    return std::string(value.empty() ? otherwise : value);
  };
  return fmt::format("{}:{}/{}", or_else("host", or_else("hostaddr", "local socket")),
                     or_else("port", "5432"), or_else("dbname", ""));
}

}  // namespace

Result<Target> parse_target(const Secret& url) {
  char* problem = nullptr;
  const std::string text(url.reveal());
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(text.c_str(), &problem), &PQconninfoFree);
  PQfreemem(problem);  // It quotes the text, password and all.
  if (!options) {
    return fail(invalid_argument("REDOUBT_DATABASE_URL",
                                 "is not a connection string of PostgreSQL, such as "
                                 "postgresql://user:password@host:5432/database"));
  }
  Target target;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) set(target, option->keyword, option->val);
  }
  for (const auto& [keyword, value] : kDefaults) {
    if (value_of(target, keyword).empty()) set(target, keyword, value);
  }
  decide_tls(target);
  target.name = name_of(target);
  return target;
}

}  // namespace redoubt::sql::postgres
