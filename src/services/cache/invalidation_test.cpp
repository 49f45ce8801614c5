// What an invalidation reaches, what it costs, and what survives it.
#include "tests/support/cache_fixture.hpp"
#include "tests/support/refusing_record.hpp"

#include "record/cache_rows.hpp"
#include "services/cache/generations.hpp"

#include <gtest/gtest.h>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;

using InvalidationTest = test::CacheFixture;

TEST_F(InvalidationTest, ATagReachesItsEntriesOnly) {
  put({.key = "a", .value = "v", .tags = {"red", "blue"}});
  put({.key = "b", .value = "v", .tags = {"blue"}});
  put({.key = "red", .value = "v"});
  CacheInvalidation request;
  request.tags = {"red"};

  invalidate(request);

  EXPECT_EQ(state("a"), CacheState::miss);
  EXPECT_EQ(state("b"), CacheState::hit);
  EXPECT_EQ(state("red"), CacheState::hit);
}

TEST_F(InvalidationTest, APrefixEndsAtItsSegment) {
  put("users:42", "v");
  put("users:42:profile", "v");
  put("users:420:profile", "v");
  put("users", "v");

  invalidate_pattern("users:42:*");
  EXPECT_EQ(state("users:42"), CacheState::hit);
  EXPECT_EQ(state("users:42:profile"), CacheState::miss);
  EXPECT_EQ(state("users:420:profile"), CacheState::hit);

  invalidate_pattern("users:*");
  EXPECT_EQ(state("users:42"), CacheState::miss);
  EXPECT_EQ(state("users:420:profile"), CacheState::miss);
  EXPECT_EQ(state("users"), CacheState::hit);
}

TEST_F(InvalidationTest, PrefixesDeeperThanFourSegmentsWorkToo) {
  put("a:b:c:d:e:f", "v");
  put("a:b:c:d:x:f", "v");
  CacheInvalidation request;
  request.prefixes = {"a:b:c:d:e:"};

  invalidate(request);

  EXPECT_EQ(state("a:b:c:d:e:f"), CacheState::miss);
  EXPECT_EQ(state("a:b:c:d:x:f"), CacheState::hit);
}

TEST_F(InvalidationTest, AGlobReachesWhatItMatches) {
  put("agents:1:stats", "v");
  put("agents:1:stats2", "v");
  put("abc", "v");

  invalidate_pattern("*:stats");
  invalidate_pattern("a?c*");

  EXPECT_EQ(state("agents:1:stats"), CacheState::miss);
  EXPECT_EQ(state("agents:1:stats2"), CacheState::hit);
  EXPECT_EQ(state("abc"), CacheState::miss);
  put("abc", "new");
  EXPECT_EQ(value("abc"), "new");
}

TEST_F(InvalidationTest, AnInvalidatedValueIsNotServedStaleEither) {
  put({.key = "users:1", .value = "v", .ttl = 10s, .stale_for = 1h, .stale_if_error = 1h});
  clock_.advance(11s);
  EXPECT_EQ(state("users:1"), CacheState::stale);

  invalidate_pattern("users:*");

  EXPECT_EQ(state("users:1"), CacheState::miss);
}

TEST_F(InvalidationTest, EverythingIsEverythingOfTheTenant) {
  put("a", "v");
  put_as(other_, {.key = "a", .value = "v"});
  CacheInvalidation request;
  request.everything = true;

  EXPECT_TRUE(invalidate(request).everything);

  EXPECT_EQ(state("a"), CacheState::miss);
  EXPECT_EQ(get_as(other_, "a").state, CacheState::hit);
}

class ManyKeysTest : public test::CacheFixture {
 protected:
  ManyKeysTest() : CacheFixture(roomy()) {}
  static CacheOptions roomy() {
    CacheOptions options = no_jitter();
    options.entries_max = 200'000;
    return options;
  }
};

