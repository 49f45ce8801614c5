#include "config/load.hpp"

#include "config/setting.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

namespace redoubt::config {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kKey = "6f1d0c9be2a74835d1907c5e3fb84a62c08e57f3192bd6a4487e0b95ac31f6d2";

// Sources made of texts; files that are not named do not exist.
struct Sources {
  std::map<std::string, std::string> environment{};
  std::string toml{};
  std::string dotenv{};
  std::vector<std::pair<std::string, std::string>> flags{};
  std::map<std::string, std::string> files{};

  Result<Loaded> load() const {
    ConfigSources sources;
    sources.environment = environment;
    sources.flags = flags;
    sources.read_file = [this](const std::string& path) -> Result<std::optional<std::string>> {
      if (path == "redoubt.toml" && !toml.empty()) return toml;
      if (path == ".env" && !dotenv.empty()) return dotenv;
      if (path == "/unreadable") {
        return fail(Error(Errc::invalid_argument, "x", "\"/unreadable\" cannot be read: denied"));
      }
      const auto found = files.find(path);
      if (found == files.end()) return std::nullopt;
      return found->second;
    };
    return load_config(sources);
  }

  std::string problems() const {
    const auto loaded = load();
    return loaded ? "none" : loaded.error().message;
  }
};

Config config_of(const Sources& sources) {
  auto loaded = sources.load();
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded ? loaded->config : Config{};
}

const SettingValue& value_of(const Loaded& loaded, std::string_view key) {
  for (const auto& value : loaded.values) {
    if (value.key == key) return value;
  }
  ADD_FAILURE() << "no value for " << key;
  return loaded.values.front();
}

TEST(LoadConfig, NeedsNothing) {
  const auto config = config_of({});

  EXPECT_EQ(config.mode, Mode::development);
  ASSERT_EQ(config.http.listen.size(), 1u);
  EXPECT_EQ(format(config.http.listen.front()), "127.0.0.1:3284");
  EXPECT_EQ(config.record.path, "./data/redoubt.db");
  EXPECT_EQ(config.sessions.options.idle_ttl, Duration(1h));
  EXPECT_EQ(config.sessions.options.absolute_ttl, Duration(24h));
  ASSERT_EQ(config.limits.policies.size(), 1u);
  EXPECT_EQ(config.limits.policies.front().name, "default");
  EXPECT_EQ(config.limits.policies.front().limit, 60);
  EXPECT_EQ(config.limits.policies.front().burst, 10);
  EXPECT_TRUE(config.crypto.key_ring.empty());
}

TEST(LoadConfig, PrefersFlagThenEnvironmentThenDotenvThenFileThenDefault) {
  Sources sources;
  const auto now = [&] {
    const auto loaded = sources.load();
    EXPECT_TRUE(loaded) << loaded.error().message;
    const auto& value = value_of(*loaded, "sessions.ttl");
    EXPECT_EQ(value.text, format_duration(loaded->config.sessions.options.idle_ttl));
    return value.text + " from " + value.source;
  };

  EXPECT_EQ(now(), "1h from default");
  sources.toml = "[sessions]\nttl = 60";
  EXPECT_EQ(now(), "1m from redoubt.toml:2");
  sources.dotenv = "\nSESSION_TTL=2m";
  EXPECT_EQ(now(), "2m from .env:2 SESSION_TTL");
  sources.environment["SESSION_TTL"] = "3m";
  EXPECT_EQ(now(), "3m from SESSION_TTL");
  sources.flags.emplace_back("sessions.ttl", "4m");
  EXPECT_EQ(now(), "4m from --set sessions.ttl");
  sources.flags.emplace_back("sessions.ttl", "5m");
  EXPECT_EQ(now(), "5m from --set sessions.ttl");
}

TEST(LoadConfig, TakesEitherSpellingAndRefusesTwoThatDiffer) {
  Sources sources;
  sources.environment = {{"REDIS_SESSION_TTL", "7200"}};
  EXPECT_EQ(config_of(sources).sessions.options.idle_ttl, Duration(2h));

  sources.environment["SESSION_TTL"] = "2h";
  EXPECT_EQ(sources.problems(), "none");

  sources.environment["SESSION_TTL"] = "3h";
  EXPECT_EQ(sources.problems(),
            "SESSION_TTL: contradicts REDIS_SESSION_TTL; both are sessions.ttl, and SESSION_TTL "
            "would win: unset REDIS_SESSION_TTL\n"
            "1 problem");

  sources.environment = {{"REDIS_ENABLE", "false"}, {"REDIS_ENABLED", "true"}};
  EXPECT_THAT(sources.problems(), HasSubstr("REDIS_ENABLE: contradicts REDIS_ENABLED"));
}

TEST(LoadConfig, LetsTheEnvironmentOverruleTheOtherSpellingInDotenv) {
  Sources sources;
  sources.dotenv = "REDIS_SESSION_TTL=2h";
  sources.environment = {{"SESSION_TTL", "3h"}};
  EXPECT_EQ(config_of(sources).sessions.options.idle_ttl, Duration(3h));
}

TEST(LoadConfig, ReportsAllProblemsAtOnce) {
  Sources sources;
  sources.toml = "[http]\nlisten = \"nowhere\"\n[sesions]\nttl = 1";
  sources.dotenv = "REDOUBT_LOG_LEVEL=loud";
  sources.environment = {{"SESSION_TTL", "soon"}, {"REDOUBT_LISTNE", "1"}};
  const auto loaded = sources.load();

  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().slug, "config_invalid");
  EXPECT_EQ(loaded.error().fields.size(), 5u) << loaded.error().message;
  const auto& message = loaded.error().message;
  EXPECT_THAT(message, HasSubstr("redoubt.toml:2: "));
  EXPECT_THAT(message, HasSubstr("\"sesions.ttl\": there is no such setting; did you mean "
                                 "sessions.ttl?"));
  EXPECT_THAT(message, HasSubstr(".env:1 REDOUBT_LOG_LEVEL: \"loud\" is not one of"));
  EXPECT_THAT(message, HasSubstr("SESSION_TTL: \"soon\" is not a duration"));
  EXPECT_THAT(message, HasSubstr("REDOUBT_LISTNE: there is no such setting; did you mean "
                                 "REDOUBT_LISTEN?"));
  EXPECT_THAT(message, HasSubstr("5 problems"));
}

