#include "services/diagnostics/record_rules.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>

namespace redoubt::diagnostics {
namespace {

using enum Severity;
using See = std::optional<Seen>;

constexpr std::int64_t kVersionMin = 130'000;
constexpr Duration kSkewMax{1'000};

See unreachable(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->reached) return std::nullopt;
  return Seen{fmt::format("{} cannot be used: {}", c.postgres->name, c.postgres->trouble)};
}

See too_old(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->version.value_or(kVersionMin) >= kVersionMin) {
    return std::nullopt;
  }
  return Seen{fmt::format("the server is PostgreSQL {}", *c.postgres->version / 10'000)};
}

See fsync_off(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->fsync.value_or(true)) return std::nullopt;
  return Seen{"fsync is off"};
}

See commits_unsafe(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->synchronous_commit != "off") return std::nullopt;
  return Seen{"synchronous_commit is off by default for our account"};
}

See torn_pages(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->full_page_writes.value_or(true)) return std::nullopt;
  return Seen{"full_page_writes is off"};
}

See read_only(const RecordCase& c) {
  if (c.postgres == nullptr || !c.postgres->read_only.value_or(false)) return std::nullopt;
  return Seen{"the server takes no writes: it is a standby, or read-only by default"};
}

See superuser(const RecordCase& c) {
  if (c.postgres == nullptr || !c.postgres->superuser.value_or(false)) return std::nullopt;
  return Seen{"our account is a superuser"};
}

See bypass(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->superuser.value_or(false)) return std::nullopt;
  if (!c.postgres->bypasses_rls.value_or(false)) return std::nullopt;
  return Seen{"our account has BYPASSRLS"};
}

See plaintext(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->tls.value_or(true)) return std::nullopt;
  if (c.postgres->reach == Reach::loopback) return std::nullopt;
  return Seen{"the connection is not encrypted"};
}

See unverified(const RecordCase& c) {
  if (c.postgres == nullptr || c.postgres->tls_verified || plaintext(c)) return std::nullopt;
  return Seen{"the connection string asks for less than sslmode=verify-full"};
}

See few_connections(const RecordCase& c) {
  if (c.postgres == nullptr || !c.postgres->connections_max) return std::nullopt;
  const std::int64_t left = *c.postgres->connections_max - c.postgres->connections.value_or(0);
  if (left >= c.postgres->connections_wanted) return std::nullopt;
  return Seen{fmt::format("{} of {} connections are in use, and an instance takes up to {}",
                          c.postgres->connections.value_or(0), *c.postgres->connections_max,
                          c.postgres->connections_wanted)};
}

See clock_skew(const RecordCase& c) {
  if (c.postgres == nullptr || !c.postgres->clock_ahead) return std::nullopt;
  if (std::chrono::abs(*c.postgres->clock_ahead) <= kSkewMax) return std::nullopt;
  return Seen{fmt::format("the clock of PostgreSQL is {} ms {} ours",
                          std::chrono::abs(*c.postgres->clock_ahead).count(),
                          c.postgres->clock_ahead->count() > 0 ? "before" : "behind")};
}

constexpr std::array kRules{
    RecordRule{{"postgres_unreachable", critical, "PostgreSQL cannot be reached or logged in to.",
                "The server does not start without its record.",
                "psql \"$DATABASE_URL\" -c 'SELECT 1' from this machine"},
               unreachable},
    RecordRule{{"postgres_too_old", critical, "The server is older than PostgreSQL 13.",
                "Nothing is tested with it, and it gets no repairs.",
                "upgrade to a version that postgresql.org supports"},
               too_old},
    RecordRule{{"postgres_fsync_off", critical, "fsync is off.",
                "A power cut destroys the database, and with it every session and revocation.",
                "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();"},
               fsync_off},
    RecordRule{{"postgres_commits_unsafe", warning, "synchronous_commit is off.",
                "What is acknowledged could be lost in a power cut. Our own sessions turn it on, "
                "but what others do beside them is at risk.",
                "ALTER ROLE <account> SET synchronous_commit = on;"},
               commits_unsafe},
    RecordRule{{"postgres_torn_pages", critical, "full_page_writes is off.",
                "A power cut can leave half-written pages that nothing repairs.",
                "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();"},
               torn_pages},
    RecordRule{
        {"postgres_read_only", critical, "The server takes no writes.",
         "Sessions cannot begin or end.",
         "point DATABASE_URL to the primary (target_session_attrs=read-write), or ALTER ROLE "
         "<account> SET default_transaction_read_only = off;"},
        read_only},
    RecordRule{
        {"postgres_superuser", warning, "Our account is a superuser.",
         "Row security does not bind it, and whoever gets its password has the machine.",
         "CREATE ROLE redoubt LOGIN PASSWORD '...'; ALTER DATABASE <name> OWNER TO redoubt;"},
        superuser},
    RecordRule{
        {"postgres_bypasses_rls", warning, "Our account goes past row security.",
         "Policies that keep tenants apart do not bind it.", "ALTER ROLE <account> NOBYPASSRLS;"},
        bypass},
    RecordRule{{"postgres_plaintext", critical, "The connection is not encrypted.",
                "What goes over the network can be read and changed on the way.",
                "sslmode=verify-full in DATABASE_URL, and ssl = on in postgresql.conf"},
               plaintext},
    RecordRule{{"postgres_certificate_unverified", warning, "The certificate is not verified.",
                "Anybody on the way may answer as the database.",
                "sslmode=verify-full and sslrootcert=<PEM file> in DATABASE_URL"},
               unverified},
    RecordRule{{"postgres_few_connections", warning,
                "Fewer connections are left than an instance may want.",
                "Under load, requests wait for a connection and fail.",
                "ALTER SYSTEM SET max_connections = <more>; and a restart; or a smaller "
                "REDOUBT_DATABASE_POOL_SIZE"},
               few_connections},
    RecordRule{{"postgres_clock_skew", warning,
                "The clocks of PostgreSQL and of this machine differ by more than 1 s.",
                "Times in its log and ours do not fit each other.",
                "timedatectl set-ntp true on both machines"},
               clock_skew},
};

}  // namespace

std::span<const RecordRule> postgres_rules() {
  return kRules;
}

}  // namespace redoubt::diagnostics
