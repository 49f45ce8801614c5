// Bad configurations of a real Redis, and what is found of each.
#include "app/redis_inspection.hpp"

#include "services/diagnostics/redis_rules.hpp"
#include "shared/incarnation.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

namespace redoubt::app {
namespace {

using test::RedisServer;
using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Not;

// The machine's clock, moved.
class MovedClock final : public Clock {
 public:
  explicit MovedClock(Duration by) : by_(by) {}
  WallTime wall() const override { return clock_.wall() + by_; }
  BootTime boot() const override { return clock_.boot(); }

 private:
  SystemClock clock_;
  Duration by_;
};

// A plain connection that does nothing but be there, or waits in a command.
class Guest {
 public:
  explicit Guest(std::uint16_t port, const std::string& says = {})
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = test::loopback(port);
    ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    if (!says.empty()) static_cast<void>(::send(socket_, says.data(), says.size(), MSG_NOSIGNAL));
  }
  Guest(Guest&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest() {
    if (socket_ >= 0) ::close(socket_);
  }

 private:
  int socket_;
};

std::vector<Guest> guests(std::uint16_t port, int count) {
  std::vector<Guest> out;
  for (int i = 0; i < count; ++i) out.emplace_back(port);
  return out;
}

struct Look {
  shared::RedisFacts facts;
  std::vector<Finding> findings;
  std::vector<std::string> codes;

  std::string mend(const std::string& code) const {
    for (const Finding& one : findings) {
      if (one.code == code) return one.mend;
    }
    return {};
  }
};

class RedisInspection : public ::testing::Test {
 protected:
  Look look(std::uint16_t port) {
    options_.topology = redis::Standalone{{.host = "127.0.0.1", .port = port, .socket_path = {}}};
    return look();
  }
  Look look() {
    const InspectionParts parts{loop_.io.get_executor(), options_, *clock_, *loop_.timers,
                                loop_.random};
    Look out;
    out.facts = loop_.run(inspect_redis(parts));
    const auto setup = redis_setup(options_, "rec_ours");
    out.findings = diagnostics::examine_redis(setup, out.facts);
    for (const Finding& one : out.findings) out.codes.push_back(one.code);
    return out;
  }

