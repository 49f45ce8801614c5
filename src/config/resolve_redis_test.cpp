#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace redoubt::config {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Environment = std::map<std::string, std::string>;

Result<Loaded> load(const Environment& environment) {
  ConfigSources sources;
  sources.environment = environment;
  sources.read_file = [](const std::string&) -> Result<std::optional<std::string>> {
    return std::nullopt;
  };
  return load_config(sources);
}

std::string problem(const Environment& environment) {
  const auto loaded = load(environment);
  return loaded ? "none" : loaded.error().message;
}

redis::Options options_of(const Environment& environment) {
  auto loaded = load(environment);
  EXPECT_TRUE(loaded) << loaded.error().message;
  EXPECT_TRUE(loaded && loaded->config.redis.options);
  return loaded && loaded->config.redis.options ? *loaded->config.redis.options : redis::Options{};
}

const redis::Endpoint& endpoint_of(const redis::Options& options) {
  return std::get<redis::Standalone>(options.topology).endpoint;
}

TEST(ResolveRedis, IsNoneWhenNobodySaysWhere) {
  for (const Environment& said :
       {Environment{}, Environment{{"REDIS_PORT", "6379"}}, Environment{{"REDIS_ENABLE", "auto"}},
        Environment{{"REDIS_URL", "redis://redis:6379"}, {"REDIS_ENABLED", "false"}}}) {
    const auto loaded = load(said);
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_FALSE(loaded->config.redis.options);
  }
  EXPECT_THAT(problem({{"REDIS_ENABLED", "true"}}), HasSubstr("nothing says where Redis is"));
}

TEST(ResolveRedis, TakesAUrl) {
  const auto options = options_of({{"REDIS_URL", "rediss://ada:hunter2@cache:6380/3"}});

  EXPECT_EQ(endpoint_of(options).text(), "cache:6380");
  EXPECT_EQ(options.credentials.user, "ada");
  EXPECT_EQ(options.credentials.password.reveal(), "hunter2");
  EXPECT_EQ(options.database, 3);
  EXPECT_TRUE(options.tls.enabled);
  EXPECT_TRUE(options.tls.verify);
}

TEST(ResolveRedis, TakesParts) {
  const auto options = options_of({{"REDIS_HOST", "cache"},
                                   {"REDIS_PORT", "7000"},
                                   {"REDIS_PASSWORD", "hunter2"},
                                   {"REDIS_DATABASE", "2"},
                                   {"REDIS_SSL", "true"},
                                   {"REDIS_SSL_CERT_REQS", "none"},
                                   {"REDIS_SOCKET_TIMEOUT", "5"},
                                   {"REDIS_CONNECTION_TIMEOUT", "5s"}});

  EXPECT_EQ(endpoint_of(options).text(), "cache:7000");
  EXPECT_EQ(options.credentials.password.reveal(), "hunter2");
  EXPECT_EQ(options.database, 2);
  EXPECT_TRUE(options.tls.enabled);
  EXPECT_FALSE(options.tls.verify);
  EXPECT_EQ(options.timeouts.operation, Duration(5000));
  EXPECT_EQ(options.timeouts.connect, Duration(5000));
}

TEST(ResolveRedis, FillsInWhatAUrlDoesNotSay) {
  const auto options = options_of({{"REDIS_URL", "redis://cache"}, {"REDIS_PASSWORD", "hunter2"}});

  EXPECT_EQ(options.credentials.password.reveal(), "hunter2");
}

