// Every rule of the record and of the host once with what it is about, and once with what is nearly
// that.
#include "services/diagnostics/record_rules.hpp"

#include "services/diagnostics/host_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace redoubt::diagnostics {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

struct One {
  SqliteFacts sqlite;
  PostgresFacts postgres;
  HostFacts host;
};
using Change = std::function<void(One&)>;

One good() {
  One one;
  one.sqlite.path = "/data/redoubt.db";
  one.sqlite.exists = true;
  one.sqlite.damage = "";
  one.sqlite.free_bytes = 10'000 * kMebibyte;
  one.sqlite.database_bytes = 100 * kMebibyte;
  one.postgres = {.reached = true,
                  .name = "db:5432/redoubt",
                  .trouble = {},
                  .reach = Reach::private_network,
                  .version = 150'004,
                  .fsync = true,
                  .synchronous_commit = "on",
                  .full_page_writes = true,
                  .read_only = false,
                  .superuser = false,
                  .bypasses_rls = false,
                  .tls = true,
                  .tls_verified = true,
                  .connections_max = 97,
                  .connections = 80,
                  .connections_wanted = 14,
                  .clock_ahead = Duration(2)};
  one.host.production = true;
  one.host.key_given = true;
  one.host.listeners = {{.address = "127.0.0.1:3284", .trouble = {}}};
  return one;
}

struct Example {
  std::string code;
  Change bad;
  Change nearly;  // Not bad.
};

std::vector<Example> sqlite_examples() {
  return {
      {"record_missing", [](One& o) { o.sqlite.exists = false; },
       [](One& o) { o.sqlite.damage.reset(); }},
      {"record_unusable", [](One& o) { o.sqlite.trouble = "permission denied"; },
       [](One& o) { o.sqlite.foreign = true; }},
      {"record_foreign", [](One& o) { o.sqlite.foreign = true; },
       [](One& o) { o.sqlite.trouble = "permission denied"; }},
      {"record_damaged", [](One& o) { o.sqlite.damage = "row 3 missing from index"; },
       [](One& o) { o.sqlite.damage.reset(); }},
      {"record_readable_by_others", [](One& o) { o.sqlite.file_mode = "0644"; },
       [](One& o) { o.sqlite.directory_mode = "0777"; }},
      {"data_dir_writable_by_others", [](One& o) { o.sqlite.directory_mode = "0777"; },
       [](One& o) { o.sqlite.file_mode = "0644"; }},
      {"record_on_network", [](One& o) { o.sqlite.network_file_system = "NFS"; }, [](One&) {}},
      {"record_disk_full", [](One& o) { o.sqlite.free_bytes = 64 * kMebibyte - 1; },
       [](One& o) { o.sqlite.free_bytes = 64 * kMebibyte; }},
      {"record_disk_low",
       [](One& o) {
         o.sqlite.free_bytes = 2'000 * kMebibyte;
         o.sqlite.database_bytes = 2'001 * kMebibyte;
       },
       [](One& o) { o.sqlite.free_bytes = 1024 * kMebibyte; }},
      {"record_log_large", [](One& o) { o.sqlite.log_bytes = 256 * kMebibyte + 1; },
       [](One& o) { o.sqlite.log_bytes = 256 * kMebibyte; }},
  };
}