TEST(LoadConfig, TellsTheNameOfASettingThatHasNoPrefix) {
  EXPECT_EQ((Sources{.environment = {{"REDOUBT_SESSION_TTL", "1h"}}}.problems()),
            "REDOUBT_SESSION_TTL: there is no such setting; it is called SESSION_TTL\n1 problem");
}

TEST(LoadConfig, IgnoresWhatIsNotOursAndWhatIsEmpty) {
  EXPECT_EQ((Sources{.environment = {{"PATH", "/bin"},
                                     {"REDIS_PASSWORD", ""},
                                     {"REDIS_URL", ""},
                                     {"SESSION_TTL", ""},
                                     {"REDOUBT_URL", "http://127.0.0.1:3284"},
                                     {"REDOUBT_API_KEY", "rdk_x"}},
                     .dotenv = "OTHER=${HOME}"}
                 .problems()),
            "none");
}

TEST(LoadConfig, RefusesAValueThatWouldHaveBeenExpandedElsewhere) {
  EXPECT_THAT((Sources{.dotenv = "REDOUBT_DATA_DIR=${HOME}/data"}.problems()),
              HasSubstr(".env:1 REDOUBT_DATA_DIR: has a $ that is not expanded here"));
  EXPECT_EQ(config_of({.dotenv = "REDOUBT_DATA_DIR='/srv/$data'"}).record.data_dir, "/srv/$data");
}