TEST_F(ManyKeysTest, AnInvalidationCostsOneRowAndNoLookAtAnyOfAHundredThousandKeys) {
  for (int i = 0; i < 100'000; ++i) put("users:" + std::to_string(i), "");
  ASSERT_EQ(cache_->stats(context_).entries, 100'000u);
  const auto writes = record_->status().writes;

  const CacheInvalidated done = invalidate_pattern("users:*");

  EXPECT_EQ(done.bumped, 1u);
  EXPECT_EQ(record_->status().writes, writes + 1);
  // No entry was touched: all are still there, and none can be read.
  EXPECT_EQ(cache_->stats(context_).entries, 100'000u);
  EXPECT_EQ(state("users:77777"), CacheState::miss);
  EXPECT_EQ(cache_->stats(context_).entries, 99'999u);
}

TEST_F(InvalidationTest, GenerationsGrowWithEveryCallWhateverIsNamed) {
  const auto first = invalidate_pattern("a:*").generation;
  const auto second = invalidate_pattern("*b").generation;
  CacheInvalidation several;
  several.tags = {"x", "y"};
  several.patterns = {"a:*"};
  const CacheInvalidated third = invalidate(several);

  EXPECT_LT(first, second);
  EXPECT_EQ(third.bumped, 3u);
  EXPECT_EQ(third.generation, second + 3);
}

TEST_F(InvalidationTest, NamesGivenTwiceAreBumpedOnce) {
  CacheInvalidation request;
  request.tags = {"x", "x"};
  request.prefixes = {"users:"};
  request.patterns = {"users:*"};

  EXPECT_EQ(invalidate(request).bumped, 2u);
}

TEST_F(InvalidationTest, GlobsBeyondTheirNumberBecomeEverything) {
  put("kept", "v");
  for (std::size_t i = 0; i < Generations::kGlobsMax; ++i) {
    ASSERT_FALSE(invalidate_pattern("*" + std::to_string(i) + "?").everything);
  }
  EXPECT_EQ(state("kept"), CacheState::hit);

  EXPECT_TRUE(invalidate_pattern("one*more").everything);
  EXPECT_EQ(state("kept"), CacheState::miss);
  EXPECT_FALSE(invalidate_pattern("yet*another").everything);
}

TEST_F(InvalidationTest, HostilePatternsAreHarmlessOrRefused) {
  const std::string key(512, 'a');
  put(key, "v");

  invalidate_pattern("[");
  invalidate_pattern("\\");
  invalidate_pattern("[a-z]*");
  invalidate_pattern("{a,b}");
  std::string stars;
  for (int i = 0; i < 340; ++i) stars += "*a?";
  invalidate_pattern(stars + "b");
  EXPECT_EQ(state(key), CacheState::hit);

  CacheInvalidation too_long;
  too_long.patterns = {std::string(64 << 10, 'a')};
  const auto refused = test::run(cache_->invalidate(context_, too_long));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fields[0].location, "patterns");

  invalidate_pattern(std::string(1'000, '*'));
  EXPECT_EQ(state(key), CacheState::miss);
}

TEST_F(InvalidationTest, EmptyAndOverfullCallsAreRefused) {
  EXPECT_FALSE(test::run(cache_->invalidate(context_, {})));
  CacheInvalidation many;
  many.tags.assign(65, "t");
  EXPECT_FALSE(test::run(cache_->invalidate(context_, many)));
}

TEST_F(InvalidationTest, ClearingIsAuditedAndInvalidatingIsNot) {
  invalidate_pattern("a:*");
  CacheInvalidation request;
  request.everything = true;
  invalidate(request);

  std::function<Task<sql::Rows>(sql::Transaction&)> count = [](sql::Transaction& tx) {
    static constexpr sql::Statement kCount{"SELECT action FROM rd_audit WHERE tenant = 'acme'"};
    return tx.run(kCount);
  };
  const auto rows = test::run(record_->read(count));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].text(0), "cache.cleared");
}

TEST_F(InvalidationTest, ARestartedProcessGoesOnCountingWhereTheRecordStopped) {
  const auto before = invalidate_pattern("users:*").generation;
  auto engine = make_cache_engine(no_jitter(), *record_, clock_, random_, metrics_);
  record_->subscribe(cache_listener(engine));
  const auto restarted = make_cache(engine, *record_, timers_, null_log());

  EXPECT_EQ(test::run(restarted->get(context_, CacheGet{.key = "users:1"}))->state,
            CacheState::miss);
  CacheInvalidation request;
  request.tags = {"t"};
  EXPECT_GT(test::run(restarted->invalidate(context_, request))->generation, before);
}

TEST_F(InvalidationTest, ErasingEverywhereIsHeardByOtherInstances) {
  auto engine = make_cache_engine(no_jitter(), *record_, clock_, random_, metrics_);
  record_->subscribe(cache_listener(engine));
  const auto elsewhere = make_cache(engine, *record_, timers_, null_log());
  for (const std::string key : {"a*?:b", "a*?:c"}) {
    put(key, "v");
    ASSERT_TRUE(test::run(elsewhere->put(context_, CachePut{.key = key, .value = "v"})));
  }
  const auto there = [&](const std::string& key) {
    return test::run(elsewhere->inspect(context_, key))->state;
  };

  ASSERT_TRUE(*test::run(cache_->erase(context_, "a*?:c")));
  EXPECT_EQ(there("a*?:c"), CacheState::hit) << "not unless it is asked for";
  EXPECT_TRUE(test::run(cache_->erase_everywhere(context_, "a*?:b"))->was_there);

  EXPECT_EQ(state("a*?:b"), CacheState::miss);
  EXPECT_EQ(there("a*?:b"), CacheState::miss);
  EXPECT_EQ(there("a*?:c"), CacheState::hit) << "no other key";
  EXPECT_FALSE(test::run(cache_->erase_everywhere(context_, "a*?:b"))->was_there);
}

TEST_F(InvalidationTest, NoEntryAnswersWhileTheJournalIsNotFollowed) {
  test::RefusingRecord following(*record_);
  auto engine = make_cache_engine(no_jitter(), following, clock_, random_, metrics_);
  const auto cache = make_cache(engine, following, timers_, null_log());
  ASSERT_TRUE(test::run(cache->put(context_, CachePut{.key = "k", .value = "v"})));
  const auto state = [&] { return test::run(cache->get(context_, CacheGet{.key = "k"}))->state; };
  ASSERT_EQ(state(), CacheState::hit);

  following.stop_following(clock_.boot());
  EXPECT_EQ(state(), CacheState::miss) << "somebody may have invalidated it meanwhile";

  following.stop_following(clock_.boot() + 2s);
  EXPECT_EQ(state(), CacheState::hit) << "nobody had";
}

TEST_F(InvalidationTest, AnEntryThatLivesByItsTtlAloneAnswersThenAndSaysSo) {
  test::RefusingRecord following(*record_);
  auto engine = make_cache_engine(no_jitter(), following, clock_, random_, metrics_);
  following.subscribe(cache_listener(engine));
  const auto cache = make_cache(engine, following, timers_, null_log());
  CachePut request{.key = "k",
                   .value = "v",
                   .tags = {"t"},
                   .ttl = 10s,
                   .stale_for = 10s,
                   .consistency = CacheConsistency::ttl};
  ASSERT_TRUE(test::run(cache->put(context_, std::move(request))));
  Downgrades downgrades;
  context_.downgrades = &downgrades;
  const auto state = [&] { return test::run(cache->get(context_, CacheGet{.key = "k"}))->state; };
  EXPECT_EQ(state(), CacheState::hit);
  ASSERT_FALSE(downgrades.any());

  following.stop_following(clock_.boot());
  EXPECT_EQ(state(), CacheState::hit);
  EXPECT_TRUE(downgrades.has(Downgrade::cache_unheard));
  clock_.advance(15s);
  EXPECT_EQ(state(), CacheState::stale);
  CacheInvalidation heard;
  heard.tags = {"t"};
  context_.downgrades = nullptr;
  invalidate(heard);
  EXPECT_EQ(state(), CacheState::miss) << "what is heard counts, then too";
}

TEST_F(InvalidationTest, SweepingGenerationsNeverMakesOneRepeat) {
  for (int i = 0; i < 5; ++i) invalidate_pattern("a" + std::to_string(i) + ":*");
  CacheInvalidation everything;
  everything.everything = true;
  const auto cleared = invalidate(everything).generation;

  const auto swept = test::run(cache_->sweep(100));
  EXPECT_EQ(*swept, 5) << "rows that clearing has made meaningless";

  EXPECT_EQ(invalidate_pattern("b:*").generation, cleared + 1);
  clock_.advance(24h * 365);
  EXPECT_EQ(*test::run(cache_->sweep(100)), 1) << "all but the newest row";
  EXPECT_EQ(invalidate_pattern("c:*").generation, cleared + 2);
}

TEST_F(InvalidationTest, OneSweepDeletesManyBatchesOfOldGenerations) {
  for (int i = 0; i < 55; ++i) invalidate_pattern("a" + std::to_string(i) + ":*");
  clock_.advance(24h * 365);

  EXPECT_EQ(*test::run(cache_->sweep(10)), 54) << "all but the newest row";
}

TEST_F(InvalidationTest, WhileTheRecordIsAwayNothingIsInvalidated) {
  put("users:1", "v");
  record_->stop();

  CacheInvalidation request;
  request.patterns = {"users:*"};
  const auto refused = test::run(cache_->invalidate(context_, request));

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  EXPECT_EQ(state("users:1"), CacheState::hit);
}

}  // namespace
}  // namespace redoubt::cache