std::vector<Example> postgres_examples() {
  return {
      {"postgres_unreachable", [](One& o) { o.postgres.reached = false; }, [](One&) {}},
      {"postgres_too_old", [](One& o) { o.postgres.version = 120'018; },
       [](One& o) { o.postgres.version = 130'000; }},
      {"postgres_fsync_off", [](One& o) { o.postgres.fsync = false; },
       [](One& o) { o.postgres.fsync.reset(); }},
      {"postgres_commits_unsafe", [](One& o) { o.postgres.synchronous_commit = "off"; },
       [](One& o) { o.postgres.synchronous_commit = "local"; }},
      {"postgres_torn_pages", [](One& o) { o.postgres.full_page_writes = false; },
       [](One& o) { o.postgres.full_page_writes.reset(); }},
      {"postgres_read_only", [](One& o) { o.postgres.read_only = true; },
       [](One& o) { o.postgres.read_only.reset(); }},
      {"postgres_superuser", [](One& o) { o.postgres.superuser = true; },
       [](One& o) { o.postgres.bypasses_rls = true; }},
      {"postgres_bypasses_rls", [](One& o) { o.postgres.bypasses_rls = true; },
       [](One& o) { o.postgres.bypasses_rls = o.postgres.superuser = true; }},
      {"postgres_plaintext", [](One& o) { o.postgres.tls = false; },
       [](One& o) {
         o.postgres.tls = false;
         o.postgres.reach = Reach::loopback;
       }},
      {"postgres_certificate_unverified", [](One& o) { o.postgres.tls_verified = false; },
       [](One& o) { o.postgres.tls = o.postgres.tls_verified = false; }},
      {"postgres_few_connections", [](One& o) { o.postgres.connections = 84; },
       [](One& o) { o.postgres.connections = 83; }},
      {"postgres_clock_skew", [](One& o) { o.postgres.clock_ahead = Duration(-1'001); },
       [](One& o) { o.postgres.clock_ahead = Duration(1'000); }},
  };
}

std::vector<Example> host_examples() {
  return {
      {"config_invalid", [](One& o) { o.host.config_problem = "SESSION_TTL: soon"; }, [](One&) {}},
      {"config_unused", [](One& o) { o.host.unused = {"REDIS_LOG_LEVEL"}; }, [](One&) {}},
      {"config_readable_by_others", [](One& o) { o.host.open_files = {".env"}; }, [](One&) {}},
      {"key_invalid", [](One& o) { o.host.key_problem = "all bytes are equal"; }, [](One&) {}},
      {"key_missing", [](One& o) { o.host.key_given = false; },
       [](One& o) { o.host.key_given = o.host.production = false; }},
      {"key_development", [](One& o) { o.host.key_given = o.host.production = false; },
       [](One& o) { o.host.production = false; }},
      {"key_readable_by_others", [](One& o) { o.host.key_file_mode = "0640"; }, [](One&) {}},
      {"port_taken", [](One& o) { o.host.listeners[0].state = PortState::taken; },
       [](One& o) { o.host.listeners[0].state = PortState::served; }},
      {"port_refused", [](One& o) { o.host.listeners[0].state = PortState::refused; },
       [](One& o) { o.host.listeners[0].state = PortState::taken; }},
      {"server_running", [](One& o) { o.host.listeners[0].state = PortState::served; },
       [](One& o) { o.host.listeners[0].state = PortState::taken; }},
      {"http_plaintext", [](One& o) { o.host.listeners[0].beyond_loopback = true; },
       [](One& o) {
         o.host.listeners[0].beyond_loopback = true;
         o.host.behind_proxy = true;
       }},
      {"development_exposed",
       [](One& o) {
         o.host.production = false;
         o.host.listeners[0].beyond_loopback = true;
       },
       [](One& o) { o.host.production = false; }},
      {"any_origin", [](One& o) { o.host.any_origin = true; }, [](One&) {}},
  };
}

std::vector<Example> all_examples() {
  std::vector<Example> all;
  for (auto make : {sqlite_examples, postgres_examples, host_examples}) {
    for (Example& one : make()) all.push_back(std::move(one));
  }
  return all;
}

std::set<std::string> codes_with(const Change& change) {
  One one = good();
  change(one);
  std::set<std::string> codes;
  const auto add = [&](const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) codes.insert(finding.code);
  };
  add(examine_record({.sqlite = &one.sqlite, .postgres = nullptr}));
  add(examine_record({.sqlite = nullptr, .postgres = &one.postgres}));
  add(examine_host(one.host));
  return codes;
}

class InstallationRules : public ::testing::TestWithParam<Example> {};

TEST_P(InstallationRules, SeesWhatItIsAboutAndNothingElse) {
  const Example& example = GetParam();
  EXPECT_THAT(codes_with(example.bad), ::testing::Contains(example.code));
  EXPECT_THAT(codes_with(example.nearly), ::testing::Not(::testing::Contains(example.code)));
}

INSTANTIATE_TEST_SUITE_P(Each, InstallationRules, ::testing::ValuesIn(all_examples()),
                         [](const auto& info) { return info.param.code; });

TEST(InstallationDiagnosis, FindsNothingInOneAsItShouldBe) {
  EXPECT_THAT(codes_with([](One&) {}), ::testing::IsEmpty());
}

TEST(InstallationDiagnosis, HasAnExampleOfEveryRule) {
  std::set<std::string> tested;
  for (const Example& example : all_examples()) tested.insert(example.code);
  std::set<std::string> rules;
  for (const RecordRule& rule : sqlite_rules()) rules.insert(std::string(rule.code.code));
  for (const RecordRule& rule : postgres_rules()) rules.insert(std::string(rule.code.code));
  for (const HostRule& rule : host_rules()) rules.insert(std::string(rule.code.code));
  EXPECT_EQ(tested, rules);
}

TEST(Reach, KnowsNetworksOfOnesOwn) {
  for (const char* host : {"127.0.0.1", "::1", "localhost", "127.8.9.1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(reach_of(host), Reach::loopback) << host;
  }
  for (const char* host : {"10.1.2.3", "172.31.0.1", "192.168.0.9", "100.64.0.1", "fd00::1",
                           "fe80::1", "redis", "redis.default.svc", "db.internal"}) {
    EXPECT_EQ(reach_of(host), Reach::private_network) << host;
  }
  for (const char* host : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1", "0.0.0.0",
                           "eu1.upstash.io", "cache.example.com"}) {
    EXPECT_EQ(reach_of(host), Reach::anywhere) << host;
  }
}

}  // namespace
}  // namespace redoubt::diagnostics