TEST(LoadConfig, ReadsASecretFromItsFile) {
  Sources sources;
  sources.files["/run/key"] = std::string(kKey) + "\n";
  sources.environment = {{"TOKEN_ENCRYPTION_KEY_FILE", "/run/key"}, {"REDOUBT_MODE", "production"}};
  const auto config = config_of(sources);

  EXPECT_EQ(config.crypto.key_ring.reveal(), kKey);
  EXPECT_EQ(config.crypto.key_file, "/run/key");
}

TEST(LoadConfig, ReadsASecretsFileFromTomlAndFlag) {
  Sources sources;
  sources.files["/run/key"] = kKey;
  sources.toml = "[crypto]\ntoken_encryption_key_file = \"/run/key\"";
  EXPECT_EQ(config_of(sources).crypto.key_ring.reveal(), kKey);

  sources.toml.clear();
  sources.flags.emplace_back("crypto.token_encryption_key_file", "/run/key");
  EXPECT_EQ(config_of(sources).crypto.key_ring.reveal(), kKey);
}

TEST(LoadConfig, SaysWhyASecretsFileCannotBeUsed) {
  Sources sources;
  sources.environment = {{"TOKEN_ENCRYPTION_KEY_FILE", "/gone"}};
  EXPECT_EQ(sources.problems(), "TOKEN_ENCRYPTION_KEY_FILE: there is no file \"/gone\"\n1 problem");

  sources.files["/gone"] = " \n";
  EXPECT_EQ(sources.problems(), "TOKEN_ENCRYPTION_KEY_FILE: \"/gone\" is empty\n1 problem");

  sources.environment = {{"TOKEN_ENCRYPTION_KEY_FILE", "/unreadable"}};
  EXPECT_THAT(sources.problems(), HasSubstr("cannot be read: denied"));
}

TEST(LoadConfig, RefusesASecretAndItsFileThatDiffer) {
  Sources sources;
  sources.files["/run/key"] = std::string(63, 'a') + "b";
  sources.environment = {{"TOKEN_ENCRYPTION_KEY", kKey}, {"TOKEN_ENCRYPTION_KEY_FILE", "/run/key"}};
  EXPECT_THAT(sources.problems(),
              HasSubstr("TOKEN_ENCRYPTION_KEY: contradicts TOKEN_ENCRYPTION_KEY_FILE"));
}

TEST(LoadConfig, NeverTakesASecretFromTheCommandLine) {
  Sources sources;
  sources.flags.emplace_back("crypto.token_encryption_key", kKey);
  const auto problems = sources.problems();
  EXPECT_THAT(problems, HasSubstr("seen by every user of the machine"));
  EXPECT_THAT(problems, Not(HasSubstr(kKey)));
}

TEST(LoadConfig, NeverQuotesASecret) {
  const std::string bad = "zz" + std::string(kKey).substr(2);
  const std::string other = std::string(63, 'a') + "b";
  Sources sources;
  sources.environment = {{"TOKEN_ENCRYPTION_KEY", bad}};
  EXPECT_THAT(sources.problems(), HasSubstr("TOKEN_ENCRYPTION_KEY: "));
  EXPECT_THAT(sources.problems(), Not(HasSubstr(bad.substr(0, 12))));

  sources.files["/k"] = other;
  sources.environment = {{"TOKEN_ENCRYPTION_KEY", kKey}, {"TOKEN_ENCRYPTION_KEY_FILE", "/k"}};
  EXPECT_THAT(sources.problems(), Not(HasSubstr(std::string(kKey).substr(0, 12))));

  sources.environment = {{"TOKEN_ENCRYPTION_KEY", kKey}};
  const auto loaded = sources.load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto rendered = render_config(*loaded);
  EXPECT_THAT(rendered, Not(HasSubstr(std::string(kKey).substr(0, 12))));
  EXPECT_EQ(value_of(*loaded, "crypto.token_encryption_key").text, "set");
}

