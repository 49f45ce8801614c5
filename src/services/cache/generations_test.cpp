#include "services/cache/generations.hpp"

#include "base/random.hpp"
#include "base/text.hpp"
#include "services/cache/names.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace redoubt::cache {
namespace {

struct Copy {
  explicit Copy(const Generations& generations, std::string k, std::vector<std::string> t = {})
      : key(std::move(k)), tags(std::move(t)), filled(generations.stamp()), checked(filled) {}
  bool is_good(const Generations& generations) {
    return generations.is_good(key, tags, filled, checked);
  }
  std::string key;
  std::vector<std::string> tags;
  Generations::Stamp filled;
  std::atomic<Generations::Stamp> checked;
};

TEST(CacheGenerations, ACopyIsGoodUntilSomethingItAnswersToIsBumped) {
  Generations generations;
  Copy copy(generations, "users:42:profile", {"red"});

  generations.bump("tblue");
  generations.bump("pusers:43:");
  generations.bump("g*:settings");
  generations.bump("kusers:42");
  EXPECT_TRUE(copy.is_good(generations));

  generations.bump("pusers:42:");
  EXPECT_FALSE(copy.is_good(generations));
}

TEST(CacheGenerations, ACopyFilledAfterTheBumpIsGood) {
  Generations generations;
  generations.bump("g*:stats");
  generations.bump("tred");
  generations.bump("");

  Copy copy(generations, "agent:stats", {"red"});

  EXPECT_TRUE(copy.is_good(generations));
}

TEST(CacheGenerations, GlobsBeyondTheirNumberInvalidateEverythingOlder) {
  Generations generations;
  Copy old(generations, "unrelated");
  for (std::size_t i = 0; i < Generations::kGlobsMax; ++i) {
    generations.bump("g*" + std::to_string(i) + "?x");
  }
  EXPECT_TRUE(old.is_good(generations));
  EXPECT_TRUE(generations.would_overflow(0, 1));
  EXPECT_FALSE(generations.would_overflow(1, 0));

  generations.bump("gone more*");

  EXPECT_FALSE(old.is_good(generations));
  Copy young(generations, "unrelated");
  EXPECT_TRUE(young.is_good(generations));
  EXPECT_FALSE(generations.would_overflow(0, 1));
}

TEST(CacheGenerations, NamesBeyondTheirNumberInvalidateEverythingOlder) {
  Generations generations;
  Copy old(generations, "unrelated");
  for (std::size_t i = 0; i < Generations::kNamesMax; ++i) {
    generations.bump("t" + std::to_string(i));
  }
  EXPECT_TRUE(old.is_good(generations));

  generations.bump("tone more");

  EXPECT_FALSE(old.is_good(generations));
}

// Against a model that remembers every bump and matches each of them anew.
TEST(CacheGenerations, AgreesWithAModelInRandomHistories) {
  const std::vector<std::string> segments{"a", "b", "c"};
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    FastRandom random(seed);
    const auto segment = [&] { return segments[random.next() % segments.size()]; };
    Generations generations;
    std::vector<std::string> bumped;
    std::vector<std::unique_ptr<Copy>> copies;
    std::vector<std::size_t> bumped_before;
    for (int step = 0; step < 300; ++step) {
      switch (random.next() % 6) {
        case 0:
          bumped.push_back(pattern_name(segment() + ":*"));
          break;
        case 1:
          bumped.push_back(pattern_name("*:" + segment()));
          break;
        case 2:
          bumped.push_back(tag_name(segment()));
          break;
        default:
          copies.push_back(std::make_unique<Copy>(generations,
                                                  segment() + ":" + segment() + ":" + segment(),
                                                  std::vector<std::string>{segment()}));
          bumped_before.push_back(bumped.size());
          continue;
      }
      generations.bump(bumped.back());
      for (std::size_t i = 0; i < copies.size(); ++i) {
        bool good = true;
        for (std::size_t b = bumped_before[i]; b < bumped.size(); ++b) {
          const std::string name = bumped[b];
          const std::string what = name.substr(1);
          if (name[0] == kTagName) good &= copies[i]->tags[0] != what;
          if (name[0] == kPrefixName) good &= !copies[i]->key.starts_with(what);
          if (name[0] == kGlobName) good &= !glob_match(what, copies[i]->key);
        }
        // Only some are looked at, so that what was seen before differs from copy to copy.
        if (random.next() % 2 == 0) ASSERT_EQ(copies[i]->is_good(generations), good);
      }
    }
  }
}

// ---- Of entries from elsewhere ----

using Rows = std::vector<record::CacheGenerationRow>;

