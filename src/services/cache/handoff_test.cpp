// What is put and erased while the shared tier takes nothing, and what becomes of it afterwards.
#include "services/cache/hints.hpp"
#include "tests/support/cache_copies_fixture.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;
using test::run;

class HandoffTest : public test::CacheCopiesFixture {
 protected:
  std::int64_t hand_over(std::size_t at, std::size_t batch = 1'000) {
    const auto done = run(cache(at).hand_over(batch));
    EXPECT_TRUE(done);
    return done ? *done : -1;
  }
  void erase(std::size_t at, std::string key) {
    ASSERT_TRUE(run(cache(at).erase(context_, std::move(key))));
  }
  std::size_t hints(std::size_t at) { return instances_[at]->engine->hints().size(); }
  bool counted(std::string_view result, int count) {
    const std::string line = fmt::format("redoubt_cache_handoffs_total{{result=\"{}\"}} {}\n",
                                         result, count);
    return instances_[0]->metrics.prometheus_text().contains(line);
  }
  // What was put on 0 while Redis took nothing.
  void put_without_redis(std::string key, std::string value) {
    copies_.fail(true);
    put(0, std::move(key), std::move(value));
    copies_.fail(false);
  }
};

TEST_F(HandoffTest, WhatWasPutAndErasedWithoutRedisIsSoForAllWhenItIsBack) {
  put(0, "put", "old");
  put(0, "erased", "old");
  copies_.fail(true);
  put(0, "put", "new");
  erase(0, "erased");
  copies_.fail(false);
  ASSERT_EQ(get_anew(1, "put"), "old") << "it has not been handed over yet";
  ASSERT_EQ(hints(0), 2U);

  EXPECT_EQ(hand_over(0), 2);

  EXPECT_EQ(hints(0), 0U);
  EXPECT_TRUE(counted("handed_over", 2));
  EXPECT_EQ(get_anew(1, "put"), "new");
  EXPECT_EQ(get_anew(1, "erased"), "(none)");
  EXPECT_EQ(hand_over(0), 0) << "once is enough";
}

TEST_F(HandoffTest, NothingOlderComesBackHereBeforeItIsHandedOver) {
  put(0, "a", "old");
  put_without_redis("a", "new");
  EXPECT_EQ(get_anew(0, "a"), "(none)") << "memory lost it, and Redis has the old one";
}

TEST_F(HandoffTest, OfWhatMemoryHasLostThereIsNothingRatherThanSomethingOlder) {
  put(0, "a", "old");
  copies_.fail(true);
  put(0, "a", "new");
  instances_[0]->engine->erase(instances_[0]->engine->address("acme", "a"));
  copies_.fail(false);
  EXPECT_EQ(hand_over(0), 1);
  EXPECT_EQ(get_anew(1, "a"), "(none)");
  EXPECT_EQ(get_anew(0, "a"), "(none)");
}

TEST_F(HandoffTest, ANewerOneElsewhereWins) {
  put_without_redis("a", "meanwhile");
  clock_.advance(1ms);
  put(1, "a", "newer");
  EXPECT_EQ(hand_over(0), 1);
  EXPECT_EQ(get_anew(1, "a"), "newer");
  EXPECT_EQ(get(0, "a"), "newer");
}

TEST_F(HandoffTest, AfterAWhileOnlyThatItIsGoneIsHandedOver) {
  put(0, "a", "old");
  copies_.fail(true);
  put(0, "a", "new");
  pass(11s);
  copies_.fail(false);
  EXPECT_EQ(hand_over(0), 1);
  EXPECT_EQ(get_anew(1, "a"), "(none)");
  EXPECT_EQ(get(0, "a"), "new");
}

TEST_F(HandoffTest, WhatWasErasedOrReplacedElsewhereDoesNotComeBack) {
  for (const Duration meanwhile : {Duration(5'000), Duration(70'000)}) {
    copies_.fail(true);
    put(0, "erased", "1");
    put(0, "replaced", "1");
    copies_.fail(false);
    clock_.advance(1ms);
    erase(1, "erased");
    CachePut brief{.key = "replaced", .value = "2", .ttl = 1s};
    ASSERT_TRUE(run(cache(1).put(context_, std::move(brief))));
    pass(meanwhile);  // What replaced them is over, or forgotten.
    EXPECT_EQ(hand_over(0), 2);
    EXPECT_EQ(get_anew(1, "erased"), "(none)") << meanwhile.count();
    EXPECT_EQ(get_anew(1, "replaced"), "(none)") << meanwhile.count();
  }
}

TEST_F(HandoffTest, WhatIsBeingReadMeanwhileIsNotKept) {
  put(0, "a", "old");
  CacheEngine& engine = *instances_[0]->engine;
  const Address at = engine.address("acme", "a");
  copies_.fail(true);
  erase(0, "a");
  copies_.fail(false);
  const CacheEngine::Watch before = engine.watch(at);
  auto old = std::make_shared<Entry>();
  old->key = "a";
  old->era = era_;
  old->version = 1;
  old->stored_at = clock_.boot();
  old->fresh_until = old->stale_until = old->error_until = clock_.boot() + 60s;
  EXPECT_EQ(hand_over(0), 1);
  engine.adopt(at, old, before);
  EXPECT_EQ(engine.inspect(at).state, CacheState::miss);
  engine.adopt(at, old, engine.watch(at));
  EXPECT_EQ(engine.inspect(at).state, CacheState::hit) << "it is the order that counts";
}

TEST_F(HandoffTest, WhileRedisIsTurnedOffNothingIsKeptForIt) {
  put(0, "a", "old");
  instances_[0]->state.turn_off("by the test");
  put(0, "a", "new");
  EXPECT_EQ(hints(0), 0U);
  instances_[0]->state.turn_on();
  while (!instances_[0]->state.usable()) {
    pass(100ms);
    instances_[0]->state.canary_answered(true, {});
  }
  pass(shared::kRamp);
  EXPECT_EQ(get_anew(0, "a"), "(none)") << "nothing older than what was put here";
}