TEST(LoadConfig, DemandsAGoodKeyInProduction) {
  Sources sources;
  sources.environment = {{"REDOUBT_MODE", "production"}};
  EXPECT_EQ(sources.problems(),
            "TOKEN_ENCRYPTION_KEY: must be given in production mode; make one with: "
            "openssl rand -hex 32\n1 problem");

  for (const std::string& bad : {std::string("abc"), std::string(64, '0'),
                                 std::string("change-this-to-a-random-32-byte-key")}) {
    sources.environment["TOKEN_ENCRYPTION_KEY"] = bad;
    EXPECT_THAT(sources.problems(), HasSubstr("1 problem")) << bad;
  }
}

TEST(LoadConfig, ListsWhatItKnowsAndDoesNotUse) {
  const auto loaded =
      Sources{.environment = {{"CIRCUIT_BREAKER_TIMEOUT", "30s"}, {"REDIS_MAX_POOL_SIZE", "10"}},
              .dotenv = "REDIS_LOCK_TIMEOUT=30"}
          .load();
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_THAT(render_config(*loaded),
              HasSubstr("not used by this version: CIRCUIT_BREAKER_TIMEOUT, .env:1 "
                        "REDIS_LOCK_TIMEOUT, REDIS_MAX_POOL_SIZE\n"));
}

TEST(LoadConfig, ChecksTheSizeOfThePoolItDoesNotHave) {
  Sources sources;
  sources.environment = {{"REDIS_MAX_POOL_SIZE", "10"}, {"REDIS_MAX_CONNECTIONS", "50"}};
  EXPECT_THAT(sources.problems(),
              HasSubstr("REDIS_MAX_POOL_SIZE: contradicts REDIS_MAX_CONNECTIONS; both are"));

  sources.environment["REDIS_MAX_CONNECTIONS"] = "10";
  EXPECT_EQ(sources.problems(), "none");

  for (const auto* bad : {"banana", "0", "-1"}) {
    sources.environment = {{"REDIS_MAX_POOL_SIZE", bad}};
    EXPECT_THAT(sources.problems(), HasSubstr("REDIS_MAX_POOL_SIZE: ")) << bad;
  }
}

TEST(LoadConfig, MakesTheDefaultPolicyOfTheOldNames) {
  Sources sources;
  sources.environment = {{"RATE_LIMIT_REQUESTS_PER_MINUTE", "120"}, {"RATE_LIMIT_BURST_SIZE", "7"}};
  const auto policy = config_of(sources).limits.policies.front();
  EXPECT_EQ(policy.limit, 120);
  EXPECT_EQ(policy.period, Duration(1min));
  EXPECT_EQ(policy.burst, 7);
  EXPECT_EQ(policy.algorithm, LimitAlgorithm::gcra);

  sources.environment["RATE_LIMIT_ENABLED"] = "no";
  EXPECT_FALSE(config_of(sources).limits.enabled);
}

TEST(LoadConfig, MakesTheDefaultPolicyAWindowWhenItsLengthIsGiven) {
  Sources sources;
  sources.environment = {{"REDIS_RATE_LIMIT_WINDOW", "3600"}};
  const auto policy = config_of(sources).limits.policies.front();
  EXPECT_EQ(policy.algorithm, LimitAlgorithm::sliding_window);
  EXPECT_EQ(policy.limit, 3600);
  EXPECT_EQ(policy.period, Duration(1h));

  sources.environment["RATE_LIMIT_BURST_SIZE"] = "7";
  EXPECT_THAT(sources.problems(),
              HasSubstr("RATE_LIMIT_BURST_SIZE: contradicts REDIS_RATE_LIMIT_WINDOW"));

  sources.environment = {{"REDIS_RATE_LIMIT_WINDOW", "366d"},
                         {"RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000000"}};
  EXPECT_THAT(sources.problems(), HasSubstr("must be 1 to 1000000000"));
}

