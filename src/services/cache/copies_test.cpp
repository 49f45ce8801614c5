// The cache of several instances over one shared tier: its twin does what Redis may do.
#include "services/cache/copies.hpp"

#include "tests/support/cache_copies_fixture.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;
using test::run;
using CacheCopiesTest = test::CacheCopiesFixture;

TEST_F(CacheCopiesTest, WhatOneInstancePutsAnotherFinds) {
  CachePut request{.key = "users:1",
                   .value = "alice",
                   .content_type = "text/plain",
                   .tags = {"users"},
                   .ttl = 60s,
                   .stale_for = 30s};
  const auto result = run(cache(0).put(context_, std::move(request)));
  ASSERT_TRUE(result);
  pass(10s);

  const CacheLookup found = look(1, "users:1");

  EXPECT_EQ(found.state, CacheState::hit);
  EXPECT_EQ(found.entry->value, "alice");
  EXPECT_EQ(found.entry->content_type, "text/plain");
  EXPECT_EQ(found.entry->etag, result->etag);
  EXPECT_EQ(found.entry->tags, std::vector<std::string>{"users"});
  EXPECT_EQ(found.age, 10s);
  EXPECT_EQ(found.ttl, 50s);
  const std::size_t reads = copies_.reads();
  EXPECT_EQ(get(1, "users:1"), "alice");
  EXPECT_EQ(copies_.reads(), reads) << "it is in memory now";
  pass(55s);
  EXPECT_EQ(look(1, "users:1").state, CacheState::stale);
}

// The gap that this closes: an instance that had a value in memory kept it to its end.
TEST_F(CacheCopiesTest, WhatAnotherInstancePutsReplacesWhatIsInMemory) {
  put(0, "a", "old");
  EXPECT_EQ(get(1, "a"), "old");
  put(0, "a", "new");
  EXPECT_EQ(get(1, "a"), "new");
  put(1, "a", "newer");
  EXPECT_EQ(get(0, "a"), "newer");
  EXPECT_TRUE(*run(cache(0).erase(context_, "a")));
  EXPECT_EQ(get(1, "a"), "(none)");
  std::vector<std::string> keys{"a", "b"};
  put(0, "a", "1");
  put(0, "b", "1");
  ASSERT_EQ((*run(cache(1).get_batch(context_, keys)))[1].entry->value, "1");
  put(0, "b", "2");
  EXPECT_EQ((*run(cache(1).get_batch(context_, keys)))[1].entry->value, "2");
}

TEST_F(CacheCopiesTest, AreAskedForOnceWhileNothingChanges) {
  put(0, "a", "value");
  EXPECT_EQ(get(0, "a"), "value");
  EXPECT_EQ(get(1, "a"), "value");
  const std::size_t reads = copies_.reads();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(get(0, "a"), "value");
    EXPECT_EQ(get(1, "a"), "value");
  }
  EXPECT_EQ(copies_.reads(), reads);
}

TEST_F(CacheCopiesTest, AreAskedForAgainWhenTheirConnectionWasLost) {
  put(0, "a", "old");
  put(0, "b", "kept");
  EXPECT_EQ(get(1, "a"), "old");
  EXPECT_EQ(get(1, "b"), "kept");
  copies_.fail(true);
  put(0, "a", "unheard of");
  EXPECT_EQ(get(1, "a"), "old") << "memory answers while Redis is away";
  copies_.fail(false);
  put(0, "a", "new");
  EXPECT_EQ(get(1, "a"), "new");
  copies_.restore({});
  EXPECT_EQ(get(1, "b"), "kept") << "lost copies are no news";
}

TEST_F(CacheCopiesTest, WhatWasErasedElsewhereIsGoneThoughNothingOfItIsLeft) {
  put(0, "a", "value");
  EXPECT_EQ(get(1, "a"), "value");
  EXPECT_TRUE(*run(cache(0).erase(context_, "a")));
  pass(61s);  // Longer than an erasure is remembered in Redis.
  EXPECT_EQ(get(1, "a"), "(none)");
}

TEST_F(CacheCopiesTest, OfAnotherGenerationAreOthers) {
  put(0, "a", "value");
  EXPECT_EQ(get(1, "a"), "value");
  const std::size_t reads = copies_.reads();
  instances_[1]->state.learned(2, clock_.boot());
  EXPECT_EQ(get(1, "a"), "value");
  EXPECT_GT(copies_.reads(), reads);
}

