// Ages, states, bounds and tenants.
#include "tests/support/cache_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;

using CacheTest = test::CacheFixture;

TEST_F(CacheTest, GivesBackWhatWasPutWithItsTypeAndTags) {
  put({.key = "agent:42",
       .value = std::string("\0\xff binary", 9),
       .content_type = "image/png",
       .tags = {"agents", "red"}});

  const CacheLookup lookup = get("agent:42");

  ASSERT_EQ(lookup.state, CacheState::hit);
  EXPECT_EQ(lookup.entry->value, std::string("\0\xff binary", 9));
  EXPECT_EQ(lookup.entry->content_type, "image/png");
  EXPECT_EQ(lookup.entry->tags, (std::vector<std::string>{"agents", "red"}));
  EXPECT_EQ(lookup.entry->etag.size(), 32u);
}

TEST_F(CacheTest, AnEntryEndsExactlyWithItsTtl) {
  put({.key = "k", .value = "v", .ttl = 10s});
  clock_.advance(4s);
  EXPECT_EQ(get("k").age, 4s);
  EXPECT_EQ(get("k").ttl, 6s);

  clock_.advance(6s - 1ns);
  EXPECT_EQ(state("k"), CacheState::hit);
  clock_.advance(1ns);
  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, TheDefaultTtlIsThatOfTheOptions) {
  EXPECT_EQ(put("k", "v").ttl, 3600s);
}

TEST_F(CacheTest, JumpsOfTheWallClockChangeNothing) {
  put({.key = "k", .value = "v", .ttl = 10s});

  clock_.jump_wall(24h);
  EXPECT_EQ(state("k"), CacheState::hit);
  clock_.jump_wall(-48h);
  clock_.advance(10s);
  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, AStaleValueIsServedForItsGraceAndSaysSo) {
  put({.key = "k", .value = "v", .ttl = 10s, .stale_for = 5s});

  clock_.advance(12s);
  EXPECT_EQ(state("k"), CacheState::stale);
  EXPECT_EQ(get("k").ttl, 0s);
  clock_.advance(3s);
  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, AValueKeptForErrorsAloneIsAMissWhileNothingFails) {
  put({.key = "k", .value = "v", .ttl = 10s, .stale_if_error = 60s});

  clock_.advance(12s);

  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, ANegativeEntryIsToldFromAHitAndEndsLikeOne) {
  put({.key = "k", .value = "", .ttl = 10s, .negative = true});

  EXPECT_EQ(state("k"), CacheState::negative);
  clock_.advance(10s);
  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, EqualValuesOfEqualTypeHaveEqualEtags) {
  const auto etag = [&](std::string key, std::string value, std::string type) {
    return put({.key = std::move(key), .value = std::move(value), .content_type = std::move(type)})
        .etag;
  };

  EXPECT_EQ(etag("a", "v", "text/plain"), etag("b", "v", "text/plain"));
  EXPECT_NE(etag("a", "v", "text/plain"), etag("a", "w", "text/plain"));
  EXPECT_NE(etag("a", "v", "text/plain"), etag("a", "v", "text/html"));
}

TEST_F(CacheTest, TheSameKeyOfTwoTenantsIsTwoEntriesInEveryCall) {
  put_as(context_, {.key = "k", .value = "ours", .tags = {"t"}});
  put_as(other_, {.key = "k", .value = "theirs", .tags = {"t"}});
  EXPECT_EQ(get_as(context_, "k").entry->value, "ours");
  EXPECT_EQ(get_as(other_, "k").entry->value, "theirs");

  const auto page = test::run(cache_->list(other_, "*", 10, ""));
  ASSERT_EQ(page->keys.size(), 1u);
  const auto batch = test::run(cache_->get_batch(other_, {"k"}));
  EXPECT_EQ((*batch)[0].entry->value, "theirs");
  EXPECT_EQ(cache_->stats(other_).entries, 1u);

  CacheInvalidation all;
  all.everything = true;
  invalidate(all);
  EXPECT_EQ(get_as(context_, "k").state, CacheState::miss);
  EXPECT_EQ(get_as(other_, "k").state, CacheState::hit);

  EXPECT_FALSE(*test::run(cache_->erase(context_, "k")));
  EXPECT_EQ(get_as(other_, "k").state, CacheState::hit);
  const std::string token = lease("k");
  CacheRelease stolen{.key = "k", .lease = token};
  EXPECT_FALSE(test::run(cache_->release(other_, stolen))->released);
  CachePut foreign{.key = "k", .value = "forged", .lease = token};
  EXPECT_EQ(put_as(other_, foreign).outcome, CacheStored::lease_lost);
  EXPECT_EQ(get_as(other_, "k").entry->value, "theirs");
}