TEST(ResolveRedis, TakesPartsThatSayWhatTheUrlSays) {
  const std::string url = "rediss://ada:hunter2@cache:6380/0?timeout=5s";
  const auto options = options_of({{"REDIS_URL", url},
                                   {"UPSTASH_REDIS_URL", url},
                                   {"REDIS_HOST", "Cache"},
                                   {"REDIS_PORT", "6380"},
                                   {"REDIS_USERNAME", "ada"},
                                   {"REDIS_PASSWORD", "hunter2"},
                                   {"REDIS_DATABASE", "0"},
                                   {"REDIS_SSL", "true"},
                                   {"REDIS_SOCKET_TIMEOUT", "5"}});

  EXPECT_EQ(endpoint_of(options).text(), "cache:6380");
  EXPECT_EQ(options.timeouts.operation, Duration(5'000));
  EXPECT_EQ(endpoint_of(options_of({{"REDIS_URL", "redis://a:6379"}, {"REDIS_HOST", "a"}})).text(),
            "a:6379");
}

TEST(ResolveRedis, TakesTheTimeoutOfAUrl) {
  const auto options = options_of({{"REDIS_URL", "redis://cache?timeout=80ms"}});
  EXPECT_EQ(options.timeouts.operation, Duration(80));
}

TEST(ResolveRedis, TakesPasswordsWithSpacesAndLettersOfAnyLanguage) {
  const std::string password = "gr\xc3\xbc\xc3\x9f dich";
  const auto options = options_of({{"REDIS_HOST", "cache"}, {"REDIS_PASSWORD", password}});

  EXPECT_EQ(options.credentials.password.reveal(), password);
}

TEST(ResolveRedis, TakesUpstashNativeBeforeItsRest) {
  const Environment both{{"UPSTASH_REDIS_URL", "rediss://default:t@x.upstash.io:6379"},
                         {"UPSTASH_REDIS_REST_URL", "https://x.upstash.io"},
                         {"UPSTASH_REDIS_REST_TOKEN", "t"}};
  EXPECT_EQ(endpoint_of(options_of(both)).host, "x.upstash.io");

  Environment rest = both;
  rest["REDIS_PROTOCOL"] = "rest";
  EXPECT_EQ(std::get<redis::Rest>(options_of(rest).topology).url, "https://x.upstash.io");

  Environment only = both;
  only.erase("UPSTASH_REDIS_URL");
  EXPECT_EQ(std::get<redis::Rest>(options_of(only).topology).token.reveal(), "t");
  only["REDIS_PROTOCOL"] = "native";
  EXPECT_THAT(problem(only), HasSubstr("give UPSTASH_REDIS_URL, or set REDIS_PROTOCOL=rest"));
}

TEST(ResolveRedis, TakesAClusterAndSentinels) {
  const auto cluster = options_of({{"REDIS_CLUSTER_NODES", "a:7000, b, [::1]:7002"}});
  const auto& seeds = std::get<redis::Cluster>(cluster.topology).seeds;
  ASSERT_EQ(seeds.size(), 3);
  EXPECT_EQ(seeds[0].text(), "a:7000");
  EXPECT_EQ(seeds[1].text(), "b:6379");
  EXPECT_EQ(seeds[2].text(), "[::1]:7002");

  const auto sentinel = options_of({{"REDIS_SENTINEL_HOSTS", "a,b:26380"},
                                    {"REDIS_SENTINEL_MASTER", "mymaster"},
                                    {"REDIS_SENTINEL_PASSWORD", "s"},
                                    {"REDIS_PASSWORD", "p"}});
  const auto& watched = std::get<redis::Sentinel>(sentinel.topology);
  EXPECT_EQ(watched.sentinels[0].text(), "a:26379");
  EXPECT_EQ(watched.credentials.password.reveal(), "s");
  EXPECT_EQ(sentinel.credentials.password.reveal(), "p");

  const auto found = options_of({{"REDIS_URL", "redis://a"}, {"REDIS_CLUSTER_ENABLED", "true"}});
  EXPECT_EQ(std::get<redis::Cluster>(found.topology).seeds.front().text(), "a:6379");

  const auto parts =
      options_of({{"REDIS_HOST", "a"}, {"REDIS_PORT", "7000"}, {"REDIS_CLUSTER_ENABLED", "true"}});
  EXPECT_EQ(std::get<redis::Cluster>(parts.topology).seeds.front().text(), "a:7000");

  const auto both = options_of({{"REDIS_CLUSTER_NODES", "a,b"}, {"REDIS_HOST", "b"}});
  EXPECT_EQ(std::get<redis::Cluster>(both.topology).seeds.size(), 2);
}

TEST(ResolveRedis, RefusesContradictionsAndSaysWhatToUnset) {
  const std::string url = "redis://:hunter2@a/1";
  for (const auto& [said, sentence] : std::vector<std::pair<Environment, std::string>>{
           {{{"REDIS_URL", url}, {"REDIS_HOST", "b"}},
            "REDIS_HOST: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_HOST\n"},
           {{{"REDIS_URL", url}, {"REDIS_HOST", "a"}, {"REDIS_PORT", "6380"}},
            "REDIS_PORT: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_PORT"},
           {{{"REDIS_URL", url}, {"REDIS_PORT", "6380"}}, "REDIS_PORT: contradicts REDIS_URL"},
           {{{"REDIS_URL", url}, {"UPSTASH_REDIS_URL", "rediss://b"}},
            "UPSTASH_REDIS_URL: contradicts REDIS_URL; REDIS_URL would win: unset "
            "UPSTASH_REDIS_URL"},
           {{{"REDIS_URL", url}, {"REDIS_PASSWORD", "other"}},
            "REDIS_PASSWORD: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_PASSWORD"},
           {{{"REDIS_URL", "redis://ada:hunter2@a"}, {"REDIS_USERNAME", "bob"}},
            "REDIS_USERNAME: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_USERNAME"},
           {{{"REDIS_URL", url}, {"REDIS_DATABASE", "2"}},
            "REDIS_DATABASE: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_DATABASE"},
           {{{"REDIS_URL", "redis://a/0"}, {"REDIS_DATABASE", "2"}},
            "REDIS_DATABASE: contradicts REDIS_URL"},
           {{{"REDIS_URL", "redis://a?timeout=1s"}, {"REDIS_SOCKET_TIMEOUT", "5"}},
            "REDIS_SOCKET_TIMEOUT: contradicts REDIS_URL"},
           {{{"REDIS_URL", "rediss://a"}, {"REDIS_SSL", "false"}},
            "REDIS_SSL: contradicts REDIS_URL, which is rediss://; REDIS_URL would win: unset "
            "REDIS_SSL"},
           {{{"REDIS_URL", "redis://a"}, {"REDIS_SSL", "true"}},
            "REDIS_SSL: contradicts REDIS_URL: TLS there is rediss://; REDIS_URL would win: unset "
            "REDIS_SSL"},
           {{{"REDIS_CLUSTER_NODES", "a"}, {"REDIS_CLUSTER_ENABLED", "false"}},
            "REDIS_CLUSTER_ENABLED: contradicts REDIS_CLUSTER_NODES; REDIS_CLUSTER_NODES would "
            "win: unset REDIS_CLUSTER_ENABLED"},
           {{{"REDIS_SENTINEL_HOSTS", "a"}, {"REDIS_CLUSTER_ENABLED", "true"}},
            "REDIS_CLUSTER_ENABLED: contradicts REDIS_SENTINEL_HOSTS: Sentinels watch no cluster"},
           {{{"REDIS_CLUSTER_NODES", "a"}, {"REDIS_HOST", "b"}},
            "REDIS_HOST: contradicts REDIS_CLUSTER_NODES; REDIS_CLUSTER_NODES would win"},
           {{{"REDIS_SENTINEL_HOSTS", "a"}, {"REDIS_HOST", "a"}},
            "REDIS_HOST: contradicts REDIS_SENTINEL_HOSTS"},
           {{{"REDIS_CLUSTER_NODES", "a"}, {"REDIS_DATABASE", "1"}},
            "a Redis cluster has no database but 0"},
           {{{"REDIS_SENTINEL_HOSTS", "a"}}, "REDIS_SENTINEL_MASTER: must be given"},
           {{{"REDIS_URL", "redis://a"}, {"REDIS_SSL_CA_CERTS", "/ca.pem"}},
            "REDIS_SSL_CA_CERTS: means nothing without TLS"},
           {{{"UPSTASH_REDIS_REST_URL", "https://a"}},
            "UPSTASH_REDIS_REST_TOKEN: must be given with the REST address"},
           {{{"REDIS_PROTOCOL", "rest"}}, "UPSTASH_REDIS_REST_URL: must be given"}}) {
    const std::string text = problem(said);
    EXPECT_THAT(text, HasSubstr(sentence));
    EXPECT_THAT(text, Not(HasSubstr("hunter2")));
  }
}

TEST(ResolveRedis, NeverShowsASecret) {
  for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"REDIS_URL", "http://:hunter2@cache"},
           {"REDIS_URL", "redis://:hunter2@cache:0x1"},
           {"REDIS_PASSWORD", "hunter2\x01x"},
           {"UPSTASH_REDIS_REST_URL", "https://u:hunter2@x"}}) {
    const std::string text = problem({{name, value}});
    EXPECT_NE(text, "none") << name;
    EXPECT_THAT(text, Not(HasSubstr("hunter2"))) << name;
  }
  const auto loaded = load({{"REDIS_URL", "redis://:hunter2@cache"}});
  ASSERT_TRUE(loaded);
  EXPECT_THAT(render_config(*loaded), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace redoubt::config
