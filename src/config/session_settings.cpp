#include "config/setting.hpp"

#include <chrono>

namespace redoubt::config {
namespace {

constexpr std::uint64_t kCacheMin = 1u << 20;
constexpr std::uint64_t kCacheMax = 64ull << 30;

// 0 is a size of its own: nothing is kept.
Setting cache_size_setting() {
  return setting(
      {"sessions.cache_size",
       {"REDOUBT_SESSION_CACHE_SIZE"},
       "Memory of each worker for sessions that are answered without the record. 0: none is kept, "
       "and every session is looked up in Redis or the record."},
      "0, or 1mb to 64gb",
      at(&Config::sessions, &SessionSettings::options, &SessionOptions::cache_bytes),
      [](std::string_view text) -> Parsed<std::uint64_t> {
        if (parse_size(text) == 0) return 0;
        return size_in(text, kCacheMin, kCacheMax);
      },
      [](std::uint64_t value) { return format_size(value); });
}

}  // namespace

std::vector<Setting> session_settings() {
  using namespace std::chrono_literals;
  const auto option = [](auto field) {
    return at(&Config::sessions, &SessionSettings::options, field);
  };
  const EnumNames<SessionStorage> storages{{"database", SessionStorage::database},
                                           {"redis", SessionStorage::redis},
                                           {"hybrid", SessionStorage::hybrid},
                                           {"token", SessionStorage::token}};
  return {
      enum_setting({"sessions.storage",
                    {"SESSION_STORAGE"},
                    "Where sessions live. hybrid and redis: the record, with copies in Redis where "
                    "there is one. database: the record alone. token: in the sealed token itself, "
                    "which can then not be listed."},
                   storages, option(&SessionOptions::storage)),
      duration_setting({"sessions.ttl",
                        {"SESSION_TTL", "REDIS_SESSION_TTL"},
                        "A session ends this long after its last use."},
                       1s, 24h * 365, option(&SessionOptions::idle_ttl)),
      duration_setting({"sessions.absolute_ttl",
                        {"REDOUBT_SESSION_ABSOLUTE_TTL"},
                        "A session ends this long after its creation, however much it is used. "
                        "Unless set, 1d, or the idle lifetime where that is longer."},
                       1s, 24h * 365, option(&SessionOptions::absolute_ttl)),
      duration_setting({"sessions.auth_grace",
                        {"REDOUBT_AUTH_GRACE"},
                        "How long sessions and API keys are verified by copies in memory and in "
                        "Redis while this instance is cut off from the database. Up to 2s: not "
                        "at all. What is revoked meanwhile on another instance may be accepted here "
                        "for as long. Read again on SIGHUP."},
                       0s, 10min, at(&Config::sessions, &SessionSettings::auth_grace)),
      integer_setting({"sessions.per_user_max",
                       {"REDOUBT_SESSIONS_PER_USER_MAX"},
                       "Sessions of one user at a time; one more ends the least recently used. 0: "
                       "any number."},
                      0, 1'000'000, option(&SessionOptions::per_user_max)),
      cache_size_setting(),
      duration_setting({"sessions.cleanup_interval",
                        {"SESSION_CLEANUP_INTERVAL"},
                        "How often ended sessions are deleted."},
                       1s, 24h, at(&Config::sessions, &SessionSettings::cleanup_interval)),
  };
}

}  // namespace redoubt::config