TEST_F(HandoffTest, OneThatIsNotTakenHoldsUpNoOtherAndIsGivenUpAsAValue) {
  put(0, "large", "old");
  copies_.fail(true);
  put(0, "large", "new");
  for (int i = 0; i < 20; ++i) put(0, "key" + std::to_string(i), "value");
  copies_.fail(false);
  copies_.refuse("large");

  EXPECT_EQ(hand_over(0), 20);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(hand_over(0), 0);
  EXPECT_EQ(hints(0), 1U);

  copies_.refuse({});
  EXPECT_EQ(hand_over(0), 1);
  EXPECT_EQ(get_anew(1, "large"), "(none)") << "it may be its size";
}

TEST_F(HandoffTest, WhatWasInvalidatedMeanwhileIsNotShownByIt) {
  copies_.fail(true);
  put(0, "a", "value", {"t"});
  invalidate_tag(1, "t");
  copies_.fail(false);
  EXPECT_EQ(hand_over(0), 1);
  EXPECT_EQ(get_anew(1, "a"), "(none)");
  EXPECT_EQ(get(0, "a"), "(none)");
}

TEST_F(HandoffTest, IsNotTriedWhileRedisTakesNothing) {
  copies_.fail(true);
  put(0, "a", "1");
  put(0, "b", "1");
  EXPECT_EQ(hand_over(0), 0);
  EXPECT_EQ(hints(0), 2U);
  copies_.fail(false);
  instances_[0]->state.canary_answered(true, {}, "it is full");
  ASSERT_TRUE(instances_[0]->state.usable());
  EXPECT_EQ(hand_over(0), 0);
  instances_[0]->state.canary_answered(true, {});
  EXPECT_EQ(hand_over(0, 1), 1);
  EXPECT_EQ(hand_over(0, 1), 1);
  EXPECT_EQ(get(1, "b"), "1");
}

TEST_F(HandoffTest, WhatWasNotToBeReadBeforeIsReadAfterwards) {
  put(0, "quiet", "value");
  copies_.fail(true);
  for (int i = 0; i < 3'000; ++i) put(0, "key" + std::to_string(i), "value");
  copies_.fail(false);
  while (hand_over(0) > 0) continue;
  EXPECT_EQ(get_anew(0, "quiet"), "value") << "an outage costs only what was put meanwhile";
}

TEST_F(HandoffTest, BeyondItsBoundKeysAreCountedAndNothingOlderIsShownHere) {
  put(0, "last", "old");
  copies_.fail(true);
  for (std::size_t i = 0; i < Hints::kHintsMax; ++i) erase(0, "key" + std::to_string(i));
  ASSERT_TRUE(counted("dropped", 0));
  put(0, "last", "new");
  EXPECT_TRUE(counted("dropped", 1));
  EXPECT_EQ(hints(0), Hints::kHintsMax);
  copies_.fail(false);
  EXPECT_EQ(get_anew(0, "last"), "(none)");
}

// Two instances that put and erase while Redis comes and goes: once both have handed over, either
// shows the last value, from Redis as from memory.
TEST_F(HandoffTest, ShowsTheLastValueAfterAnyHistory) {
  SeededRandom random(11);
  std::vector<std::string> last(4, "(none)");
  std::size_t handed_over = 0;
  for (int i = 0; i < 4'000; ++i) {
    clock_.advance(1ms);
    poll();
    const std::size_t at = random.below(2);
    const std::size_t key = random.below(last.size());
    const std::string name = "key" + std::to_string(key);
    switch (random.below(8)) {
      case 0:
      case 1:
        last[key] = std::to_string(i);
        put(at, name, last[key]);
        break;
      case 2:
        last[key] = "(none)";
        erase(at, name);
        break;
      case 3:
        copies_.fail(random.below(2) == 0);
        break;
      case 4: {
        copies_.fail(false);
        for (const std::size_t each : {0U, 1U}) {
          handed_over += static_cast<std::size_t>(hand_over(each));
        }
        ASSERT_EQ(get(at, name), last[key]) << "step " << i;
        ASSERT_EQ(get_anew(at, name), last[key]) << "step " << i;
        break;
      }
      default:
        get(at, name);
    }
  }
  EXPECT_GT(handed_over, 100U);
}

TEST(HintsTest, AllAreOfferedInTurn) {
  Metrics metrics;
  Hints hints(metrics);
  for (std::uint64_t id : {1U, 2U, 3U}) {
    hints.add({.id = {id, id}, .tenant = "acme", .key = std::to_string(id), .version = 1});
  }
  std::string offered;
  for (int i = 0; i < 4; ++i) offered += hints.next(1)[0].key;
  EXPECT_EQ(offered, "1231");
  EXPECT_EQ(hints.next(10).size(), 3U);
}

TEST(HintsTest, OneThatBecameNewerMeanwhileStays) {
  Metrics metrics;
  Hints hints(metrics);
  hints.add({.id = {1, 1}, .tenant = "acme", .key = "a", .version = 1});
  const std::vector<Hint> taken = hints.next(10);
  ASSERT_EQ(taken.size(), 1U);
  hints.add({.id = {1, 1}, .tenant = "acme", .key = "a", .version = 2});
  hints.handed_over(taken[0]);
  EXPECT_EQ(hints.version_of({1, 1}), 2);
  hints.handed_over(hints.next(10)[0]);
  EXPECT_EQ(hints.version_of({1, 1}), 0);
}

}  // namespace
}  // namespace redoubt::cache