TEST_F(CacheCopiesTest, WithoutBeingToldAnInstanceKeepsWhatItHas) {
  told_ = false;
  start(0);
  start(1);
  put(0, "a", "old");
  EXPECT_EQ(get(1, "a"), "old");
  const std::size_t reads = copies_.reads();
  put(0, "a", "new");
  EXPECT_EQ(get(1, "a"), "old");
  EXPECT_EQ(copies_.reads(), reads);
  EXPECT_EQ(get_anew(1, "a"), "new");
}

// Two instances that are told, over a Redis that works and may lose copies: nobody sees anything
// but the last value that was acknowledged, or nothing.
TEST_F(CacheCopiesTest, ShowTheLastValueInAnyHistoryWhileRedisTells) {
  SeededRandom random(5);
  std::vector<std::string> last(3, "(none)");
  std::size_t from_memory = 0;
  for (int i = 0; i < 5'000; ++i) {
    clock_.advance(Duration(1));
    const std::size_t at = random.below(2);
    const std::size_t key = random.below(last.size());
    const std::string name = "key" + std::to_string(key);
    switch (random.below(10)) {
      case 0:
        last[key] = std::to_string(i);
        put(at, name, last[key]);
        break;
      case 1:
        last[key] = "(none)";
        ASSERT_TRUE(run(cache(at).erase(context_, name)));
        break;
      case 2: {
        shared::MemoryCopies::Values fewer = copies_.values();
        if (!fewer.empty()) fewer.erase(fewer.begin());
        if (random.below(20) == 0 && last[key] != "(none)") copies_.restore(std::move(fewer));
        break;
      }
      default: {
        poll();
        const std::size_t reads = copies_.reads();
        const std::string value = get(at, name);
        if (value != "(none)") ASSERT_EQ(value, last[key]) << "step " << i;
        if (value != "(none)" && copies_.reads() == reads) ++from_memory;
      }
    }
  }
  EXPECT_GT(from_memory, 500U) << "too few to say anything";
}

TEST_F(CacheCopiesTest, AreFoundByABatchInOneGo) {
  put(0, "a", "1");
  put(0, "c", "3");
  std::vector<std::string> keys{"a", "b", "c"};
  const auto found = run(cache(1).get_batch(context_, std::move(keys)));
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].entry->value, "1");
  EXPECT_EQ((*found)[1].state, CacheState::miss);
  EXPECT_EQ((*found)[2].entry->value, "3");
}

TEST_F(CacheCopiesTest, AnInvalidationHoldsForCopiesEverywhereThoughTheyComeBack) {
  put(0, "users:1", "old", {"vip"});
  const auto before = copies_.values();
  for (const auto& clear : std::vector<std::function<void()>>{[&] { invalidate_tag(0, "vip"); },
                                                              [&] {
                                                                CacheInvalidation request;
                                                                request.prefixes = {"users:"};
                                                                invalidate(0, std::move(request));
                                                              },
                                                              [&] {
                                                                CacheInvalidation request;
                                                                request.patterns = {"*:1"};
                                                                invalidate(1, std::move(request));
                                                              }}) {
    put(0, "users:1", "old", {"vip"});
    const auto snapshot = copies_.values();
    clear();
    copies_.restore(snapshot);
    EXPECT_EQ(get(0, "users:1"), "(none)");
    EXPECT_EQ(get(1, "users:1"), "(none)");
  }
  for (int i = 0; i < 4; ++i) {
    next_era();
    copies_.restore(before);
    EXPECT_EQ(get(1, "users:1"), "(none)") << "after " << i + 1 << " eras";
  }
}

TEST_F(CacheCopiesTest, WhatIsPutAfterAnInvalidationIsFoundByOthers) {
  put(0, "a", "first", {"t"});  // The tenant's generations are followed from here on.
  invalidate_tag(0, "t");
  put(0, "a", "second", {"t"});
  EXPECT_EQ(get(1, "a"), "second");
}

TEST_F(CacheCopiesTest, AFillThatBeganBeforeAnInvalidationIsNotKeptAnywhere) {
  CacheGet request{.key = "a", .lease = 10s};
  auto lookup = run(cache(0).get(context_, std::move(request)));
  ASSERT_TRUE(lookup);
  invalidate_tag(1, "t");
  CachePut fill{.key = "a", .value = "old", .tags = {"t"}, .lease = lookup->lease};
  const auto result = run(cache(0).put(context_, std::move(fill)));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, CacheStored::invalidated);
  EXPECT_EQ(get(1, "a"), "(none)");
}

