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

// Else the generation that a lost commit would have had counts as seen, and a copy that says so is
// taken although the next commit, which gets that number, has invalidated it.
TEST(CacheGenerations, WhatMayNotHaveBeenCommittedIsNotCounted) {
  shared::Eras eras;
  eras.poll_ended(eras.poll_begins(), 1, BootTime{1});
  Generations generations(&eras);
  generations.begin_at(5);
  generations.bump("ta", 6);
  ASSERT_EQ(generations.moment().seen, 6);

  generations.bump("tb");

  EXPECT_FALSE(generations.begun());
  EXPECT_EQ(generations.moment().seen, 0) << "until the record was asked again";
  generations.begin_at(6);
  EXPECT_EQ(generations.moment().seen, 6);
  generations.bump("tc", 7);
  EXPECT_EQ(generations.moment().seen, 7);
}

}  // namespace
}  // namespace redoubt::cache
