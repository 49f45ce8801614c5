// Strict limits of two instances over one record: what several units decide side by side, on
// connections of their own. On SQLite there is one instance, and nothing to show.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "record/postgres_record.hpp"
#include "services/limits/service.hpp"
#include "tests/support/context.hpp"
#include "tests/support/limit_policies.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::limits {
namespace {

namespace asio = boost::asio;

constexpr std::int64_t kLimit = 40;
constexpr Duration kDay = std::chrono::hours(24);
constexpr int kCallers = 8;
constexpr int kChecksEach = 10;  // Four times what the limit admits, of the two instances.

std::vector<LimitPolicy> policies() {
  std::vector<LimitPolicy> all;
  for (const auto& [name, algorithm] :
       {std::pair{"a", LimitAlgorithm::fixed_window}, std::pair{"b", LimitAlgorithm::sliding_log},
        std::pair{"c", LimitAlgorithm::gcra}}) {
    all.push_back(test::strict_policy_of(name, algorithm, kLimit, kDay, kLimit));
  }
  return all;
}

struct Instance {
  Instance(test::RecordHome& home, ManualClock& clock)
      : record(home.open(clock, metrics)), engine(clock, random, {}, metrics) {
    auto made = make_limits(engine, *record, clock, policies(), metrics);
    if (made) limits = std::move(*made);
  }
  Instance(const record::PostgresRecordOptions& options, ManualClock& clock)
      : record(std::move(record::open_postgres_record(options, clock, null_log(), metrics)).value()),
        engine(clock, random, {}, metrics) {
    auto made = make_limits(engine, *record, clock, policies(), metrics);
    if (made) limits = std::move(*made);
  }
  ~Instance() { record->stop(); }

  Metrics metrics;
  SystemRandom random;
  std::unique_ptr<record::Record> record;
  local::LimitEngine engine;
  std::unique_ptr<Limits> limits;
};

// Each caller asks for the three limits in an order of its own.
asio::awaitable<void> ask(Limits& limits, int caller, std::atomic<int>& admitted,
                          std::atomic<int>& failed) {
  const Caller admin = test::admin_of("acme");
  const Context context = test::context_of(admin);
  std::array<LimitCheck, 3> checks{LimitCheck{"a", "x"}, {"b", "x"}, {"c", "x"}};
  std::rotate(checks.begin(), checks.begin() + caller % 3, checks.end());
  for (int i = 0; i < kChecksEach; ++i) {
    const auto decision = co_await limits.check(context, checks);
    if (!decision) {
      ++failed;
    } else if (decision->allowed) {
      ++admitted;
    }
  }
}

TEST(StrictLimits, OfTwoInstancesAdmitExactlyWhatOneWould) {
  if (!test::RecordHome::is_postgres()) GTEST_SKIP() << "one instance";
  ManualClock clock;
  test::RecordHome home;
  std::array<std::unique_ptr<Instance>, 2> instances{std::make_unique<Instance>(home, clock),
                                                     std::make_unique<Instance>(home, clock)};
  std::atomic<int> admitted = 0;
  std::atomic<int> failed = 0;
  std::vector<std::jthread> threads;
  for (const auto& instance : instances) {
    ASSERT_TRUE(instance->limits);
    threads.emplace_back([&, limits = instance->limits.get()] {
      asio::io_context io;
      for (int caller = 0; caller < kCallers; ++caller) {
        asio::co_spawn(io, ask(*limits, caller, admitted, failed), [](std::exception_ptr) {});
      }
      io.run();
    });
  }
  threads.clear();

  EXPECT_EQ(failed, 0);
  EXPECT_EQ(admitted, kLimit);
}

TEST(StrictLimits, GoByTheClockOfTheDatabaseWhereThoseOfInstancesDiffer) {
  if (!test::RecordHome::is_postgres()) GTEST_SKIP() << "one instance";
  ManualClock late;
  ManualClock early;
  early.jump_wall(std::chrono::hours(24) * 365);
  record::PostgresRecordOptions options;
  options.url = Secret(test::PostgresServer::shared().new_database());
  Instance one(options, late);
  Instance other(options, early);
  ASSERT_TRUE(one.limits && other.limits);
  const Caller admin = test::admin_of("acme");
  const Context context = test::context_of(admin);
  int admitted = 0;
  for (std::int64_t i = 0; i < 2 * kLimit; ++i) {
    const LimitCheck check{"c", "x"};
    Limits& limits = i % 2 == 0 ? *one.limits : *other.limits;
    const auto decision = test::run(limits.check(context, {&check, 1}));
    ASSERT_TRUE(decision);
    admitted += decision->allowed ? 1 : 0;
  }
  EXPECT_EQ(admitted, kLimit);
}

}  // namespace
}  // namespace redoubt::limits
