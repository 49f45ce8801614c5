#include "services/cache/held_names.hpp"

#include <gtest/gtest.h>

#include <string>

namespace redoubt::cache {
namespace {

struct Value {
  int number = 0;
  void absorb(Value&& other) { number = std::max(number, other.number); }
};

class HeldNamesTest : public ::testing::Test {
 protected:
  bool put(std::string_view tenant, std::string_view name, int number = 1) {
    return held_.put(tenant, name, {number}) != nullptr;
  }
  bool answers(std::string_view tenant, std::string_view key, std::vector<std::string> tags = {}) {
    return held_.any(tenant, key, tags, [](const Value&) { return true; });
  }
  int number_of(std::string_view tenant, std::string_view name) {
    const Value* const value = held_.find(tenant, name);
    return value != nullptr ? value->number : 0;
  }

  HeldNames<Value> held_{8};
};

TEST_F(HeldNamesTest, AnEntryAnswersToItsKeyItsPrefixesItsTagsAndGlobs) {
  put("acme", "kplain");
  put("acme", "pusers:42:");
  put("acme", "tred");
  put("acme", "g*:stats");

  EXPECT_TRUE(answers("acme", "plain"));
  EXPECT_TRUE(answers("acme", "users:42:profile"));
  EXPECT_TRUE(answers("acme", "other", {"blue", "red"}));
  EXPECT_TRUE(answers("acme", "agents:1:stats"));
  EXPECT_FALSE(answers("acme", "users:43:profile", {"blue"}));
  EXPECT_FALSE(answers("globex", "plain", {"red"})) << "another tenant";
}

TEST_F(HeldNamesTest, EverythingOfATenantStandsForAllItsNames) {
  put("acme", "ka");
  put("acme", "kb");
  put("acme", "");
  EXPECT_EQ(held_.size(), 1u);
  EXPECT_TRUE(answers("acme", "anything"));

  put("acme", "kc", 5);
  EXPECT_EQ(held_.size(), 1u);
  EXPECT_EQ(number_of("acme", ""), 5);
}

TEST_F(HeldNamesTest, WithoutRoomTheTenantThatHasTheMostGivesUpItsNames) {
  for (int i = 0; i < 6; ++i) put("acme", "k" + std::to_string(i), i);
  put("globex", "ka");
  put("globex", "kb");
  ASSERT_EQ(held_.size(), 8u);

  EXPECT_TRUE(put("globex", "kb")) << "it is there already";
  EXPECT_EQ(held_.size(), 8u);
  EXPECT_TRUE(put("globex", "kc"));

  EXPECT_EQ(held_.size(), 4u);
  EXPECT_EQ(number_of("acme", ""), 5) << "the most of what it stands for";
  EXPECT_TRUE(answers("acme", "anything"));
  EXPECT_FALSE(answers("globex", "anything"));
  EXPECT_TRUE(answers("globex", "c"));
}

TEST_F(HeldNamesTest, OneNameOfEachTenantIsAllThatThereIsRoomFor) {
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(put("tenant" + std::to_string(i), "ka"));

  EXPECT_FALSE(put("another", "ka"));
  EXPECT_FALSE(answers("another", "a"));
  EXPECT_TRUE(put("tenant3", "kb")) << "which is everything of it then";
  EXPECT_TRUE(answers("tenant3", "anything"));
  EXPECT_EQ(held_.size(), 8u);
}

TEST_F(HeldNamesTest, WhatIsErasedMakesRoom) {
  for (int i = 0; i < 8; ++i) put("tenant" + std::to_string(i), "ka", i);
  held_.erase("tenant0", "ka", [](const Value& value) { return value.number > 0; });
  EXPECT_EQ(held_.size(), 8u) << "it may not go";
  held_.erase("tenant1", "ka", [](const Value& value) { return value.number > 0; });
  held_.erase("nobody", "ka", [](const Value&) { return true; });
  EXPECT_EQ(held_.size(), 7u);

  held_.erase_if([](const Value& value) { return value.number > 3; });

  EXPECT_EQ(held_.size(), 3u);
  EXPECT_TRUE(put("another", "ka"));
}

TEST(HeldNames, MoreGlobsThanGenerationsHaveRoomForAreEverything) {
  HeldNames<Value> held(10'000);
  const auto answers = [&held](std::string_view key) {
    return held.any("acme", key, {}, [](const Value&) { return true; });
  };
  for (std::size_t i = 0; i < Generations::kGlobsMax; ++i) {
    held.put("acme", "g*:" + std::to_string(i), {1});
  }
  EXPECT_EQ(held.size(), Generations::kGlobsMax);
  EXPECT_FALSE(answers("other"));
  held.put("acme", "g*:0", {1});
  EXPECT_FALSE(answers("other")) << "that one is known";
  held.put("acme", "g*:more", {1});
  EXPECT_TRUE(answers("other"));
  EXPECT_EQ(held.size(), 1U);
}

}  // namespace
}  // namespace redoubt::cache