struct SharedGenerations : ::testing::Test {
  // As if the record had been read at that moment and had these rows.
  void begin(const Rows& rows, WallTime at = WallTime{1'000}) {
    const auto reading = generations.start_reading();
    ASSERT_TRUE(reading);
    generations.begin(*reading, rows, at);
  }
  bool is_good(std::string_view key, std::int64_t seen, std::int64_t stored_ms = 500) const {
    return generations.judge(key, {"red"}, seen, WallTime{stored_ms}).has_value();
  }

  shared::Eras eras;
  Generations generations{&eras};
};

TEST_F(SharedGenerations, AreNotJudgedBeforeTheRecordWasRead) {
  EXPECT_FALSE(is_good("a", 0));
  begin({});
  EXPECT_TRUE(is_good("a", 0));
}

TEST_F(SharedGenerations, OnlyWhatTheirFillHadNotSeenSpeaksAgainstThem) {
  begin({{"g*:1", 9, WallTime{400}}, {"tred", 7, WallTime{300}}, {"pusers:", 5, WallTime{200}}});
  EXPECT_TRUE(is_good("users:1", 9));
  EXPECT_FALSE(is_good("users:1", 8)) << "the glob";
  EXPECT_TRUE(is_good("users:2", 7)) << "the glob is about others";
  EXPECT_FALSE(is_good("users:2", 6)) << "the tag";
  EXPECT_FALSE(is_good("agents", 4)) << "the tag, whatever else it lacks";

  generations.bump("kusers:2", 10);
  EXPECT_FALSE(is_good("users:2", 9));
  EXPECT_TRUE(is_good("users:3", 9));
  generations.bump("", 11);
  EXPECT_FALSE(is_good("users:3", 10));
  EXPECT_TRUE(is_good("users:3", 11, 2'000));
}

TEST_F(SharedGenerations, AreGivenUpWhereTheRecordHasMoreThanIsRead) {
  Rows rows;
  for (std::size_t i = 0; i <= Generations::kRowsReadMax; ++i) {
    const auto generation = static_cast<std::int64_t>(10 + Generations::kRowsReadMax - i);
    rows.push_back({"kother" + std::to_string(i), generation, WallTime{1}});
  }
  ASSERT_EQ(rows.back().generation, 10);
  begin(rows);
  EXPECT_TRUE(is_good("a", 10));
  EXPECT_FALSE(is_good("a", 9));
  EXPECT_FALSE(generations.would_overflow(Generations::kNamesMax / 2, 0));
}

TEST_F(SharedGenerations, AreGivenUpWhereTheRecordHasMoreGlobsThanAreRead) {
  Rows rows;
  for (std::size_t i = 0; i <= Generations::kGlobsReadMax; ++i) {
    rows.push_back({"g?x" + std::to_string(i), static_cast<std::int64_t>(200 - i), WallTime{1}});
  }
  begin(rows);
  EXPECT_TRUE(is_good("a", rows.back().generation));
  EXPECT_FALSE(is_good("a", rows.back().generation - 1));
}

// A backup from when generation 2 was the newest is restored, and 3 and 4 are given out again.
TEST_F(SharedGenerations, OfARecordThatWentBackAreToldByTheirTime) {
  begin({{"tred", 4, WallTime{800}}, {"ka", 2, WallTime{100}}});
  EXPECT_FALSE(is_good("b", 4, 700)) << "another 4 was seen there";
  EXPECT_TRUE(is_good("b", 4, 900));
  EXPECT_FALSE(is_good("c", 6, 900)) << "nobody can have seen 6 when 4 was the newest";
  generations.bump("kc", 5);
  generations.bump("kd", 6);
  EXPECT_FALSE(is_good("c", 6, 900)) << "nor afterwards";
  EXPECT_TRUE(is_good("c", 6, 1'100));
}

TEST_F(SharedGenerations, ThatAreForgottenOneByOneAreRememberedTogether) {
  begin({{"ka", 9, WallTime{100}}});
  generations.bump("kb", 12);
  for (std::size_t i = 0; i < Generations::kNamesMax - 1; ++i) {
    generations.bump("t" + std::to_string(i), 10);
  }
  EXPECT_FALSE(is_good("b", 11)) << "12 was heard before 10 and 11";
  EXPECT_TRUE(is_good("b", 12, 2'000));
}

// Else the generation that a lost commit would have had counts as seen, and a copy that says so is
// taken although the next commit, which gets that number, has invalidated it.
TEST_F(SharedGenerations, WhatMayNotHaveBeenCommittedIsNotCounted) {
  begin({{"tx", 5, WallTime{1}}});
  generations.bump("ta", 6);
  ASSERT_EQ(generations.moment().seen, 6);

  generations.bump("ka");

  EXPECT_FALSE(generations.begun());
  EXPECT_EQ(generations.moment().seen, 0) << "until the record was read again";
  EXPECT_FALSE(is_good("b", 6));
  begin({{"ta", 6, WallTime{2}}, {"tx", 5, WallTime{1}}});
  EXPECT_EQ(generations.moment().seen, 6);
  EXPECT_TRUE(is_good("a", 6)) << "it was not committed";
  generations.bump("ka", 7);
  EXPECT_EQ(generations.moment().seen, 7);
  EXPECT_FALSE(is_good("a", 6)) << "it is now";
}

TEST_F(SharedGenerations, WhatIsInDoubtWhileTheRecordIsReadMakesTheReadingVain) {
  const auto reading = generations.start_reading();
  ASSERT_TRUE(reading);
  generations.bump("ka");
  generations.begin(*reading, {}, WallTime{1'000});
  EXPECT_FALSE(generations.begun());
  begin({});
  EXPECT_TRUE(generations.begun());
}

TEST_F(SharedGenerations, WhatIsHeardWhileTheRecordIsReadIsNotLost) {
  const auto reading = generations.start_reading();
  generations.bump("ka", 3);
  const Rows rows{{"kb", 2, WallTime{1}}};
  generations.begin(*reading, rows, WallTime{1'000});
  EXPECT_EQ(generations.moment().seen, 3);
  EXPECT_FALSE(is_good("a", 2));
}

}  // namespace
}  // namespace redoubt::cache