TEST(LoadConfig, ReadsNamedPoliciesFromEverySource) {
  Sources sources;
  sources.toml = "[limits]\nchat = \"5/1m\"\n[limits.\"v1.tools\"]\nlimit = 9\nperiod = \"1h\"";
  sources.dotenv = "REDOUBT_LIMIT_LOGIN='5/1m sliding_log strict'";
  sources.environment = {{"REDOUBT_LIMIT_CHAT", "6/1m burst 2"}};
  sources.flags = {{"limits.login", "4/1m"}};
  const auto loaded = sources.load();
  ASSERT_TRUE(loaded) << loaded.error().message;

  EXPECT_EQ(loaded->config.limits.policies.size(), 4u);
  EXPECT_EQ(value_of(*loaded, "limits.default").text, "60/1m burst 10 gcra soft");
  EXPECT_EQ(value_of(*loaded, "limits.chat").text, "6/1m burst 2 gcra soft");
  EXPECT_EQ(value_of(*loaded, "limits.chat").source, "REDOUBT_LIMIT_CHAT");
  EXPECT_EQ(value_of(*loaded, "limits.login").text, "4/1m burst 4 gcra soft");
  EXPECT_EQ(value_of(*loaded, "limits.v1.tools").source, "redoubt.toml:3");
}

TEST(LoadConfig, RefusesBadPolicies) {
  EXPECT_THAT((Sources{.environment = {{"REDOUBT_LIMIT_CHAT", "fast"}}}.problems()),
              HasSubstr("REDOUBT_LIMIT_CHAT: limit chat: \"fast\" is not a rate"));
  EXPECT_THAT((Sources{.environment = {{"REDOUBT_LIMIT_", "1/1s"}}}.problems()),
              HasSubstr("is not a name for a limit"));
  EXPECT_THAT((Sources{.environment = {{"REDOUBT_LIMIT_ENABLED", "1/1s"}}}.problems()),
              HasSubstr("the name is taken"));
  EXPECT_THAT(
      (Sources{.environment = {{"REDOUBT_LIMIT_DEFAULT", "1/1s"}, {"RATE_LIMIT_BURST_SIZE", "3"}}}
           .problems()),
      HasSubstr("REDOUBT_LIMIT_DEFAULT: contradicts RATE_LIMIT_BURST_SIZE"));
}

TEST(LoadConfig, CountsEntriesOrMemoryForTheCache) {
  const auto cache_of = [](const std::string& text) {
    return config_of({.environment = {{"CACHE_MEMORY_SIZE", text}}}).cache;
  };
  EXPECT_EQ(cache_of("1000").entries_max, 1000u);
  EXPECT_EQ(cache_of("1000").bytes_max, 64u << 20);
  EXPECT_EQ(cache_of("256mb").bytes_max, 256u << 20);
  EXPECT_GT(cache_of("256mb").entries_max, cache_of("64mb").entries_max);
  EXPECT_EQ(cache_of("64mb").entries_max, CacheSettings{}.entries_max);

  const auto odd = Sources{.environment = {{"CACHE_MEMORY_SIZE", "2000001b"}}}.load();
  ASSERT_TRUE(odd) << odd.error().message;
  EXPECT_EQ(value_of(*odd, "cache.memory_size").text, "2000001b");
}

TEST(LoadConfig, KeepsNoSessionsInMemoryWhenToldSo) {
  const auto off = Sources{.environment = {{"REDOUBT_SESSION_CACHE_SIZE", "0"}}}.load();
  ASSERT_TRUE(off) << off.error().message;
  EXPECT_EQ(off->config.sessions.options.cache_bytes, 0u);
  EXPECT_EQ(value_of(*off, "sessions.cache_size").text, "0");
  EXPECT_THAT((Sources{.environment = {{"REDOUBT_SESSION_CACHE_SIZE", "1kb"}}}.problems()),
              HasSubstr("must be between 1mb and 64gb"));
}

TEST(LoadConfig, RaisesTheAbsoluteLifetimeUnlessItIsGiven) {
  Sources sources;
  sources.environment = {{"SESSION_TTL", "7d"}};
  EXPECT_EQ(config_of(sources).sessions.options.absolute_ttl, Duration(24h * 7));

  sources.environment["REDOUBT_SESSION_ABSOLUTE_TTL"] = "1d";
  EXPECT_EQ(sources.problems(),
            "SESSION_TTL: is 7d, longer than REDOUBT_SESSION_ABSOLUTE_TTL, which is 1d\n1 problem");
}