TEST_F(CacheTest, EraseSaysWhetherThereWasSomethingToErase) {
  put("k", "v");

  EXPECT_TRUE(*test::run(cache_->erase(context_, "k")));
  EXPECT_FALSE(*test::run(cache_->erase(context_, "k")));
  EXPECT_EQ(state("k"), CacheState::miss);
}

TEST_F(CacheTest, KeysOfEveryOddKindWorkOrAreRefusedWithTheReason) {
  for (const char* good :
       {":", "::::::", "*", "a*b?c\\", "{}", "{a}:b", "[", "grüße", "a b", "/"}) {
    put(good, "v");
    EXPECT_EQ(state(good), CacheState::hit) << good;
  }
  const std::vector<std::pair<std::string, std::string>> bad{{"", "length"},
                                                             {std::string("a\0b", 3), "format"},
                                                             {"a\rb", "format"},
                                                             {"a\nb", "format"},
                                                             {"\x7f", "format"},
                                                             {"\xff\xfe", "format"},
                                                             {std::string(513, 'k'), "length"},
                                                             {std::string(1 << 20, 'k'), "length"}};
  for (const auto& [key, code] : bad) {
    const auto result = test::run(cache_->get(context_, CacheGet{.key = key}));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    ASSERT_EQ(result.error().fields.size(), 1u);
    EXPECT_EQ(result.error().fields[0].location, "key");
    EXPECT_EQ(result.error().fields[0].code, code);
    EXPECT_LT(result.error().fields[0].detail.size(), 200u);
    EXPECT_FALSE(test::run(cache_->put(context_, CachePut{.key = key})));
    EXPECT_FALSE(test::run(cache_->erase(context_, key)));
    EXPECT_FALSE(test::run(cache_->inspect(context_, key)));
  }
}

TEST_F(CacheTest, RefusesPutsOutOfTheirRanges) {
  const auto refused = [&](CachePut request) {
    const auto result = test::run(cache_->put(context_, std::move(request)));
    return result ? std::string("accepted") : std::string(slug_of(result.error()));
  };
  EXPECT_EQ(refused({.key = "k", .ttl = 0s}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .ttl = 24h * 31}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .stale_for = -1s}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .tags = {"a,b"}}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .tags = std::vector<std::string>(17, "t")}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .content_type = "text/plain\r\nX: y"}), "invalid_argument");
  EXPECT_EQ(refused({.key = "k", .value = std::string((1u << 20) + 1, 'v')}),
            "cache_value_too_large");
  EXPECT_EQ(refused({.key = "k", .value = std::string(1u << 20, 'v')}), "accepted");
}

TEST_F(CacheTest, BatchesKeepTheOrderAndAreCheckedWhole) {
  std::vector<CachePut> puts{{.key = "a", .value = "1"}, {.key = "b", .value = "2"}};
  EXPECT_EQ(test::run(cache_->put_batch(context_, puts))->size(), 2u);

  const auto found = test::run(cache_->get_batch(context_, {"b", "nothing", "a"}));
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ((*found)[0].entry->value, "2");
  EXPECT_EQ((*found)[1].state, CacheState::miss);
  EXPECT_EQ((*found)[2].entry->value, "1");

  std::vector<CachePut> half_bad{{.key = "c", .value = "3"}, {.key = ""}};
  const auto refused = test::run(cache_->put_batch(context_, half_bad));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fields[0].location, "entries.1.key");
  EXPECT_EQ(state("c"), CacheState::miss);
  EXPECT_FALSE(test::run(cache_->get_batch(context_, std::vector<std::string>(257, "k"))));
  EXPECT_FALSE(test::run(cache_->get_batch(context_, {})));
}