TEST_F(CacheCopiesTest, AnInstanceThatStartsKnowsWhatWasInvalidatedBefore) {
  put(0, "a", "old", {"t"});
  put(0, "b", "kept", {"u"});
  instances_[1].reset();
  invalidate_tag(0, "t");  // The other one does not hear it.
  start(1);
  EXPECT_EQ(get(1, "a"), "(none)");
  EXPECT_EQ(get(1, "b"), "kept");
  put(0, "a", "new", {"t"});
  EXPECT_EQ(get(1, "a"), "new");
}

TEST_F(CacheCopiesTest, OutliveARestartOfAllInstances) {
  put(0, "a", "kept", {"t"});
  put(0, "b", "old", {"u"});
  invalidate_tag(1, "u");
  instances_[0].reset();
  instances_[1].reset();
  start(0);
  start(1);
  EXPECT_EQ(get(1, "a"), "kept");
  EXPECT_EQ(get(0, "b"), "(none)");
  invalidate_tag(1, "t");
  EXPECT_EQ(get_anew(0, "a"), "(none)");
}

// A backup is restored, and generations are given out again: what was seen of those that are lost
// says nothing of the new ones.
TEST_F(CacheCopiesTest, ThatSawWhatTheRecordHasForgottenAreNotTakenAgainstItsNewInvalidations) {
  put(0, "a", "old", {"t"});
  invalidate_tag(0, "other");
  invalidate_tag(0, "another");
  put(0, "a", "old", {"t"});
  put(0, "b", "old", {"u"});
  std::function<Task<void>(record::Unit&)> lose = [](record::Unit& unit) -> Task<void> {
    RD_CO_CHECK(co_await unit.run(sql::Statement{"DELETE FROM rd_cache_generation"}));
    co_return Result<void>{};
  };
  ASSERT_TRUE(run(record_->write_unit(lose)));
  pass(60s);
  start(0);
  EXPECT_EQ(get(0, "b"), "(none)") << "it saw more than there is";
  invalidate_tag(0, "t");
  invalidate_tag(0, "u");
  start(1);
  EXPECT_EQ(get(0, "a"), "(none)");
  EXPECT_EQ(get(1, "a"), "(none)");
  EXPECT_EQ(get(1, "b"), "(none)");
}

TEST_F(CacheCopiesTest, FromBeforeTheRecordMayHaveChangedAreNotTaken) {
  put(0, "a", "old");
  put(0, "b", "old");
  instances_[1]->engine->hear(
      {.kind = record::JournalEntry::Kind::everything, .tenant = {}, .key = {}});
  EXPECT_EQ(get(1, "a"), "(none)") << "the era is not known yet";
  poll();
  EXPECT_EQ(get(1, "a"), "(none)");
  for (int i = 0; i < 20; ++i) next_era();
  EXPECT_EQ(get(1, "b"), "(none)");
  put(0, "a", "new");
  EXPECT_EQ(get(1, "a"), "new");
  for (int i = 0; i < 20; ++i) next_era();
  EXPECT_EQ(get_anew(1, "a"), "new") << "though nobody has read it meanwhile";
}

TEST_F(CacheCopiesTest, ShowNothingOlderThanWhatWasPutHere) {
  put(0, "a", "one");
  put(0, "a", "two");
  EXPECT_EQ(get_anew(0, "a"), "two");
  copies_.fail(true);
  put(0, "a", "three");
  copies_.fail(false);
  EXPECT_EQ(get(0, "a"), "three");
  EXPECT_EQ(get_anew(0, "a"), "(none)") << "what is in Redis is older";
  for (int i = 0; i < 5; ++i) next_era();
  EXPECT_EQ(get_anew(0, "a"), "(none)") << "and stays so";
  pass(1s);
  put(1, "a", "four");
  EXPECT_EQ(get_anew(0, "a"), "four");
}

TEST_F(CacheCopiesTest, AnErasureHoldsForAllWhoAskRedis) {
  put(0, "a", "one");
  EXPECT_TRUE(*run(cache(0).erase(context_, "a")));
  EXPECT_EQ(get(0, "a"), "(none)");
  EXPECT_EQ(get(1, "a"), "(none)");
  put(0, "a", "two");
  EXPECT_EQ(get(1, "a"), "two");
  copies_.fail(true);
  EXPECT_TRUE(*run(cache(0).erase(context_, "a")));
  copies_.fail(false);
  EXPECT_EQ(get(0, "a"), "(none)");
}