TEST(LoadConfig, WantsTlsWholeOrNotAtAll) {
  using Environment = std::map<std::string, std::string>;
  const auto problems = [](Environment environment) {
    return Sources{.environment = std::move(environment)}.problems();
  };
  const Environment whole{{"REDOUBT_TLS_CERTIFICATE", "c.pem"},
                          {"REDOUBT_TLS_KEY", "k.pem"},
                          {"REDOUBT_TLS_LISTEN", "*:3443"}};
  EXPECT_EQ(problems(whole), "none");
  for (const auto& [missing, ignored] : whole) {
    auto rest = whole;
    rest.erase(missing);
    EXPECT_THAT(problems(rest), HasSubstr(missing)) << missing;
  }
  auto only_tls = whole;
  only_tls["REDOUBT_LISTEN"] = "none";
  EXPECT_EQ(problems(only_tls), "none");
  EXPECT_THAT(problems({{"REDOUBT_LISTEN", "none"}}), HasSubstr("nobody could call"));
  auto same = whole;
  same["REDOUBT_LISTEN"] = "*:3443";
  EXPECT_THAT(problems(same), HasSubstr("0.0.0.0:3443 is in REDOUBT_LISTEN too"));
}

TEST(LoadConfig, TakesArraysForListsOnly) {
  Sources sources;
  sources.toml = "[http]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\ntrusted_proxies = []";
  EXPECT_EQ(config_of(sources).http.listen.size(), 2u);

  sources.toml = "[sessions]\nttl = [\"1h\"]";
  EXPECT_EQ(sources.problems(), "redoubt.toml:2: sessions.ttl is one value, not a list\n1 problem");
}

TEST(LoadConfig, DemandsTheFileThatWasAskedFor) {
  ConfigSources sources;
  sources.toml_path = "mine.toml";
  sources.toml_required = true;
  sources.read_file = [](const std::string&) { return Result<std::optional<std::string>>(); };
  const auto loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("mine.toml: there is no file \"mine.toml\""));
}

TEST(Settings, HaveUniqueNamesAndDefaultsThatParse) {
  std::set<std::string_view> keys, names;
  for (const auto& row : all_settings()) {
    EXPECT_TRUE(keys.insert(row.name.key).second) << row.name.key;
    EXPECT_TRUE(row.name.help.ends_with('.') || row.secret) << row.name.key;
    ASSERT_FALSE(row.name.environment.empty()) << row.name.key;
    for (const auto name : row.name.environment) EXPECT_TRUE(names.insert(name).second) << name;

    Config config;
    const auto text = row.show(config);
    if (text == "not set") continue;
    EXPECT_TRUE(row.set(config, text)) << row.name.key << " = " << text;
    EXPECT_EQ(row.show(config), text) << row.name.key;
  }
  for (const auto& row : reserved_names()) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

TEST(Settings, RefuseTextThatIsNotTheirs) {
  const std::set<std::string_view> free_text{"http.tls_certificate",
                                             "http.tls_key",
                                             "record.data_dir",
                                             "record.path",
                                             "redis.tls_ca",
                                             "redis.host",
                                             "redis.username",
                                             "redis.password",
                                             "redis.rest_token",
                                             "redis.sentinel_username",
                                             "redis.sentinel_password",
                                             "redis.sentinel_master",
                                             "redis.cluster_nodes",
                                             "redis.sentinel_hosts",
                                             "upstash.tokens"};
  for (const auto& row : all_settings()) {
    if (free_text.contains(row.name.key)) continue;
    Config config;
    for (const auto* text : {"\x01", "!", "99999999999999999999999"}) {
      EXPECT_FALSE(row.set(config, text)) << row.name.key << " took " << text;
    }
  }
}

}  // namespace
}  // namespace redoubt::config
