#include "app/reload.hpp"

#include <gtest/gtest.h>

namespace redoubt::app {
namespace {

config::Loaded with(std::vector<std::pair<std::string, std::string>> values) {
  config::Loaded loaded;
  for (auto& [key, text] : values)
    loaded.values.push_back({.key = key, .text = text, .source = {}});
  return loaded;
}

TEST(Reload, SaysWhatTakesEffectAndWhatWaitsForARestart) {
  const auto before = with({{"sessions.auth_grace", "30s"},
                            {"limits.tight", "50/1h"},
                            {"http.listen", "127.0.0.1:3284"},
                            {"redis.enable", "auto"},
                            {"cache.without_redis", "local"}});
  const auto after = with({{"sessions.auth_grace", "0s"},
                           {"limits.loose", "5000/1h"},
                           {"http.listen", "0.0.0.0:3284"},
                           {"redis.enable", "false"},
                           {"cache.without_redis", "local"}});

  const ConfigChange change = compare(before, after);

  EXPECT_EQ(change.live, (std::vector<std::string>{"limits.loose", "limits.tight", "redis.enable",
                                                   "sessions.auth_grace"}));
  EXPECT_EQ(change.restart, std::vector<std::string>{"http.listen"});
}

TEST(Reload, ARedisMayComeWhileTheServerRuns) {
  const auto before = with({{"redis.enable", "false"}});
  const auto after = with({{"redis.enable", "true"}, {"redis.url", "set"}});

  const ConfigChange change = compare(before, after);

  EXPECT_EQ(change.live, (std::vector<std::string>{"redis.enable", "redis.url"}));
  EXPECT_TRUE(change.restart.empty());
}

TEST(Reload, TellsOneRedisFromAnotherByEverythingThatLeadsToIt) {
  redis::Options options;
  options.topology = redis::Standalone{{.host = "a", .port = 6379, .socket_path = {}}};
  options.credentials.password = Secret("one");
  EXPECT_TRUE(same_redis(options, options));

  redis::Options other = options;
  other.credentials.password = Secret("two");
  EXPECT_FALSE(same_redis(options, other)) << "a password that was rotated";
  other = options;
  other.topology = redis::Standalone{{.host = "b", .port = 6379, .socket_path = {}}};
  EXPECT_FALSE(same_redis(options, other));
  other.topology = redis::Cluster{.seeds = {{.host = "a", .port = 6379, .socket_path = {}}}};
  EXPECT_FALSE(same_redis(options, other));
  other = options;
  other.tls.enabled = true;
  EXPECT_FALSE(same_redis(options, other));
  other = options;
  other.timeouts.operation = Duration(80);
  EXPECT_FALSE(same_redis(options, other));
}

TEST(Reload, IsNothingWhenNothingChanged) {
  const auto loaded = with({{"redis.url", "set"}});
  EXPECT_TRUE(compare(loaded, loaded).live.empty());
  EXPECT_TRUE(compare(loaded, loaded).restart.empty());
}

}  // namespace
}  // namespace redoubt::app