TEST_F(CacheTest, InspectingIsNeitherAUseNorARequest) {
  put("k", "v");

  EXPECT_EQ(test::run(cache_->inspect(context_, "k"))->state, CacheState::hit);
  EXPECT_EQ(test::run(cache_->inspect(context_, "nothing"))->state, CacheState::miss);

  EXPECT_EQ(cache_->stats(context_).hits + cache_->stats(context_).misses, 0u);
}

TEST_F(CacheTest, CountsWhatItsCallersFound) {
  put({.key = "k", .value = "v", .ttl = 10s, .stale_for = 10s});
  put({.key = "n", .negative = true});
  get("k");
  get("k");
  get("n");
  get("nothing");
  clock_.advance(11s);
  get("k");

  const CacheStats stats = cache_->stats(context_);
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.negative, 1u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.stale, 1u);
  EXPECT_EQ(stats.entries, 2u);
  EXPECT_NE(metrics_.prometheus_text().find("redoubt_cache_requests_total{result=\"hit\"} 2"),
            std::string::npos);
  EXPECT_NE(metrics_.prometheus_text().find("redoubt_cache_entries 2"), std::string::npos);
}

TEST_F(CacheTest, ListsLiveKeysInOrderPageByPage) {
  for (int i = 9; i >= 0; --i) put("users:" + std::to_string(i), "v");
  put("other", "v");
  put({.key = "users:dead", .value = "v", .ttl = 1s});
  clock_.advance(2s);

  std::vector<std::string> keys;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = test::run(cache_->list(context_, "users:*", 4, cursor));
    ASSERT_TRUE(page);
    for (const CacheKeyInfo& info : page->keys) keys.push_back(info.key);
    cursor = page->next_cursor;
    ++pages;
  } while (!cursor.empty() && pages < 10);

  EXPECT_EQ(keys.size(), 10u);
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(pages, 3);
  EXPECT_FALSE(test::run(cache_->list(context_, "*", 0, "")));
  EXPECT_FALSE(test::run(cache_->list(context_, "*", 1001, "")));
  EXPECT_FALSE(test::run(cache_->list(context_, "*", 10, "not base64url!")));
}

TEST_F(CacheTest, APageThatMatchesNothingEndsAfterItsLooks) {
  for (int i = 0; i < 10'500; ++i) put("k" + std::to_string(i), "");

  const auto first = test::run(cache_->list(context_, "*nothing", 10, ""));
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->keys.empty());
  ASSERT_FALSE(first->next_cursor.empty());
  const auto second = test::run(cache_->list(context_, "*nothing", 10, first->next_cursor));
  EXPECT_TRUE(second->next_cursor.empty());
}

TEST_F(CacheTest, SweepingDropsWhatIsDeadAndNothingElse) {
  put({.key = "short", .value = "v", .ttl = 1s});
  put({.key = "grace", .value = "v", .ttl = 1s, .stale_for = 1h});
  put({.key = "tagged", .value = "v", .tags = {"t"}});
  put("long", "v");
  CacheInvalidation tag;
  tag.tags = {"t"};
  invalidate(tag);
  clock_.advance(2s);

  const auto dropped = test::run(cache_->sweep(100));

  EXPECT_EQ(*dropped, 2);
  EXPECT_EQ(cache_->stats(context_).entries, 2u);
  EXPECT_EQ(state("long"), CacheState::hit);
}

class JitterTest : public test::CacheFixture {
 protected:
  JitterTest() : CacheFixture(CacheOptions{}) {}
};

