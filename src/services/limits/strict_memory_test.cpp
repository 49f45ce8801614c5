#include "services/limits/strict_memory.hpp"

#include "base/random.hpp"
#include "tests/support/limit_policies.hpp"

#include <gtest/gtest.h>

namespace redoubt::limits {
namespace {

using local::LimitMemory;
using local::LimitRule;
using local::Nanos;

constexpr Nanos kStart = 1'800'000'000'000 * local::kNanosPerMs;

LimitRule rule_of(LimitAlgorithm algorithm, std::int64_t limit = 7,
                  CalendarUnit unit = CalendarUnit::month) {
  LimitPolicy policy = test::policy_of("test", algorithm, limit, Duration(1000), 7);
  policy.unit = unit;
  return local::make_limit_rule(policy);
}

constexpr std::array kAll{LimitAlgorithm::gcra, LimitAlgorithm::sliding_window,
                          LimitAlgorithm::sliding_log, LimitAlgorithm::fixed_window,
                          LimitAlgorithm::calendar_window};

LimitMemory used(const LimitRule& rule, std::uint64_t seed) {
  SeededRandom random(seed);
  LimitMemory memory = local::fresh_memory(rule);
  for (int i = 0; i < 20; ++i) {
    const Nanos now = kStart + i * 100 * local::kNanosPerMs + static_cast<Nanos>(random.below(99));
    local::settle(rule, memory, now);
    if (local::read_limit(rule, memory, now, 1).admits) local::charge(rule, memory, now, 1);
  }
  return memory;
}

TEST(StrictMemory, DecidesAfterReadingAsItDidBeforeWriting) {
  for (const LimitAlgorithm algorithm : kAll) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const LimitRule rule = rule_of(algorithm);
      LimitMemory before = used(rule, seed);

      auto after = decode_memory(rule, encode_memory(rule, before));

      ASSERT_TRUE(after) << after.error().cause;
      const Nanos now = kStart + 2100 * local::kNanosPerMs;
      local::settle(rule, before, now);
      local::settle(rule, *after, now);
      const auto expected = local::read_limit(rule, before, now, 5);
      const auto actual = local::read_limit(rule, *after, now, 5);
      EXPECT_EQ(actual.remaining, expected.remaining);
      EXPECT_EQ(actual.admitted_at, expected.admitted_at);
      EXPECT_EQ(actual.full_at, expected.full_at);
      EXPECT_EQ(encode_memory(rule, *after), encode_memory(rule, before));
    }
  }
}

TEST(StrictMemory, AChangedLimitKeepsWhatWasUsed) {
  const LimitRule old_rule = rule_of(LimitAlgorithm::gcra, 7);
  const LimitRule new_rule = rule_of(LimitAlgorithm::gcra, 11);
  LimitMemory memory = local::fresh_memory(old_rule);
  local::charge(old_rule, memory, kStart, 5);
  const Nanos full_at = local::read_limit(old_rule, memory, kStart, 1).full_at;

  const auto read = decode_memory(new_rule, encode_memory(old_rule, memory));

  ASSERT_TRUE(read);
  EXPECT_EQ(local::read_limit(new_rule, *read, kStart, 1).full_at, full_at);
}

TEST(StrictMemory, OfAnotherAlgorithmOrPeriodItIsAnotherLimit) {
  const LimitRule rule = rule_of(LimitAlgorithm::fixed_window);
  const LimitRule other = rule_of(LimitAlgorithm::sliding_window);
  const LimitRule month = rule_of(LimitAlgorithm::calendar_window, 7, CalendarUnit::month);
  const LimitRule day = rule_of(LimitAlgorithm::calendar_window, 7, CalendarUnit::day);

  const auto a = decode_memory(other, encode_memory(rule, used(rule, 1)));
  const auto b = decode_memory(day, encode_memory(month, used(month, 1)));

  ASSERT_TRUE(a && b);
  EXPECT_EQ(local::read_limit(other, *a, kStart, 1).remaining, 7);
  EXPECT_EQ(local::read_limit(day, *b, kStart, 1).remaining, 7);
}

TEST(StrictMemory, DamagedBytesAreAnErrorAndNotAFullLimit) {
  for (const LimitAlgorithm algorithm : kAll) {
    const LimitRule rule = rule_of(algorithm);
    const Bytes good = encode_memory(rule, used(rule, 1));
    for (std::size_t size = 0; size < good.size(); ++size) {
      if (algorithm == LimitAlgorithm::sliding_log && size >= 18 && (size - 18) % 16 == 0) continue;
      const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(decode_memory(rule, cut)) << static_cast<int>(algorithm) << " " << size;
    }
    Bytes version = good;
    version[0] = 2;
    EXPECT_FALSE(decode_memory(rule, version));
    Bytes no_limit = good;
    std::fill(no_limit.begin() + 2, no_limit.begin() + 10, std::uint8_t{0});
    EXPECT_FALSE(decode_memory(rule, no_limit));
  }
}

}  // namespace
}  // namespace redoubt::limits
