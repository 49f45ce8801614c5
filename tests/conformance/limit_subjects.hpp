// A limiter under test beside the arithmetic it must agree with (local/limit_algorithms.hpp): the
// scripts in Redis, or the engine of this process.
#pragma once

#include "local/limit_engine.hpp"
#include "shared/limits.hpp"
#include "tests/support/modelled_limit.hpp"
#include "tests/support/redis_loop.hpp"

#include <memory>
#include <string>
#include <vector>

namespace redoubt::conformance {

using test::Modelled;

enum class Ask { take, peek, refund };

struct Answer {
  bool charged = false;
  std::vector<bool> admits;
  std::vector<local::Nanos> now;  // When each was decided, by the clock that counts for it.
};

class LimiterUnderTest {
 public:
  virtual ~LimiterUnderTest() = default;
  virtual Answer ask(Ask what, const std::string& tenant, const std::vector<Modelled>& limits,
                     const std::vector<std::int64_t>& costs) = 0;
  // Takes back the charges of the last answer. REQUIRES: GCRA alone, and that they were charged.
  virtual Answer withdraw(const std::string& tenant, const std::vector<Modelled>& limits,
                          const std::vector<std::int64_t>& costs) = 0;
  // Of the last answer, after the arithmetic was applied as well.
  virtual void expect_memory(std::size_t i, const Modelled& limit, bool charged,
                             std::int64_t cost) = 0;
  virtual void reset(const std::string& tenant, const Modelled& limit) = 0;
  virtual void pass(Duration duration) = 0;
};

std::unique_ptr<LimiterUnderTest> engine_under_test();
std::unique_ptr<LimiterUnderTest> scripts_under_test(test::RedisLoop& loop, redis::Client& client,
                                                     shared::SharedState& state);

}  // namespace redoubt::conformance