TEST_F(JitterTest, CutsATtlByUpToItsShareAndSpreadsIt) {
  std::vector<Duration> ttls;
  for (int i = 0; i < 1'000; ++i) {
    ttls.push_back(put({.key = "k" + std::to_string(i), .value = "v", .ttl = 100s}).ttl);
  }

  const auto [least, most] = std::ranges::minmax(ttls);
  EXPECT_GE(least, 90s);
  EXPECT_LT(least, 91s);
  EXPECT_LE(most, 100s);
  EXPECT_GT(most, 99s);
  EXPECT_EQ(put({.key = "k", .value = "v", .ttl = 1ms}).ttl, 1ms);
}

class QuotaTest : public test::CacheFixture {
 protected:
  QuotaTest() : CacheFixture(small()) {}
  static CacheOptions small() {
    CacheOptions options = no_jitter();
    options.tenant_bytes_max = 50'000;
    return options;
  }
};

TEST_F(QuotaTest, ATenantOverItsQuotaGivesUpItsOwnEntries) {
  put_as(other_, {.key = "theirs", .value = std::string(10'000, 'v')});
  for (int i = 0; i < 100; ++i) {
    put("k" + std::to_string(i), std::string(1'000, 'v'));
    ASSERT_LE(cache_->stats(context_).bytes, 50'000u);
    ASSERT_EQ(state("k" + std::to_string(i)), CacheState::hit) << "the newest stays";
  }

  EXPECT_GT(cache_->stats(context_).entries, 30u);
  EXPECT_GT(cache_->stats(context_).evictions, 50u);
  EXPECT_EQ(get_as(other_, "theirs").state, CacheState::hit);
}

TEST_F(QuotaTest, EntriesInUseOutliveThoseThatAreNot) {
  put("used", std::string(1'000, 'v'));
  for (int i = 0; i < 300; ++i) {
    put("k" + std::to_string(i), std::string(1'000, 'v'));
    ASSERT_EQ(state("used"), CacheState::hit) << i;
  }
}

TEST_F(QuotaTest, AnEntryOverTheQuotaIsRefusedWithTheFigures) {
  const auto result =
      test::run(cache_->put(context_, CachePut{.key = "k", .value = std::string(50'000, 'v')}));

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::payload_too_large);
  EXPECT_EQ(slug_of(result.error()), "cache_quota_exceeded");
  EXPECT_NE(result.error().message.find("50000"), std::string::npos);
}

class SmallTest : public test::CacheFixture {
 protected:
  SmallTest() : CacheFixture(small()) {}
  static CacheOptions small() {
    CacheOptions options = no_jitter();
    options.entries_max = 100;
    options.bytes_max = 60'000;
    options.value_bytes_max = 2'000;
    return options;
  }
};

TEST_F(SmallTest, NeverHoldsMoreThanItsBounds) {
  std::size_t refused = 0;
  for (int i = 0; i < 2'000; ++i) {
    const auto size = static_cast<std::size_t>(i * 7919 % 2'000);
    const auto result = put("k" + std::to_string(i % 700), std::string(size, 'v'));
    if (result.outcome == CacheStored::not_admitted) {
      ++refused;
      ASSERT_EQ(state("k" + std::to_string(i % 700)), CacheState::miss);
    }
    ASSERT_LE(cache_->stats(context_).entries, 100u);
    ASSERT_LE(cache_->stats(context_).bytes, 60'000u);
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(cache_->stats(context_).entries, 20u);
}

TEST_F(CacheTest, FindsNothingWhileItMayNotAnswerAndKeepsWhatIsPut) {
  bool may_answer = true;
  cache::answer_while(*engine_, [&](const shared::CopyName&) { return may_answer; });
  put("before", "1");
  may_answer = false;

  EXPECT_EQ(get("before").state, CacheState::miss);
  put("meanwhile", "2");
  EXPECT_EQ(get("meanwhile").state, CacheState::miss);

  may_answer = true;
  EXPECT_EQ(get("before").state, CacheState::hit);
  EXPECT_EQ(get("meanwhile").state, CacheState::hit);
}

}  // namespace
}  // namespace redoubt::cache