  test::RedisLoop loop_;
  const Clock* clock_ = &loop_.clock;
  redis::Options options_ = [] {
    redis::Options options;
    options.timeouts.operation = Duration(2'000);  // A loaded machine is no finding.
    options.timeouts.connect = Duration(2'000);
    return options;
  }();
};

TEST_F(RedisInspection, OfAGoodServerFindsNothingCriticalAndLeavesNothingBehind) {
  RedisServer server({"maxmemory 200mb", "maxmemory-policy volatile-lru"});
  const Look found = look(server.port());

  EXPECT_TRUE(found.facts.reached);
  EXPECT_THAT(found.codes, ::testing::UnorderedElementsAre("redis_lua_hole", "redis_not_persistent",
                                                           "redis_timeout_long"))
      << "the last is this test's own";
  EXPECT_EQ(found.facts.server.role, "master");
  EXPECT_EQ(found.facts.operations.size(), 5u);
  for (const auto& operation : found.facts.operations) {
    EXPECT_EQ(operation.error, "") << operation.name;
    EXPECT_EQ(operation.count, 20) << operation.name;
    EXPECT_GT(operation.p99.count(), 0) << operation.name;
  }
  EXPECT_EQ(server.cli("dbsize"), "0\n");
}

TEST_F(RedisInspection, OfNoServerSaysThatItCannotBeReached) {
  const Look found = look(test::free_port());
  EXPECT_FALSE(found.facts.reached);
  EXPECT_THAT(found.codes, Contains("redis_unreachable"));
}

TEST_F(RedisInspection, FindsRefusedLogins) {
  RedisServer server({"requirepass good"});
  options_.credentials.password = Secret(std::string("bad"));
  EXPECT_THAT(look(server.port()).codes, Contains("redis_login_refused"));
  options_.credentials.password = {};
  EXPECT_THAT(look(server.port()).codes, Contains("redis_login_refused"));
  options_.credentials.password = Secret(std::string("good"));
  EXPECT_THAT(look(server.port()).codes, Not(Contains("redis_login_refused")));
}

TEST_F(RedisInspection, FindsUnboundedMemoryAndPoliciesThatEvictAll) {
  RedisServer server({"maxmemory-policy allkeys-lru"});
  EXPECT_THAT(look(server.port()).codes,
              IsSupersetOf({"redis_memory_unbounded", "redis_policy_allkeys"}));
}

TEST_F(RedisInspection, FindsMemoryThatIsFull) {
  RedisServer server({"maxmemory 100kb", "maxmemory-policy noeviction"});
  EXPECT_THAT(look(server.port()).codes,
              IsSupersetOf({"redis_memory_full", "redis_policy_noeviction"}));
}

TEST_F(RedisInspection, FindsEvictionsAndKeysOfOthers) {
  RedisServer server(
      {"maxmemory 4mb", "maxmemory-policy allkeys-random", "enable-debug-command yes"});
  server.cli("debug populate 100000");
  server.cli(
      "eval \"for i = 1, 200 do redis.call('set', 'mine' .. i, string.rep('x', 4096)) end\""
      " 0");
  EXPECT_THAT(look(server.port()).codes, IsSupersetOf({"redis_evictions", "redis_foreign_keys"}));
}

TEST_F(RedisInspection, FindsReadsThatMiss) {
  RedisServer server;
  server.cli("eval \"for i = 1, 200 do redis.call('get', 'no' .. i) end\" 0");
  EXPECT_THAT(look(server.port()).codes, Contains("redis_hit_ratio"));
}

TEST_F(RedisInspection, FindsCommandsThatTheAccountMayNotUse) {
  RedisServer server({"user limited on >secret ~rd:* +@read +@connection +info"});
  options_.credentials = {.user = "limited", .password = Secret(std::string("secret"))};
  const Look found = look(server.port());

  EXPECT_THAT(found.codes, Contains("redis_command_denied"));
  EXPECT_THAT(found.facts.denied_commands, IsSupersetOf({"SET", "EVAL", "EVALSHA", "RPUSH"}));
  EXPECT_THAT(found.facts.denied_commands, Not(Contains("GET")));

  // The line that mends it does.
  const std::string mend = found.mend("redis_command_denied");
  ASSERT_TRUE(mend.starts_with("redis-cli ACL SETUSER limited +set")) << mend;
  server.cli(mend.substr(std::string("redis-cli ").size()));
  EXPECT_THAT(look(server.port()).codes, Not(Contains("redis_command_denied")));
}

TEST_F(RedisInspection, FindsCertificatesThatAreNotTrustedOrNotVerified) {
  const test::Certificates files;
  const std::uint16_t port = test::free_port();
  RedisServer server({"port 0", "tls-port " + std::to_string(port),
                      "tls-cert-file " + files.file("other.crt"),
                      "tls-key-file " + files.file("other.key"),
                      "tls-ca-cert-file " + files.file("ca.crt"), "tls-auth-clients no"});
  options_.tls.enabled = true;
  options_.tls.ca_file = files.file("ca.crt");
  EXPECT_THAT(look(port).codes, Contains("redis_certificate"));
  options_.tls.verify = false;
  EXPECT_THAT(look(port).codes, Contains("redis_certificate_unverified"));
}

// What redis_account_all_rights advises.
TEST_F(RedisInspection, OfTheAdvisedAccountFindsNothingCritical) {
  RedisServer server({"maxmemory 200mb", "maxmemory-policy volatile-lru",
                      "user redoubt on >secret ~rd:* &rd:* +@all -@dangerous +info +role",
                      "user default off"});
  options_.credentials = {.user = "redoubt", .password = Secret(std::string("secret"))};
  const Look found = look(server.port());
  EXPECT_TRUE(found.facts.reached) << found.facts.trouble;
  EXPECT_THAT(found.facts.denied_commands, ::testing::IsEmpty());
  for (const Finding& one : found.findings) {
    EXPECT_NE(one.severity, Severity::critical) << one.code << ": " << one.what;
  }
  EXPECT_FALSE(found.facts.persistence.snapshots) << "CONFIG is refused: not told";
  EXPECT_EQ(found.facts.memory.max_bytes, 200 << 20);
}

TEST_F(RedisInspection, FindsKeysThatTheAccountMayNotUse) {
  RedisServer server({"user elsewhere on >secret ~app:* +@all"});
  options_.credentials = {.user = "elsewhere", .password = Secret(std::string("secret"))};
  const Look found = look(server.port());

  EXPECT_THAT(found.codes, IsSupersetOf({"redis_keys_denied", "redis_default_account_open"}));
  EXPECT_THAT(found.codes, Not(Contains("redis_command_denied")));
  EXPECT_EQ(found.mend("redis_keys_denied"), "redis-cli ACL SETUSER elsewhere '~rd:*' '&rd:*'");
}

TEST_F(RedisInspection, FindsThatOthersAreNotToldOfChanges) {
  RedisServer server({"user mute on >secret ~rd:* +@all -client|tracking"});
  EXPECT_THAT(look(server.port()).codes, Not(::testing::AnyOf(Contains("redis_channels_denied"),
                                                              Contains("redis_no_tracking"))));
  options_.credentials = {.user = "mute", .password = Secret(std::string("secret"))};
  const Look found = look(server.port());

  EXPECT_THAT(found.codes, IsSupersetOf({"redis_channels_denied", "redis_no_tracking"}));
  const std::string mend = found.mend("redis_channels_denied");
  server.cli(mend.substr(std::string("redis-cli ").size()));
  server.cli("acl setuser mute '+client|tracking' '+client|caching'");
  EXPECT_THAT(look(server.port()).codes, Not(::testing::AnyOf(Contains("redis_channels_denied"),
                                                              Contains("redis_no_tracking"))));
}

TEST_F(RedisInspection, FindsReplicas) {
  RedisServer master;
  RedisServer replica({"replicaof 127.0.0.1 " + std::to_string(master.port())});
  EXPECT_THAT(look(replica.port()).codes, Contains("redis_replica"));

  master.kill();
  const auto none = [] {};
  const auto down = [&] {
    return replica.cli("info replication").find("master_link_status:down") != std::string::npos;
  };
  ASSERT_TRUE(test::poll_until(down, none, std::chrono::milliseconds(10), 1000));
  EXPECT_THAT(look(replica.port()).codes, IsSupersetOf({"redis_replica", "redis_replica_offline"}));
}

TEST_F(RedisInspection, FindsASentinelInPlaceOfARedis) {
  RedisServer sentinel({}, RedisServer::Kind::sentinel);
  EXPECT_THAT(look(sentinel.port()).codes, Contains("redis_is_sentinel"));
}

TEST_F(RedisInspection, FindsAClusterThatIsNotSaidToBeOneAndHasNoSlots) {
  RedisServer node({"cluster-enabled yes"});
  EXPECT_THAT(look(node.port()).codes,
              IsSupersetOf({"redis_cluster_unsaid", "redis_cluster_down", "redis_slots_missing"}));
}

TEST_F(RedisInspection, FindsSnapshotsThatFailAndWritesThatStop) {
  RedisServer server({"save 3600 1000000", "enable-protected-configs yes"});
  const std::string gone = server.directory().file("gone");
  std::filesystem::create_directory(gone);
  ASSERT_EQ(server.cli("config set dir " + gone), "OK\n");
  std::filesystem::remove(gone);
  server.cli("set x 1");
  server.cli("bgsave");
  const auto none = [] {};
  const auto failed = [&] {
    return server.cli("info persistence").find("rdb_last_bgsave_status:err") != std::string::npos;
  };
  ASSERT_TRUE(test::poll_until(failed, none, std::chrono::milliseconds(10), 1000));

  EXPECT_THAT(look(server.port()).codes, IsSupersetOf({"redis_save_failed", "redis_writes_stopped",
                                                       "redis_stops_on_save_error"}));
}

TEST_F(RedisInspection, FindsTooManyClients) {
  RedisServer server({"maxclients 120"});
  const auto all = guests(server.port(), 101);
  EXPECT_THAT(look(server.port()).codes,
              IsSupersetOf({"redis_many_clients", "redis_clients_near_limit"}));
}

TEST_F(RedisInspection, FindsRejectedConnectionsAndBlockedClients) {
  RedisServer server({"maxclients 10"});
  { const auto all = guests(server.port(), 30); }
  const auto none = [] {};
  const auto gone = [&] {
    return server.cli("info clients").find("connected_clients:1\r") != std::string::npos;
  };
  ASSERT_TRUE(test::poll_until(gone, none, std::chrono::milliseconds(10), 1000));
  const Guest waiting(server.port(), "*3\r\n$5\r\nBLPOP\r\n$1\r\nx\r\n$1\r\n0\r\n");
  const auto blocked = [&] {
    return server.cli("info clients").find("blocked_clients:1") != std::string::npos;
  };
  ASSERT_TRUE(test::poll_until(blocked, none, std::chrono::milliseconds(10), 1000));

  EXPECT_THAT(look(server.port()).codes,
              IsSupersetOf({"redis_connections_rejected", "redis_clients_blocked"}));
}

TEST_F(RedisInspection, FindsTimeoutsThatCutIdleConnections) {
  RedisServer server({"timeout 1"});
  EXPECT_THAT(look(server.port()).codes, Contains("redis_idle_timeout"));
}

TEST_F(RedisInspection, FindsProtectedModeOff) {
  RedisServer server({"protected-mode no"});
  EXPECT_THAT(look(server.port()).codes, Contains("redis_protected_mode_off"));
  EXPECT_THAT(look(server.port()).codes, Not(Contains("redis_open_to_network")))
      << "it listens on loopback only";
}

TEST_F(RedisInspection, FindsClocksThatDiffer) {
  RedisServer server;
  const MovedClock minutes_behind(Duration(-120'000));
  clock_ = &minutes_behind;
  const Look found = look(server.port());
  EXPECT_THAT(found.codes, Contains("redis_clock_wrong"));
  EXPECT_NEAR(static_cast<double>(found.facts.clock_ahead->count()), 120'000, 2'000);

  const MovedClock a_little_ahead(Duration(3'000));
  clock_ = &a_little_ahead;
  EXPECT_THAT(look(server.port()).codes, Contains("redis_clock_skew"));
}

TEST_F(RedisInspection, FindsTheRedisOfAnotherRecord) {
  RedisServer server;
  server.cli("set rd:inc '" +
             shared::encode_mark({.record = "rec_theirs", .generation = 3, .nonce = "n"}) + "'");
  EXPECT_THAT(look(server.port()).codes, Contains("redis_another_record"));
  server.cli("set rd:inc '" +
             shared::encode_mark({.record = "rec_ours", .generation = 3, .nonce = "n"}) + "'");
  EXPECT_THAT(look(server.port()).codes, Not(Contains("redis_another_record")));
}

TEST(RedisSetup, SaysHowFarAndHowSafeEachTopologyIs) {
  using diagnostics::Reach;
  const auto setup_of = [](auto topology) {
    redis::Options options;
    options.topology = topology;
    return redis_setup(options, "rec_ours");
  };
  const auto at = [](std::string host) { return redis::Endpoint{std::move(host), 6379, {}}; };

  const auto socket = setup_of(redis::Standalone{{.host = {}, .port = 0, .socket_path = "/run/r"}});
  EXPECT_EQ(socket.reach, Reach::loopback);
  const auto far = setup_of(redis::Standalone{at("cache.example.com")});
  EXPECT_EQ(far.reach, Reach::anywhere);
  EXPECT_FALSE(far.password);
  const auto cluster = setup_of(redis::Cluster{{at("127.0.0.1"), at("10.0.0.7")}});
  EXPECT_EQ(cluster.reach, Reach::private_network) << "the farthest counts";
  EXPECT_EQ(cluster.topology, "cluster");
  redis::Sentinel watched;
  watched.sentinels = {at("s1"), at("s2")};
  EXPECT_EQ(setup_of(watched).sentinels, 2u);
  EXPECT_EQ(setup_of(watched).topology, "sentinel");
  const auto rest = setup_of(redis::Rest{"https://eu1.example.io/x", Secret(std::string("token"))});
  EXPECT_TRUE(rest.tls && rest.password);
  EXPECT_EQ(rest.reach, Reach::anywhere);
  EXPECT_FALSE(setup_of(redis::Rest{"http://127.0.0.1:8079", Secret(std::string("t"))}).tls);
}

}  // namespace
}  // namespace redoubt::app
