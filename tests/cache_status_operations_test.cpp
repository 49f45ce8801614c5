#include "operations/cache_status_operations.hpp"

#include "tests/support/cache_fixture.hpp"
#include "tests/support/call_operation.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace redoubt::operations {
namespace {

class SomeHealth final : public Health {
 public:
  HealthReport report() const override { return now; }
  HealthReport now;
};

class SomeDiagnostics final : public Diagnostics {
 public:
  Task<RedisDiagnosis> redis(const Context&) override {
    ++asked;
    if (busy) co_return fail(unavailable("diagnosis_running", "another one is not over"));
    RedisDiagnosis found;
    found.server_info.version = "7.0.15";
    found.operational.memory_used_bytes = 1'048'576;
    found.connection_pool.clients = 3;
    co_return found;
  }
  int asked = 0;
  bool busy = false;
};

class CacheStatusOperation : public test::CacheFixture {
 protected:
  CacheStatusOperation() {
    register_cache_status(registry_, *cache_, health_, diagnostics_);
    caller_.tenant = kHomeTenant;
    caller_.role = Role::admin;
  }

  void redis(DependencyState state, std::string limits, std::string cache) {
    Dependency of_redis;
    of_redis.name = "redis";
    of_redis.state = state;
    health_.now.dependencies = {of_redis};
    health_.now.features = {{"limits", std::move(limits)}, {"cache", std::move(cache)}};
  }

  std::string status() {
    const Context context = test::context_of(caller_);
    OperationOutput output;
    test::call_operation(registry_, context, "cache.status", {}, output);
    EXPECT_FALSE(output.error);
    return output.body;
  }

  Caller caller_;
  SomeHealth health_;
  SomeDiagnostics diagnostics_;
  Registry registry_;
};

TEST_F(CacheStatusOperation, HasTheShapeOfThePathItReplaces) {
  redis(DependencyState::normal, "redis", "redis+memory");
  EXPECT_EQ(status(),
            R"({"redis_status":{"status":"connected","version":"7.0.15","memory_used":1048576,)"
            R"("connected_clients":3},)"
            R"("cache_service_status":{"redis_available":true,"active_backend":"redis+memory",)"
            R"("memory_cache_size":0},)"
            R"("rate_limit_status":{"redis_available":true,"active_backend":"redis"}})");
}

TEST_F(CacheStatusOperation, SaysWhatServesWhileRedisIsAwayAndAsksItNothing) {
  redis(DependencyState::down, "memory (share)", "memory");
  const std::string body = status();
  EXPECT_TRUE(body.contains(R"({"status":"disconnected"})")) << body;
  EXPECT_TRUE(body.contains(R"#({"redis_available":false,"active_backend":"memory (share)"})#"))
      << body;
  redis(DependencyState::not_configured, "memory", "memory");
  EXPECT_TRUE(status().contains(R"({"status":"not_configured"})"));
  EXPECT_EQ(diagnostics_.asked, 0);
}

TEST_F(CacheStatusOperation, TellsTenantsNothingOfOthersWhoUseTheRedis) {
  redis(DependencyState::normal, "redis", "redis+memory");
  caller_.tenant = "acme";
  EXPECT_TRUE(status().contains(R"("redis_status":{"status":"connected"})"));
  EXPECT_EQ(diagnostics_.asked, 0);
}

TEST_F(CacheStatusOperation, AnswersWhileADiagnosisRuns) {
  redis(DependencyState::normal, "redis", "redis+memory");
  diagnostics_.busy = true;
  EXPECT_TRUE(status().contains(R"("redis_status":{"status":"connected"})"));
}

}  // namespace
}  // namespace redoubt::operations