TEST_F(CacheCopiesTest, LiveAsLongAsTheirTtlThoughNobodyReadsThem) {
  CachePut lasting{.key = "a", .value = "kept", .tags = {"t"}, .ttl = 3600s};
  ASSERT_TRUE(run(cache(0).put(context_, std::move(lasting))));
  for (int i = 0; i < 11; ++i) {
    pass(300s);
    wait_for_look();
    next_era();
    invalidate_tag(1, "other");
  }
  EXPECT_EQ(get_anew(1, "a"), "kept");
  EXPECT_EQ(look(1, "a").ttl, 300s);
  pass(300s);
  EXPECT_EQ(get(1, "a"), "(none)");
}

TEST_F(CacheCopiesTest, AreSealedUnlessToldOtherwiseAndReadEitherWay) {
  put(0, "a", "in-the-clear");
  ASSERT_EQ(copies_.values().size(), 1U);
  EXPECT_EQ(copies_.values().begin()->second.text.find("in-the-clear"), std::string::npos);
  start(0, false);
  put(0, "a", "in-the-clear");
  EXPECT_NE(copies_.values().begin()->second.text.find("in-the-clear"), std::string::npos);
  EXPECT_EQ(get(1, "a"), "in-the-clear");
}

TEST_F(CacheCopiesTest, ThatWereAlteredAreMisses) {
  put(0, "a", "value");
  const auto values = copies_.values();
  for (std::size_t at = 0; at < values.begin()->second.text.size(); ++at) {
    auto damaged = values;
    damaged.begin()->second.text[at] ^= 1;
    copies_.restore(damaged);
    ASSERT_EQ(get(1, "a"), "(none)") << at;
  }
}

// ---- When Redis comes back ----

class CacheRampTest : public CacheCopiesTest {
 protected:
  shared::SharedState& state(std::size_t at) { return instances_[at]->state; }
  // Instance 1 loses it and has just got it back.
  void lose_and_come_back() {
    state(1).refuse("by the test");
    copies_.fail(true);
    copies_.fail(false);
    while (state(1).status().state != shared::Availability::normal) {
      pass(100ms);
      state(1).canary_answered(true, {});
    }
    ASSERT_FALSE(state(1).all_reads_open());
  }
  // A key whose turn comes late, or at once.
  std::string key(bool late) {
    for (int i = 0;; ++i) {
      std::string name = "key" + std::to_string(i);
      const auto at = instances_[1]->engine->address("acme", name);
      // The part of the names that is open in the middle of the ramp is the same in every ramp.
      if (shared::reads_open(state(1), at.copy()) != late) return name;
    }
  }
  bool is_labelled(std::string name) {
    Downgrades downgrades;
    context_.downgrades = &downgrades;
    look(1, std::move(name));
    context_.downgrades = nullptr;
    return downgrades.any();
  }
};

TEST_F(CacheRampTest, MemoryAnswersUntilTheTurnOfAnEntryHasCome) {
  lose_and_come_back();
  const std::string late = key(true);
  const std::string early = key(false);
  pass(shared::kRamp);
  for (const std::string& name : {late, early}) {
    put(0, name, "value");
    EXPECT_EQ(get(1, name), "value");
    EXPECT_FALSE(is_labelled(name));
  }
  lose_and_come_back();

  std::size_t reads = copies_.reads();
  EXPECT_EQ(get(1, late), "value");
  EXPECT_EQ(copies_.reads(), reads);
  EXPECT_TRUE(is_labelled(late));
  EXPECT_EQ(get(1, early), "value");
  EXPECT_EQ(copies_.reads(), reads + 1);
  EXPECT_FALSE(is_labelled(early));
  std::vector<std::string> keys{late, early};
  EXPECT_EQ((*run(cache(1).get_batch(context_, keys)))[0].entry->value, "value");
  EXPECT_EQ(copies_.reads(), reads + 1);

  pass(shared::kRamp);
  reads = copies_.reads();
  EXPECT_EQ(get(1, late), "value");
  EXPECT_EQ(copies_.reads(), reads + 1);
  EXPECT_FALSE(is_labelled(late));
}

TEST_F(CacheRampTest, WhatIsPutOrErasedWhileRedisIsAwaySaysThatItIsSoHereAlone) {
  const auto labelled_by = [this](auto&& change) {
    Downgrades downgrades;
    context_.downgrades = &downgrades;
    change();
    context_.downgrades = nullptr;
    return downgrades.has(Downgrade::cache_local);
  };
  const auto changes = [this] {
    put(1, "a", "value");
    EXPECT_TRUE(*run(cache(1).erase(context_, "a")));
  };
  EXPECT_FALSE(labelled_by(changes));
  state(1).refuse("by the test");
  EXPECT_TRUE(labelled_by([this] { put(1, "a", "value"); }));
  EXPECT_TRUE(labelled_by([this] { EXPECT_TRUE(*run(cache(1).erase(context_, "a"))); }));
}

