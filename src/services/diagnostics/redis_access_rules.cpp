#include "services/diagnostics/redis_rules.hpp"
#include "shared/incarnation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace redoubt::diagnostics {
namespace {

using enum Severity;

bool is_login(std::string_view trouble) {
  return trouble.contains("refuses our credentials") || trouble.contains("WRONGPASS") ||
         trouble.contains("NOAUTH") || trouble.contains("invalid password");
}
bool is_certificate(std::string_view trouble) {
  return trouble.contains("certificate") || trouble.contains("hostname mismatch");
}
bool is_loading(std::string_view trouble) {
  return trouble.contains("LOADING");
}

bool is_rest(const RedisCase& c) {
  return c.setup.topology == "rest";
}

// What is seen, with the REST transport's mend in place of the native one's.
Seen seen_of(const RedisCase& c, std::string what, std::string_view rest_mend) {
  return {std::move(what), is_rest(c) ? std::string(rest_mend) : std::string()};
}

// Neither side says "TLS" when it is spoken to a port that does not: one waits, the other hangs up.
std::string mend_of_reach(const RedisCase& c) {
  if (is_rest(c)) {
    return "write \"Authorization: Bearer <token>\" into a file, and from this machine: curl -H "
           "@<file> <UPSTASH_REDIS_REST_URL>/ping; mend UPSTASH_REDIS_REST_URL";
  }
  if (c.setup.tls && c.facts.trouble.contains("TLS handshake")) {
    return "if the port speaks no TLS: redis:// in REDIS_URL and no REDIS_SSL; else give the port "
           "that does";
  }
  if (!c.setup.tls && c.facts.trouble.contains("closed the connection")) {
    return "if the port speaks TLS: rediss:// in REDIS_URL, or REDIS_SSL=true with REDIS_HOST; "
           "else see the log of Redis";
  }
  return {};
}

RedisSeen unreachable(const RedisCase& c) {
  const std::string& trouble = c.facts.trouble;
  if (c.facts.reached || is_login(trouble) || is_certificate(trouble) || is_loading(trouble)) {
    return std::nullopt;
  }
  constexpr std::string_view kSaid = "Redis cannot be reached";
  return Seen{trouble.starts_with(kSaid) ? trouble : fmt::format("{}: {}", kSaid, trouble),
              mend_of_reach(c)};
}

RedisSeen login_refused(const RedisCase& c) {
  if (c.facts.reached || !is_login(c.facts.trouble)) return std::nullopt;
  return seen_of(c, "Redis does not take our credentials: " + c.facts.trouble,
                 "set UPSTASH_REDIS_REST_TOKEN to a token of the Redis of UPSTASH_REDIS_REST_URL");
}

RedisSeen certificate_refused(const RedisCase& c) {
  if (c.facts.reached || !is_certificate(c.facts.trouble)) return std::nullopt;
  return seen_of(c, "the certificate of Redis is not trusted: " + c.facts.trouble,
                 "REDIS_SSL_CA_CERTS=<PEM file of the authority>, and a host name in "
                 "UPSTASH_REDIS_REST_URL that the certificate has");
}

RedisSeen loading(const RedisCase& c) {
  const bool seen = is_loading(c.facts.trouble) || c.facts.server.loading.value_or(false);
  if (!seen) return std::nullopt;
  return Seen{"Redis is still reading its data from disk"};
}

RedisSeen another_record(const RedisCase& c) {
  if (!c.facts.mark || c.setup.record.empty()) return std::nullopt;
  const auto mark = shared::decode_mark(*c.facts.mark);
  if (mark && mark->record == c.setup.record) return std::nullopt;
  Seen seen{mark ? fmt::format("this Redis belongs to the record {}, and ours is {}", mark->record,
                               c.setup.record)
                 : "the key rd:inc of this Redis is none of ours"};
  // Neither has databases to choose from.
  if (is_rest(c)) {
    seen.mend =
        "give each installation a Redis of its own, or DEL rd:inc if the other one is gone "
        "for good";
  } else if (c.setup.topology == "cluster") {
    seen.mend =
        "give each installation a cluster of its own, or redis-cli -c DEL rd:inc if the "
        "other one is gone for good";
  }
  return seen;
}

// ---- Rights ----

std::string account_of(const RedisCase& c) {
  if (c.facts.exposure.account) return *c.facts.exposure.account;
  return c.setup.user.empty() ? "default" : c.setup.user;
}

RedisSeen command_denied(const RedisCase& c) {
  const auto& denied = c.facts.denied_commands;
  if (denied.empty() || is_rest(c)) return std::nullopt;
  std::string grant;
  for (const std::string& name : denied) grant += " +" + name;
  std::ranges::transform(grant, grant.begin(), [](char ch) {
    return ch >= 'A' && ch <= 'Z' ? static_cast<char>(ch - 'A' + 'a') : ch;
  });
  return Seen{fmt::format("the account {} may not use {}", account_of(c), fmt::join(denied, ", ")),
              fmt::format("redis-cli ACL SETUSER {}{}", account_of(c), grant)};
}

RedisSeen keys_denied(const RedisCase& c) {
  if (!c.facts.denied_keys) return std::nullopt;
  if (is_rest(c)) {
    return Seen{"the token of the REST address may not use keys under rd:",
                "set UPSTASH_REDIS_REST_TOKEN to a token whose account may use '~rd:*'"};
  }
  return Seen{fmt::format("the account {} may not use keys under rd:", account_of(c)),
              fmt::format("redis-cli ACL SETUSER {} '~rd:*' '&rd:*'", account_of(c))};
}

RedisSeen channels_denied(const RedisCase& c) {
  if (!c.facts.denied_channels) return std::nullopt;
  if (is_rest(c)) {
    return Seen{"the token of the REST address may not use channels under rd:",
                "set UPSTASH_REDIS_REST_TOKEN to a token whose account may use '&rd:*'"};
  }
  return Seen{fmt::format("the account {} may not use channels under rd:", account_of(c)),
              fmt::format("redis-cli ACL SETUSER {} '&rd:*' +publish +subscribe +unsubscribe",
                          account_of(c))};
}

RedisSeen no_tracking(const RedisCase& c) {
  if (is_rest(c) || c.facts.tracks.value_or(true)) return std::nullopt;
  return Seen{"CLIENT TRACKING was refused, or the server does not speak RESP3"};
}

RedisSeen rest_read_only(const RedisCase& c) {
  if (!is_rest(c) || c.facts.denied_commands.empty()) return std::nullopt;
  return Seen{fmt::format("the token of the REST address may not use {}",
                          fmt::join(c.facts.denied_commands, ", "))};
}

// Replies that have a rule of their own.
bool is_explained(std::string_view error) {
  constexpr std::array<std::string_view, 10> kKnown{"NOPERM",   "can't run this command",
                                                    "MISCONF",  "OOM",
                                                    "BUSY ",    "CLUSTERDOWN",
                                                    "READONLY", "LOADING",
                                                    "no time",  "MOVED"};
  return std::ranges::any_of(kKnown, [&](std::string_view word) { return error.contains(word); });
}

RedisSeen operation_fails(const RedisCase& c) {
  for (const shared::OperationTimes& one : c.facts.operations) {
    if (one.error.empty() || is_explained(one.error)) continue;
    return Seen{fmt::format("{} fails: {}", one.name, one.error)};
  }
  return std::nullopt;
}

// ---- Exposure ----

RedisSeen no_password(const RedisCase& c) {
  if (c.setup.password || c.setup.reach == Reach::loopback || !c.facts.reached) {
    return std::nullopt;
  }
  return Seen{"Redis is used over a network and asks for no password"};
}

RedisSeen open_to_network(const RedisCase& c) {
  const auto& exposure = c.facts.exposure;
  const bool open = exposure.default_no_password.value_or(false) &&
                    !exposure.protected_mode.value_or(true) &&
                    !exposure.only_loopback.value_or(false);
  if (!open) return std::nullopt;
  return Seen{
      "Redis listens beyond this machine, with protected mode off and a default account that needs "
      "no password"};
}

RedisSeen protected_mode_off(const RedisCase& c) {
  if (c.facts.exposure.protected_mode.value_or(true) || open_to_network(c)) return std::nullopt;
  return Seen{"protected mode is off"};
}

RedisSeen default_open(const RedisCase& c) {
  const bool seen = c.setup.password && c.facts.exposure.default_no_password.value_or(false) &&
                    !open_to_network(c);
  if (!seen) return std::nullopt;
  return Seen{"our account has a password, and the account \"default\" still needs none"};
}

RedisSeen all_rights(const RedisCase& c) {
  if (c.setup.reach == Reach::loopback || !c.facts.exposure.account_all_rights.value_or(false)) {
    return std::nullopt;
  }
  return Seen{fmt::format("the account {} may run every command on every key", account_of(c))};
}

constexpr std::string_view kRestTls = "use https:// in UPSTASH_REDIS_REST_URL";

RedisSeen plaintext_far(const RedisCase& c) {
  if (c.setup.tls || c.setup.reach != Reach::anywhere) return std::nullopt;
  return seen_of(c, "Redis is spoken to without TLS over a network that is not private", kRestTls);
}

RedisSeen plaintext_near(const RedisCase& c) {
  if (c.setup.tls || c.setup.reach != Reach::private_network) return std::nullopt;
  return seen_of(c, "Redis is spoken to without TLS over a private network", kRestTls);
}

RedisSeen unverified(const RedisCase& c) {
  if (!c.setup.tls || c.setup.tls_verified) return std::nullopt;
  return Seen{"the certificate of Redis is not verified"};
}

constexpr std::array kRules{
    RedisRule{{"redis_unreachable", critical, "Redis does not answer at the address it is given.",
               "Limits are counted per instance and every copy is a miss until it does.",
               "redis-cli -u <REDIS_URL> PING from this machine; start Redis, or mend REDIS_URL"},
              unreachable},
    RedisRule{{"redis_login_refused", critical, "Redis refuses the account or its password.",
               "Nothing of Redis is used.",
               "set REDIS_USERNAME and REDIS_PASSWORD, or those in REDIS_URL, to an account that "
               "redis-cli ACL LIST has"},
              login_refused},
    RedisRule{{"redis_certificate", critical,
               "The certificate of Redis does not stand up to "
               "verification.",
               "Nothing of Redis is used: whoever answers there may be anybody.",
               "REDIS_SSL_CA_CERTS=<PEM file of the authority>, and a host name in REDIS_URL that "
               "the certificate has"},
              certificate_refused},
    RedisRule{{"redis_loading", warning, "Redis has started and reads its data from disk.",
               "It answers nothing until it has; then it is used by itself.",
               "wait; see redis-cli INFO persistence, loading_eta_seconds"},
              loading},
    RedisRule{
        {"redis_another_record", critical, "This Redis is in use with another record.",
         "Two installations in one database would read each other's keys, so it is not used.",
         "give each installation a Redis database of its own: REDIS_DATABASE=<n>, or redis-cli "
         "-n <n> DEL rd:inc if the other one is gone for good"},
        another_record},
    RedisRule{{"redis_command_denied", critical, "The account may not run a command we need.",
               "Whatever needs the command works as if Redis were away.",
               "redis-cli ACL SETUSER <account> +<command> ..."},
              command_denied},
    RedisRule{
        {"redis_keys_denied", critical, "The account may not use our keys.",
         "Nothing can be read or written.", "redis-cli ACL SETUSER <account> '~rd:*' '&rd:*'"},
        keys_denied},
    RedisRule{{"redis_channels_denied", warning, "The account may not use our channels.",
               "Other instances know of a revocation or an invalidation at their next look at the "
               "journal, 0.2 s later, and not within milliseconds.",
               "redis-cli ACL SETUSER <account> '&rd:*' +publish +subscribe +unsubscribe"},
              channels_denied},
    RedisRule{{"redis_no_tracking", info, "This Redis does not tell of changes to what was read.",
               "An instance that has a cache entry in memory keeps it until it ends or is "
               "invalidated, whatever another instance puts.",
               "use Redis 6 or later or Valkey; and redis-cli ACL SETUSER <account> "
               "'+client|tracking' '+client|caching'"},
              no_tracking},
    RedisRule{{"redis_rest_read_only", critical, "The REST token may read and not write.",
               "Limits and copies are writes: Redis is as good as away.",
               "set UPSTASH_REDIS_REST_TOKEN to the token that is not marked read-only"},
              rest_read_only},
    RedisRule{{"redis_operation_fails", critical, "A command that we need answers with an error.",
               "Whatever needs the command works as if Redis were away.",
               "redis-cli INFO, and the log of Redis: the error is its own words"},
              operation_fails},
    RedisRule{{"redis_no_password", critical, "Redis is used over a network without a password.",
               "Whoever reaches its port reads and changes limits and copies, and can run scripts "
               "in it.",
               "redis-cli CONFIG SET requirepass <password> and REDIS_PASSWORD=<password>"},
              no_password},
    RedisRule{
        {"redis_open_to_network", critical, "Redis listens to the network and lets anybody in.",
         "Unguarded Redis servers are found and taken over within hours.",
         "redis-cli CONFIG SET requirepass <password>, redis-cli CONFIG SET protected-mode "
         "yes, and bind 127.0.0.1 in redis.conf"},
        open_to_network},
    RedisRule{{"redis_protected_mode_off", info, "Protected mode is off.",
               "Then only the password and the addresses it listens on keep others out.",
               "redis-cli CONFIG SET protected-mode yes"},
              protected_mode_off},
    RedisRule{{"redis_default_account_open", warning,
               "The account \"default\" needs no password, though ours does.",
               "Our password protects nothing: who logs in without one has that account's rights.",
               "redis-cli ACL SETUSER default resetpass"},
              default_open},
    RedisRule{
        {"redis_account_all_rights", warning, "Our account may do everything, over a network.",
         "Its password is all that is needed to read other programs' keys, to empty Redis or "
         "to reconfigure it.",
         "redis-cli ACL SETUSER redoubt on '><password>' '~rd:*' '&rd:*' +@all -@dangerous "
         "+info +role, and REDIS_USERNAME=redoubt"},
        all_rights},
    RedisRule{{"redis_plaintext", critical, "No TLS over a network that is not private.",
               "Password and data can be read and changed on the way.",
               "use rediss:// in REDIS_URL, or REDIS_SSL=true with REDIS_HOST"},
              plaintext_far},
    RedisRule{{"redis_plaintext_private", info, "No TLS over a private network.",
               "Whoever is on that network can read along.",
               "use rediss:// in REDIS_URL, or REDIS_SSL=true with REDIS_HOST"},
              plaintext_near},
    RedisRule{{"redis_certificate_unverified", warning, "The certificate is not verified.",
               "Anybody on the way may answer as Redis and gets the password.",
               "unset REDIS_SSL_CERT_REQS; REDIS_SSL_CA_CERTS=<PEM file> for an authority of your "
               "own"},
              unverified},
};

}  // namespace

std::span<const RedisRule> redis_access_rules() {
  return kRules;
}

}  // namespace redoubt::diagnostics
