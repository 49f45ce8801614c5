#include "shared/inspection.hpp"

#include "shared/redis_info.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace redoubt::shared {
namespace {

// Else an account without a right that a script needs would be found good.
TEST(Inspection, TriesEveryCommandThatTheScriptsUse) {
  const auto needed = needed_commands();
  const std::regex call("redis\\.p?call\\('([A-Z]+)'");
  std::set<std::string> used;
  const auto folder = std::filesystem::path(SOURCE_DIRECTORY) / "src" / "shared";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".lua") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::sregex_iterator it(text.begin(), text.end(), call), end; it != end; ++it) {
      used.insert((*it)[1]);
    }
  }
  EXPECT_THAT(used, ::testing::Contains("TIME"));
  for (const std::string& name : used) EXPECT_THAT(needed, ::testing::Contains(name));
}

TEST(RedisInfo, IsReadAsFarAsItIsThere) {
  RedisFacts facts;
  read_info(
      "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nserver_mode:standalone\r\n"
      "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
      "slave0:ip=10.0.0.1,port=6379,state=online,offset=7,lag=1\r\n"
      "slave1:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=14\r\n"
      "slave_expires_tracked_keys:0\r\n"
      "# Stats\r\nkeyspace_hits:7\r\nkeyspace_misses:nonsense\r\n"
      "# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=0\r\ndb3:keys=9,expires=9,avg_ttl=0\r\n",
      3, facts);

  EXPECT_EQ(facts.server.product, "valkey");
  EXPECT_EQ(facts.server.version, "8.0.1");
  EXPECT_EQ(facts.replication.replicas, 2);
  EXPECT_EQ(facts.replication.replicas_offline, 1);
  EXPECT_EQ(facts.replication.worst_lag_seconds, 14);
  EXPECT_EQ(facts.use.hits, 7);
  EXPECT_FALSE(facts.use.misses);
  EXPECT_EQ(facts.use.keys, 9);
  EXPECT_FALSE(facts.memory.max_bytes);
}

TEST(RedisInfo, CountsItsOwnClientsAndKeepsNoAddress) {
  RedisFacts facts;
  read_client_list("id=3 addr=10.0.0.9:1 name=redoubt db=0\nid=4 addr=10.0.0.8:1 name= db=0\n",
                   facts);
  EXPECT_EQ(facts.clients.ours, 1);
}

TEST(RedisInfo, ReadsAccountsOfBothFormsAndLooksAtNoPassword) {
  using wire::resp::Value;
  const auto flags = [](std::vector<Value> items) { return Value::array(std::move(items)); };
  const Value seven =
      Value::array({Value::bulk("flags"), flags({Value::bulk("on"), Value::bulk("nopass")}),
                    Value::bulk("passwords"), flags({}), Value::bulk("commands"),
                    Value::bulk("+@all"), Value::bulk("keys"), Value::bulk("~*")});
  RedisFacts facts;
  read_account(seven, true, facts);
  read_account(seven, false, facts);
  EXPECT_EQ(facts.exposure.account_all_rights, true);
  EXPECT_EQ(facts.exposure.default_no_password, true);

  const Value off =
      Value::array({Value::bulk("flags"),
                    flags({Value::bulk("off"), Value::bulk("nopass"), Value::bulk("allkeys")}),
                    Value::bulk("commands"), Value::bulk("-@all +get")});
  read_account(off, true, facts);
  read_account(off, false, facts);
  EXPECT_EQ(facts.exposure.account_all_rights, false);
  EXPECT_EQ(facts.exposure.default_no_password, false);
}

}  // namespace
}  // namespace redoubt::shared