TEST_F(CacheRampTest, WhatWasInvalidatedIsNotShownNorWhatRedisToldToHaveChanged) {
  lose_and_come_back();
  const std::string late = key(true);
  pass(shared::kRamp);
  put(0, late, "old", {"t"});
  EXPECT_EQ(get(1, late), "old");
  lose_and_come_back();

  put(0, late, "new", {"t"});
  EXPECT_EQ(get(1, late), "new");
  invalidate_tag(0, "t");
  EXPECT_EQ(get(1, late), "(none)");
}

TEST_F(CacheRampTest, EachInstanceFillsForItselfAsWhileRedisIsAway) {
  lose_and_come_back();
  const std::string late = key(true);
  CacheGet request{.key = late, .lease = 10s};
  EXPECT_FALSE(run(cache(0).get(context_, request))->lease.empty());
  const auto lookup = run(cache(1).get(context_, request));
  ASSERT_FALSE(lookup->lease.empty()) << "it does not wait for the other one";
  CachePut fill{.key = late, .value = "value", .lease = lookup->lease};
  EXPECT_EQ(run(cache(1).put(context_, std::move(fill)))->outcome, CacheStored::stored);
  EXPECT_EQ(get(0, late), "value");
}

TEST_F(CacheCopiesTest, WithoutRedisItIsTheCacheOfOneInstance) {
  copies_.fail(true);
  put(0, "a", "value");
  EXPECT_EQ(get(0, "a"), "value");
  EXPECT_EQ(get(1, "a"), "(none)");
  clock_.advance(shared::kViewLife);
  EXPECT_EQ(get(0, "a"), "value") << "from memory, without asking";
}

// Anything in any order, on two instances, with a Redis that forgets, fails and goes back in time.
// The values count the invalidations of their tag: none that is lower may be found after one was
// acknowledged; and of one that was put here, none that was put before.
TEST_F(CacheCopiesTest, NeverShowWhatWasInvalidatedInAnyHistory) {
  SeededRandom random(3);
  constexpr std::size_t kKeys = 4;
  std::vector<int> generation(kKeys, 0);
  std::vector<shared::MemoryCopies::Values> snapshots(1);
  std::size_t found_elsewhere = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::size_t at = random.below(2);
    const std::size_t key = random.below(kKeys);
    const std::string name = "key" + std::to_string(key);
    const std::string tag = "tag" + std::to_string(key);
    switch (random.below(12)) {
      case 0:
        ++generation[key];
        invalidate_tag(at, tag);
        break;
      case 1:
      case 2:
        put(at, name, std::to_string(generation[key]), {tag});
        break;
      case 3:
        snapshots.push_back(copies_.values());
        break;
      case 4:
        copies_.restore(snapshots[random.below(snapshots.size())]);
        break;
      case 5:
        copies_.fail(random.below(12) == 0);
        break;
      case 6:
        if (random.below(40) == 0) start(at);
        break;
      case 7:
        if (random.below(12) == 0) ++era_;
        poll();
        break;
      default: {
        const std::size_t reads = copies_.reads();
        const std::string value = random.below(2) == 0 ? get(at, name) : get_anew(at, name);
        if (value == "(none)") break;
        ASSERT_EQ(value, std::to_string(generation[key])) << "step " << i;
        if (copies_.reads() > reads) ++found_elsewhere;
      }
    }
  }
  EXPECT_GT(found_elsewhere, 100U) << "too few to say anything";
}

TEST(CacheCopyFormat, IsReadAsItWasWritten) {
  CacheCopy copy;
  copy.entry.key = "k";
  copy.entry.value = std::string("\0v", 2);
  copy.entry.tags = {"a", "b"};
  copy.entry.negative = true;
  copy.entry.consistency = CacheConsistency::ttl;
  copy.seen = 4;
  copy.era = 5;
  copy.stored_at = WallTime{6};
  copy.fresh = 7ms;
  copy.stale = 8ms;
  copy.error = 9ms;
  const Bytes packed = pack_copy(copy);
  const auto read = unpack_copy(packed);
  ASSERT_TRUE(read);
  EXPECT_EQ(pack_copy(*read), packed);
  EXPECT_EQ(read->entry.tags, copy.entry.tags);
  EXPECT_EQ(read->entry.consistency, CacheConsistency::ttl);
  for (std::size_t n = 0; n < packed.size(); ++n) {
    EXPECT_FALSE(unpack_copy(ByteView(packed).first(n))) << n;
  }
}

}  // namespace
}  // namespace redoubt::cache
