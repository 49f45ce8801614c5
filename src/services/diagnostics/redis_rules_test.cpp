// Every rule of Redis once with what it is about, and once with what is nearly that.
#include "services/diagnostics/redis_rules.hpp"

#include "shared/incarnation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace redoubt::diagnostics {
namespace {

using shared::RedisFacts;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A Redis as it should be: nothing is found.
RedisFacts good_facts() {
  RedisFacts f;
  f.reached = true;
  f.server.product = "redis";
  f.server.version = "8.2.2";
  f.server.mode = "standalone";
  f.server.role = "master";
  f.server.loading = false;
  f.memory.used_bytes = 100 << 20;
  f.memory.max_bytes = 256 << 20;
  f.memory.machine_bytes = std::int64_t{8} << 30;
  f.memory.fragmentation = 1.1;
  f.memory.policy = "volatile-lru";
  f.clients.connected = 10;
  f.clients.connected_max = 10'000;
  f.clients.blocked = 0;
  f.clients.ours = 4;
  f.clients.rejected = 0;
  f.clients.idle_timeout_seconds = 0;
  f.use.hits = 900;
  f.use.misses = 100;
  f.use.evicted_keys = 0;
  f.use.keys_looked = 50;
  f.use.keys_foreign = 0;
  f.persistence = {.snapshots = true,
                   .append_only = false,
                   .last_save_good = true,
                   .last_append_good = true,
                   .stops_writes_on_save_error = false};
  f.replication = {.replicas = 2,
                   .replicas_offline = 0,
                   .worst_lag_seconds = 1,
                   .master_link_up = {},
                   .replicas_to_write_min = 1};
  f.cluster.enabled = false;
  f.exposure = {.protected_mode = true,
                .only_loopback = true,
                .account = "redoubt",
                .account_all_rights = false,
                .default_no_password = false};
  for (const char* name : {"PING", "SET", "GET", "EVAL", "DEL"}) {
    f.operations.push_back({.name = name,
                            .error = {},
                            .count = 20,
                            .median = std::chrono::microseconds(300),
                            .p99 = std::chrono::microseconds(900),
                            .longest = std::chrono::microseconds(900)});
  }
  f.clock_ahead = Duration(3);
  f.mark = shared::encode_mark({.record = "rec_ours", .generation = 1, .nonce = "n"});
  return f;
}

RedisSetup good_setup() {
  RedisSetup s;
  s.reach = Reach::private_network;
  s.tls = true;
  s.password = true;
  s.record = "rec_ours";
  return s;
}

struct One {
  RedisSetup setup = good_setup();
  RedisFacts facts = good_facts();
};
using Change = std::function<void(One&)>;

struct Example {
  std::string code;
  Change bad;
  Change nearly;  // Not bad.
};

void fail_operation(One& one, const std::string& name, const std::string& error) {
  for (auto& operation : one.facts.operations) {
    if (operation.name == name) operation.error = error;
  }
}
void slow(One& one, const std::string& name, int median_ms, int p99_ms) {
  for (auto& operation : one.facts.operations) {
    if (operation.name != name) continue;
    operation.median = std::chrono::milliseconds(median_ms);
    operation.p99 = operation.longest = std::chrono::milliseconds(p99_ms);
  }
}
void not_reached(One& one, std::string trouble) {
  one.facts = {};
  one.facts.trouble = std::move(trouble);
}
std::string mark_of(const std::string& record) {
  return shared::encode_mark({.record = record, .generation = 7, .nonce = "x"});
}

std::vector<Example> access_examples() {
  return {
      {"redis_unreachable", [](One& o) { not_reached(o, "connect: Connection refused"); },
       [](One& o) { not_reached(o, "LOADING Redis is loading the dataset in memory"); }},
      {"redis_login_refused",
       [](One& o) {
         not_reached(o, "Redis refuses our credentials or rights: WRONGPASS invalid pair");
       },
       [](One& o) { not_reached(o, "connect: Connection refused"); }},
      {"redis_certificate",
       [](One& o) { not_reached(o, "certificate verify failed (self-signed certificate)"); },
       [](One& o) { not_reached(o, "connect: Connection refused"); }},
      {"redis_loading",
       [](One& o) { not_reached(o, "LOADING Redis is loading the dataset in memory"); },
       [](One& o) { o.facts.server.loading = false; }},
      {"redis_another_record", [](One& o) { o.facts.mark = mark_of("rec_theirs"); },
       [](One& o) { o.facts.mark.reset(); }},
      {"redis_command_denied",
       [](One& o) {
         o.facts.denied_commands = {"EVAL", "PEXPIRE"};
       },
       [](One& o) { o.facts.denied_commands.clear(); }},
      {"redis_keys_denied", [](One& o) { o.facts.denied_keys = true; },
       [](One& o) { o.facts.denied_commands = {"SET"}; }},
      {"redis_channels_denied", [](One& o) { o.facts.denied_channels = true; },
       [](One& o) { o.facts.denied_keys = true; }},
      {"redis_no_tracking", [](One& o) { o.facts.tracks = false; },
       [](One& o) {
         o.setup.topology = "rest";
         o.facts.tracks = false;
       }},
      {"redis_rest_read_only",
       [](One& o) {
         o.setup.topology = "rest";
         o.facts.denied_commands = {"SET"};
       },
       [](One& o) { o.facts.denied_commands = {"SET"}; }},
      {"redis_operation_fails",
       [](One& o) { fail_operation(o, "EVAL", "ERR unknown command 'EVAL'"); },
       [](One& o) { fail_operation(o, "EVAL", "OOM command not allowed"); }},
      {"redis_no_password", [](One& o) { o.setup.password = false; },
       [](One& o) {
         o.setup.password = false;
         o.setup.reach = Reach::loopback;
       }},
      {"redis_open_to_network",
       [](One& o) {
         o.facts.exposure.default_no_password = true;
         o.facts.exposure.protected_mode = false;
         o.facts.exposure.only_loopback = false;
       },
       [](One& o) {
         o.facts.exposure.default_no_password = true;
         o.facts.exposure.protected_mode = false;
         o.facts.exposure.only_loopback = true;
       }},
      {"redis_protected_mode_off", [](One& o) { o.facts.exposure.protected_mode = false; },
       [](One& o) { o.facts.exposure.protected_mode.reset(); }},
      {"redis_default_account_open", [](One& o) { o.facts.exposure.default_no_password = true; },
       [](One& o) {
         o.facts.exposure.default_no_password = true;
         o.setup.password = false;
       }},
      {"redis_account_all_rights", [](One& o) { o.facts.exposure.account_all_rights = true; },
       [](One& o) {
         o.facts.exposure.account_all_rights = true;
         o.setup.reach = Reach::loopback;
       }},
      {"redis_plaintext",
       [](One& o) {
         o.setup.tls = false;
         o.setup.reach = Reach::anywhere;
       },
       [](One& o) { o.setup.tls = false; }},
      {"redis_plaintext_private", [](One& o) { o.setup.tls = false; },
       [](One& o) {
         o.setup.tls = false;
         o.setup.reach = Reach::loopback;
       }},
      {"redis_certificate_unverified", [](One& o) { o.setup.tls_verified = false; },
       [](One& o) {
         o.setup.tls_verified = false;
         o.setup.tls = false;
       }},
  };
}

std::vector<Example> server_examples() {
  return {
      {"redis_too_old", [](One& o) { o.facts.server.version = "6.0.16"; },
       [](One& o) { o.facts.server.version = "6.2.0"; }},
      {"redis_lua_hole", [](One& o) { o.facts.server.version = "7.4.5"; },
       [](One& o) { o.facts.server.version = "7.4.6"; }},
      {"redis_replica", [](One& o) { o.facts.server.role = "slave"; },
       [](One& o) { o.facts.server.role.reset(); }},
      {"redis_is_sentinel", [](One& o) { o.facts.server.mode = "sentinel"; },
       [](One& o) { o.facts.server.mode = "cluster"; }},
      {"redis_no_replica",
       [](One& o) {
         o.setup.topology = "sentinel";
         o.facts.replication.replicas = 0;
       },
       [](One& o) { o.facts.replication.replicas = 0; }},
      {"redis_replica_offline", [](One& o) { o.facts.replication.replicas_offline = 1; },
       [](One& o) { o.facts.replication.master_link_up = true; }},
      {"redis_replica_lag", [](One& o) { o.facts.replication.worst_lag_seconds = 11; },
       [](One& o) { o.facts.replication.worst_lag_seconds = 10; }},
      {"redis_min_replicas",
       [](One& o) {
         o.setup.topology = "sentinel";
         o.facts.replication.replicas_to_write_min = 0;
       },
       [](One& o) { o.facts.replication.replicas_to_write_min = 0; }},
      {"redis_few_sentinels",
       [](One& o) {
         o.setup.topology = "sentinel";
         o.setup.sentinels = 2;
       },
       [](One& o) {
         o.setup.topology = "sentinel";
         o.setup.sentinels = 3;
       }},
      {"redis_cluster_down", [](One& o) { o.facts.cluster.good = false; },
       [](One& o) { o.facts.cluster.good = true; }},
      {"redis_slots_missing", [](One& o) { o.facts.cluster.slots_assigned = 16'383; },
       [](One& o) { o.facts.cluster.slots_assigned = 16'384; }},
      {"redis_slots_failing", [](One& o) { o.facts.cluster.slots_failing = 1; },
       [](One& o) { o.facts.cluster.slots_failing = 0; }},
      {"redis_cluster_unsaid", [](One& o) { o.facts.cluster.enabled = true; },
       [](One& o) {
         o.facts.cluster.enabled = true;
         o.setup.topology = "cluster";
       }},
      {"redis_not_persistent", [](One& o) { o.facts.persistence.snapshots = false; },
       [](One& o) {
         o.facts.persistence.snapshots = false;
         o.facts.persistence.append_only = true;
       }},
      {"redis_save_failed", [](One& o) { o.facts.persistence.last_save_good = false; },
       [](One& o) { o.facts.persistence.last_save_good.reset(); }},
      {"redis_append_failed", [](One& o) { o.facts.persistence.last_append_good = false; },
       [](One& o) { o.facts.persistence.last_append_good.reset(); }},
      {"redis_writes_stopped",
       [](One& o) { fail_operation(o, "SET", "MISCONF Redis is configured to save"); },
       [](One& o) { fail_operation(o, "SET", "OOM command not allowed"); }},
      {"redis_stops_on_save_error",
       [](One& o) { o.facts.persistence.stops_writes_on_save_error = true; },
       [](One& o) {
         o.facts.persistence.stops_writes_on_save_error = true;
         o.facts.persistence.snapshots = false;
       }},
      {"redis_busy",
       [](One& o) { fail_operation(o, "GET", "BUSY Redis is busy running a script"); },
       [](One& o) { fail_operation(o, "GET", "BUSYKEY Target key name already exists."); }},
  };
}

std::vector<Example> memory_examples() {
  return {
      {"redis_memory_unbounded", [](One& o) { o.facts.memory.max_bytes = 0; },
       [](One& o) { o.facts.memory.max_bytes.reset(); }},
      {"redis_memory_nearly_full", [](One& o) { o.facts.memory.used_bytes = 240 << 20; },
       [](One& o) { o.facts.memory.used_bytes = 229 << 20; }},
      {"redis_memory_full",
       [](One& o) { fail_operation(o, "SET", "OOM command not allowed when used memory > max"); },
       [](One& o) { o.facts.memory.used_bytes = 257 << 20; }},
      {"redis_memory_over_machine",
       [](One& o) { o.facts.memory.max_bytes = std::int64_t{8} << 30; },
       [](One& o) { o.facts.memory.max_bytes = std::int64_t{7} << 30; }},
      {"redis_policy_allkeys", [](One& o) { o.facts.memory.policy = "allkeys-lru"; },
       [](One& o) {
         o.facts.memory.policy = "allkeys-lru";
         o.setup.limits = o.setup.copies = false;
       }},
      {"redis_policy_noeviction", [](One& o) { o.facts.memory.policy = "noeviction"; },
       [](One& o) { o.facts.memory.policy = "volatile-ttl"; }},
      {"redis_fragmentation", [](One& o) { o.facts.memory.fragmentation = 1.6; },
       [](One& o) {
         o.facts.memory.fragmentation = 9.0;
         o.facts.memory.used_bytes = 1 << 20;
       }},
      {"redis_swapped", [](One& o) { o.facts.memory.fragmentation = 0.5; },
       [](One& o) { o.facts.memory.fragmentation = 0.9; }},
      {"redis_evictions", [](One& o) { o.facts.use.evicted_keys = 1; },
       [](One& o) { o.facts.use.evicted_keys = 0; }},
      {"redis_foreign_keys", [](One& o) { o.facts.use.keys_foreign = 1; },
       [](One& o) { o.facts.use.keys_looked = 0; }},
  };
}

std::vector<Example> behaviour_examples() {
  return {
      {"redis_ping_slow", [](One& o) { slow(o, "PING", 1001, 1001); },
       [](One& o) { slow(o, "PING", 1000, 1000); }},
      {"redis_operations_late", [](One& o) { slow(o, "EVAL", 51, 80); },
       [](One& o) { slow(o, "EVAL", 50, 80); }},
      {"redis_operations_slow", [](One& o) { slow(o, "SET", 1, 26); },
       [](One& o) { slow(o, "SET", 1, 25); }},
      {"redis_many_clients", [](One& o) { o.facts.clients.connected = 101; },
       [](One& o) { o.facts.clients.connected = 100; }},
      {"redis_clients_near_limit", [](One& o) { o.facts.clients.connected_max = 12; },
       [](One& o) { o.facts.clients.connected_max = 13; }},
      {"redis_connections_rejected", [](One& o) { o.facts.clients.rejected = 1; },
       [](One& o) { o.facts.clients.rejected.reset(); }},
      {"redis_clients_blocked", [](One& o) { o.facts.clients.blocked = 1; },
       [](One& o) { o.facts.clients.blocked = 0; }},
      {"redis_hit_ratio",
       [](One& o) {
         o.facts.use.hits = 80;
         o.facts.use.misses = 21;
       },
       [](One& o) {
         o.facts.use.hits = 0;
         o.facts.use.misses = 100;
       }},
      {"redis_clock_wrong", [](One& o) { o.facts.clock_ahead = Duration(-5'001); },
       [](One& o) { o.facts.clock_ahead = Duration(-5'000); }},
      {"redis_clock_skew", [](One& o) { o.facts.clock_ahead = Duration(1'001); },
       [](One& o) { o.facts.clock_ahead = Duration(1'000); }},
      {"redis_timeout_long", [](One& o) { o.setup.operation_timeout = Duration(1'001); },
       [](One& o) { o.setup.operation_timeout = Duration(1'000); }},
      {"redis_pool_setting_unused",
       [](One& o) { o.setup.unused_pool_setting = "REDIS_MAX_CONNECTIONS"; }, [](One&) {}},
      {"redis_idle_timeout", [](One& o) { o.facts.clients.idle_timeout_seconds = 2; },
       [](One& o) { o.facts.clients.idle_timeout_seconds = 3; }},
  };
}

std::vector<Example> all_examples() {
  std::vector<Example> all;
  for (auto make : {access_examples, server_examples, memory_examples, behaviour_examples}) {
    for (Example& one : make()) all.push_back(std::move(one));
  }
  return all;
}

std::set<std::string> codes_with(const Change& change) {
  One one;
  change(one);
  std::set<std::string> codes;
  for (const Finding& finding : examine_redis(one.setup, one.facts)) codes.insert(finding.code);
  return codes;
}

class RedisRules : public ::testing::TestWithParam<Example> {};

TEST_P(RedisRules, SeesWhatItIsAboutAndNothingElse) {
  const Example& example = GetParam();
  EXPECT_THAT(codes_with(example.bad), ::testing::Contains(example.code));
  EXPECT_THAT(codes_with(example.nearly), ::testing::Not(::testing::Contains(example.code)));
}

INSTANTIATE_TEST_SUITE_P(Each, RedisRules, ::testing::ValuesIn(all_examples()),
                         [](const auto& info) { return info.param.code; });

TEST(RedisDiagnosis, FindsNothingInARedisAsItShouldBe) {
  EXPECT_THAT(codes_with([](One&) {}), ::testing::IsEmpty());
}

TEST(RedisDiagnosis, FindsNothingInWhatAManagedServiceDoesNotTell) {
  const auto silent = [](One& one) {
    const auto operations = one.facts.operations;
    one.facts = {};
    one.facts.reached = true;
    one.facts.operations = operations;
  };
  EXPECT_THAT(codes_with(silent), ::testing::IsEmpty());
}

TEST(RedisDiagnosis, HasAnExampleOfEveryRule) {
  std::set<std::string> tested;
  for (const Example& example : all_examples()) tested.insert(example.code);
  std::set<std::string> rules;
  for (const auto part : {redis_access_rules(), redis_server_rules(), redis_memory_rules(),
                          redis_behaviour_rules()}) {
    for (const RedisRule& rule : part) rules.insert(std::string(rule.code.code));
  }
  EXPECT_EQ(tested, rules);
}

TEST(RedisDiagnosis, PutsTheWorstFirst) {
  One one;
  one.setup.tls = false;
  one.facts.use.evicted_keys = 3;
  one.facts.server.role = "slave";
  const auto findings = examine_redis(one.setup, one.facts);
  ASSERT_EQ(findings.size(), 3u);
  EXPECT_EQ(findings[0].code, "redis_replica");
  EXPECT_EQ(findings[1].code, "redis_evictions");
  EXPECT_EQ(findings[2].code, "redis_plaintext_private");
  EXPECT_EQ(verdict_of(findings), "critical");
}

TEST(RedisDiagnosis, MendsRightsWithTheLineThatGrantsThem) {
  One one;
  one.facts.denied_commands = {"EVAL", "PEXPIRE"};
  one.facts.denied_keys = true;
  std::set<std::string> mends;
  for (const Finding& finding : examine_redis(one.setup, one.facts)) mends.insert(finding.mend);
  EXPECT_THAT(mends, ::testing::IsSupersetOf({"redis-cli ACL SETUSER redoubt +eval +pexpire",
                                              "redis-cli ACL SETUSER redoubt '~rd:*' '&rd:*'"}));
}

std::string mend_of(const One& one, std::string_view code) {
  for (const Finding& finding : examine_redis(one.setup, one.facts)) {
    if (finding.code == code) return finding.mend;
  }
  return "not found";
}

TEST(RedisDiagnosis, MendsARestAddressWithItsOwnSettings) {
  One one;
  one.setup.topology = "rest";
  one.setup.tls = false;
  one.facts.denied_keys = one.facts.denied_channels = true;
  EXPECT_THAT(mend_of(one, "redis_keys_denied"), HasSubstr("UPSTASH_REDIS_REST_TOKEN"));
  EXPECT_THAT(mend_of(one, "redis_channels_denied"), HasSubstr("UPSTASH_REDIS_REST_TOKEN"));
  EXPECT_THAT(mend_of(one, "redis_plaintext_private"), HasSubstr("https:// in UPSTASH_REDIS_"));
  one.setup.reach = Reach::anywhere;
  EXPECT_THAT(mend_of(one, "redis_plaintext"), HasSubstr("https:// in UPSTASH_REDIS_REST_URL"));

  not_reached(one, "WRONGPASS invalid token");
  EXPECT_THAT(mend_of(one, "redis_login_refused"), HasSubstr("UPSTASH_REDIS_REST_TOKEN"));
  not_reached(one, "certificate verify failed");
  EXPECT_THAT(mend_of(one, "redis_certificate"), HasSubstr("UPSTASH_REDIS_REST_URL"));
  not_reached(one, "connecting takes too long");
  EXPECT_THAT(mend_of(one, "redis_unreachable"),
              HasSubstr("curl -H @<file> <UPSTASH_REDIS_REST_URL>/ping"));
}

TEST(RedisDiagnosis, NamesADatabaseOnlyWhereThereAreSome) {
  One one;
  one.facts.mark = mark_of("rec_theirs");
  EXPECT_THAT(mend_of(one, "redis_another_record"), HasSubstr("REDIS_DATABASE"));
  for (const char* topology : {"cluster", "rest"}) {
    one.setup.topology = topology;
    EXPECT_THAT(mend_of(one, "redis_another_record"),
                AllOf(HasSubstr("DEL rd:inc"), Not(HasSubstr("REDIS_DATABASE"))));
  }
}

TEST(RedisDiagnosis, SaysThatTlsMayBeSpokenOnOneSideOnly) {
  One one;
  not_reached(one, "Redis cannot be reached: the TLS handshake took too long");
  EXPECT_THAT(mend_of(one, "redis_unreachable"), HasSubstr("if the port speaks no TLS: redis://"));
  one.setup.tls = false;
  not_reached(one, "the server closed the connection: Connection reset by peer");
  EXPECT_THAT(mend_of(one, "redis_unreachable"), HasSubstr("if the port speaks TLS: rediss://"));
  not_reached(one, "connect: Connection refused");
  EXPECT_THAT(mend_of(one, "redis_unreachable"), HasSubstr("redis-cli -u <REDIS_URL> PING"));
}

}  // namespace
}  // namespace redoubt::diagnostics
