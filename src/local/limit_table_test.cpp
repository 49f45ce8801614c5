#include "local/limit_table.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <map>

namespace redoubt::local {
namespace {

Hash128 key_of(std::uint64_t n) {
  return {n * 0x9E3779B97F4A7C15, n};
}

TEST(LimitTable, FindsWhatAMapFindsAfterAnyHistory) {
  SeededRandom random(1);
  LimitTable table;
  std::map<std::uint64_t, Nanos> model;
  for (int i = 0; i < 20'000; ++i) {
    // Keys that collide: few distinct homes.
    const std::uint64_t n = random.below(300);
    const Hash128 key{n % 7, n};
    LimitCell* cell = table.find(key);
    ASSERT_EQ(cell != nullptr, model.contains(n));
    if (cell == nullptr) {
      table.insert(key).full_at = i + 1;
      model[n] = i + 1;
    } else if (random.below(2) == 0) {
      table.erase(*cell);
      model.erase(n);
    } else {
      ASSERT_EQ(cell->full_at, model[n]);
    }
    if (random.below(500) == 0) table.shrink();
    ASSERT_EQ(table.size(), model.size());
  }
}

TEST(LimitTable, SweepsWhatIsFullOnTheClockThatItIsFullOn) {
  LimitTable table;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    LimitCell& cell = table.insert(key_of(n));
    cell.on_wall_clock = n % 2 == 0;
    cell.full_at = n < 500 ? 10 : 1000;
  }

  EXPECT_EQ(table.sweep({.boot = 10, .wall = 0}, table.slots()), 250u);
  EXPECT_EQ(table.size(), 750u);
  EXPECT_EQ(table.sweep({.boot = 10, .wall = 1000}, table.slots()), 500u);
  for (std::uint64_t n = 501; n < 1000; n += 2) ASSERT_NE(table.find(key_of(n)), nullptr);
}

TEST(LimitTable, GivesItsMemoryBackOnceEmptied) {
  LimitTable table;
  for (std::uint64_t n = 0; n < 1000; ++n) table.insert(key_of(n)).full_at = 1;
  const std::size_t before = table.slots();

  table.sweep({.boot = 1, .wall = 1}, before);
  table.shrink();

  EXPECT_EQ(table.slots(), 0u);
  EXPECT_EQ(table.find(key_of(1)), nullptr);
}

TEST(LimitTable, GivesUpTheSoonestFullOfTheSamePolicyFirst) {
  LimitTable table;
  const auto add = [&table](std::uint64_t n, std::uint32_t policy, Nanos full_at) {
    LimitCell& cell = table.insert(key_of(n));
    cell.policy = policy;
    cell.full_at = full_at;
  };
  add(1, 7, 500);
  add(2, 7, 400);
  add(3, 8, 100);

  EXPECT_EQ(table.evictable({}, 7, 64)->key, key_of(2));
  EXPECT_EQ(table.evictable({}, 8, 64)->key, key_of(3));
  EXPECT_EQ(table.evictable({}, 9, 64)->key, key_of(3));
}

}  // namespace
}  // namespace redoubt::local
