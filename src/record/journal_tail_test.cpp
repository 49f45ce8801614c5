#include "record/journal_tail.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace redoubt::record {
namespace {

using Seqs = std::vector<std::int64_t>;

TEST(JournalTail, TellsWhatIsNewOnce) {
  JournalTail tail;
  tail.start(6);

  EXPECT_EQ(tail.take({.xmin = 50, .xmax = 50, .seen = {7, 8}}), (Seqs{7, 8}));
  EXPECT_EQ(tail.take({.xmin = 50, .xmax = 50, .seen = {}}), Seqs{});
  EXPECT_EQ(tail.after(), 8);
  EXPECT_EQ(tail.heard(), 8);
}

TEST(JournalTail, WaitsForANumberThatCommitsLate) {
  JournalTail tail;
  tail.start(6);

  EXPECT_EQ(tail.take({.xmin = 40, .xmax = 50, .seen = {7, 8, 10}}), (Seqs{7, 8, 10}));
  EXPECT_EQ(tail.holes(), Seqs{9});
  EXPECT_EQ(tail.heard(), 8) << "a barrier must not count on 9";
  EXPECT_EQ(tail.take({.xmin = 45, .xmax = 60, .seen = {9, 11}}), (Seqs{9, 11}));
  EXPECT_EQ(tail.heard(), 11);
}

TEST(JournalTail, GivesANumberUpOnceWhoeverDrewItHasEnded) {
  JournalTail tail;
  tail.start(6);
  tail.take({.xmin = 40, .xmax = 50, .seen = {8}});
  ASSERT_EQ(tail.holes(), Seqs{7});

  tail.take({.xmin = 49, .xmax = 70, .seen = {}});
  EXPECT_EQ(tail.holes(), Seqs{7}) << "transaction 49 may be the one";
  tail.take({.xmin = 50, .xmax = 70, .seen = {}});
  EXPECT_EQ(tail.holes(), Seqs{});
  EXPECT_EQ(tail.heard(), 8);
}

TEST(JournalTail, RemembersNoHoleOfAnEarlierCrash) {
  JournalTail tail;
  tail.start(6);

  EXPECT_EQ(tail.take({.xmin = 50, .xmax = 50, .seen = {39}}), Seqs{39}) << "a sequence skips 32";
  EXPECT_EQ(tail.holes(), Seqs{}) << "nothing runs that could have drawn them";
}

TEST(JournalTail, SaysWhenItCannotRememberEveryHole) {
  JournalTail tail;
  tail.start(0);

  EXPECT_EQ(tail.take({.xmin = 1, .xmax = 9, .seen = {1'000'000}}), Seqs{1'000'000});
  EXPECT_TRUE(tail.overflowed());
  EXPECT_FALSE(tail.overflowed());
  EXPECT_EQ(tail.heard(), 1'000'000);
}

// A database in miniature: transactions take an id, then draw numbers, and end in any order; polls
// happen at any moment. Every committed number is told exactly once, and none is given up early.
TEST(JournalTail, MissesNothingInRandomInterleavings) {
  struct Running {
    std::uint64_t id;
    Seqs drawn;
  };
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    FastRandom random(seed);
    std::vector<Running> running;
    std::uint64_t next_id = 100;
    std::int64_t next_seq = 1;
    std::set<std::int64_t> committed;
    std::map<std::int64_t, int> told;
    JournalTail tail;
    tail.start(0);
    const auto poll = [&] {
      JournalTail::Poll snapshot;
      snapshot.xmax = next_id;
      snapshot.xmin = next_id;
      for (const Running& one : running) snapshot.xmin = std::min(snapshot.xmin, one.id);
      const Seqs holes = tail.holes();
      for (const std::int64_t seq : committed) {
        const bool asked = seq > tail.after() || std::ranges::count(holes, seq) > 0;
        if (asked) snapshot.seen.push_back(seq);
      }
      for (const std::int64_t seq : tail.take(snapshot)) ++told[seq];
    };

    for (int step = 0; step < 400; ++step) {
      const std::uint64_t choice = random.next() % 10;
      if (choice < 3) {
        running.push_back({next_id++, {}});
      } else if (choice < 6 && !running.empty()) {
        running[random.next() % running.size()].drawn.push_back(next_seq++);
      } else if (choice < 8 && !running.empty()) {
        const auto which = static_cast<std::ptrdiff_t>(random.next() % running.size());
        const bool commits = random.next() % 4 != 0;
        if (commits)
          committed.insert(running[std::size_t(which)].drawn.begin(),
                           running[std::size_t(which)].drawn.end());
        running.erase(running.begin() + which);
      } else {
        poll();
      }
    }
    running.clear();
    poll();

    for (const std::int64_t seq : committed) ASSERT_EQ(told[seq], 1) << seq;
    ASSERT_EQ(tail.holes(), Seqs{});
  }
}

}  // namespace
}  // namespace redoubt::record
