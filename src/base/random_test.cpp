#include "base/random.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace redoubt {
namespace {

TEST(SeededRandom, IsTheSplitmix64Sequence) {
  // The first outputs for seed 1234567 of Vigna's reference implementation.
  SeededRandom random(1234567);

  EXPECT_EQ(random.next_u64(), 6457827717110365317u);
  EXPECT_EQ(random.next_u64(), 3203168211198807973u);
  EXPECT_EQ(random.next_u64(), 9817491932198370423u);
}

TEST(FastRandom, IsTheSameSequence) {
  FastRandom random(1234567);

  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
}

TEST(SeededRandom, FillsEveryLengthToItsEnd) {
  for (std::size_t size = 0; size <= 40; ++size) {
    std::vector<std::uint8_t> seen(size + 1, 0);
    for (std::uint64_t seed = 0; seed < 64; ++seed) {
      std::vector<std::uint8_t> bytes(size + 1, 0);
      SeededRandom(seed).fill(std::span(bytes).first(size));
      EXPECT_EQ(bytes[size], 0) << "wrote behind the end";
      for (std::size_t i = 0; i < size; ++i) seen[i] |= bytes[i];
    }
    for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(seen[i], 0xff) << i << " of " << size;
  }
}

TEST(SystemRandom, DoesNotRepeatItself) {
  SystemRandom random;
  std::set<std::uint64_t> values;
  for (int i = 0; i < 1000; ++i) values.insert(random.next_u64());
  EXPECT_EQ(values.size(), 1000u);
}

TEST(SystemRandom, GivesOutEveryByteOnce) {
  SystemRandom random;
  std::set<std::vector<std::uint8_t>> values;
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(8 + i % 100));
    random.fill(bytes);
    bytes.resize(8);
    values.insert(bytes);
  }
  EXPECT_EQ(values.size(), 1000u);
}

TEST(SystemRandom, GivesAForkedProcessOtherBytes) {
  SystemRandom random;
  random.next_u64();  // There is something to inherit.
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::uint64_t theirs = random.next_u64();
    ::_exit(::write(ends[1], &theirs, sizeof theirs) == sizeof theirs ? 0 : 1);
  }
  std::uint64_t theirs = 0;
  ASSERT_EQ(::read(ends[0], &theirs, sizeof theirs), ssize_t{sizeof theirs});
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);

  EXPECT_NE(theirs, random.next_u64());
}

TEST(SystemRandom, AcceptsAnEmptySpan) {
  SystemRandom random;
  random.fill({});
}

TEST(Random, BelowIsUniformAndBelow) {
  SeededRandom random(7);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts[random.below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace redoubt
