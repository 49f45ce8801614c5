// The cache of several instances over one shared tier: its twin does what Redis may do.
#include "services/cache/copies.hpp"

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/vault.hpp"
#include "record/cache_rows.hpp"
#include "services/cache/service.hpp"
#include "shared/memory_copies.hpp"
#include "tests/support/context.hpp"
#include "tests/support/fake_timers.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"
#include "tests/support/timeless_record.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;
using test::run;

RingKey ring_key() {
  RingKey key;
  key.key.fill(9);
  key.key[0] = 1;
  key.id = {9, 0, 0, 1};
  return key;
}

// One instance: its memory and what it knows of the shared tier.
struct Instance {
  Instance(ManualClock& clock, Random& random, Timers& timers, record::Record& record, Vault& vault,
           shared::Copies& copies, bool seal)
      : state(clock, metrics) {
    CacheOptions options;
    options.jitter_percent = 0;
    engine = make_cache_engine(options, record, clock, random, metrics, &state.eras());
    const CacheCopiesParts parts{copies, state, record, vault, clock, seal};
    cache = make_shared_cache(engine, record, timers, null_log(), parts);
  }
  void poll(std::int64_t era, BootTime now) {
    shared::Eras& eras = state.eras();
    eras.poll_ended(eras.poll_begins(), era, now);
    state.learned(1, now);
  }

  Metrics metrics;
  shared::SharedState state;
  std::shared_ptr<CacheEngine> engine;
  std::unique_ptr<Cache> cache;
};

class CacheCopiesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    record_ = std::make_unique<test::TimelessRecord>(home_.open(clock_, metrics_));
    record_->subscribe([this](const record::JournalEntry& entry) {
      for (const auto& instance : instances_) {
        if (instance) instance->engine->hear(entry);
      }
    });
    instances_.resize(2);
    start(0);
    start(1);
  }
  void TearDown() override {
    instances_.clear();
    record_->stop();
  }

  void start(std::size_t at, bool seal = true) {
    instances_[at] =
        std::make_unique<Instance>(clock_, random_, timers_, *record_, vault_, copies_, seal);
    instances_[at]->poll(era_, clock_.boot());
    ++era_;
    poll();
    instances_[at]->state.canary_answered(true, {});
  }
  void poll() {
    for (const auto& instance : instances_) {
      if (instance) instance->poll(era_, clock_.boot());
    }
  }
  void next_era() {
    ++era_;
    poll();
  }
  void pass(Duration duration) {
    clock_.advance(duration);
    poll();
  }

  Cache& cache(std::size_t at) { return *instances_[at]->cache; }
  CacheStored put(std::size_t at, std::string key, std::string value,
                  std::vector<std::string> tags = {}) {
    CachePut request{.key = std::move(key), .value = std::move(value), .tags = std::move(tags)};
    auto result = run(cache(at).put(context_, std::move(request)));
    EXPECT_TRUE(result) << result.error().message;
    return result->outcome;
  }
  CacheLookup look(std::size_t at, std::string key) {
    CacheGet request{.key = std::move(key)};
    if (auto now = cache(at).get_now(context_, request)) return **now;
    auto result = run(cache(at).get(context_, std::move(request)));
    EXPECT_TRUE(result) << result.error().message;
    return *result;
  }
  std::string get(std::size_t at, std::string key) {
    const CacheLookup lookup = look(at, std::move(key));
    return lookup.entry ? lookup.entry->value : "(none)";
  }
  // Without what it has in memory, as after an eviction.
  std::string get_anew(std::size_t at, std::string key) {
    const Address where = instances_[at]->engine->address("acme", key);
    instances_[at]->engine->erase(where);
    return get(at, std::move(key));
  }
  void invalidate(std::size_t at, CacheInvalidation request) {
    const auto done = run(cache(at).invalidate(context_, std::move(request)));
    ASSERT_TRUE(done) << done.error().message << done.error().cause;
  }
  void invalidate_tag(std::size_t at, std::string tag) {
    CacheInvalidation request;
    request.tags = {std::move(tag)};
    invalidate(at, std::move(request));
  }

  ManualClock clock_;
  SystemRandom random_;
  Metrics metrics_;
  Vault vault_{{ring_key()}, random_};
  boost::asio::io_context io_;
  test::FakeTimers timers_{io_, clock_};
  test::RecordHome home_;
  std::unique_ptr<record::Record> record_;
  shared::MemoryCopies copies_{clock_, metrics_};
  std::vector<std::unique_ptr<Instance>> instances_;
  std::int64_t era_ = 0;
  Caller caller_ = test::admin_of("acme");
  Context context_ = test::context_of(caller_);
};

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

TEST_F(CacheCopiesTest, AnInstanceThatStartsTrustsNoCopyFromBefore) {
  put(0, "a", "old", {"t"});
  instances_[1].reset();
  invalidate_tag(0, "t");  // The other one does not hear it.
  start(1);
  EXPECT_EQ(get(1, "a"), "(none)");
  put(0, "a", "new", {"t"});
  EXPECT_EQ(get(1, "a"), "new");
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
  poll();
  next_era();
  put(0, "b", "new");
  EXPECT_EQ(get_anew(0, "b"), "new") << "copies of the next era are trusted";
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

TEST_F(CacheCopiesTest, ThatAreReadOutliveTheirEraAndOthersDoNot) {
  CachePut lasting{.key = "read", .value = "kept", .ttl = 3600s};
  ASSERT_TRUE(run(cache(0).put(context_, std::move(lasting))));
  CachePut forgotten{.key = "unread", .value = "lost", .ttl = 3600s};
  ASSERT_TRUE(run(cache(0).put(context_, std::move(forgotten))));
  for (int i = 0; i < 5; ++i) {
    next_era();
    pass(3s);
    EXPECT_EQ(get_anew(1, "read"), "kept") << i;
  }
  EXPECT_EQ(get(1, "unread"), "(none)");
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
  for (std::size_t n = 0; n < packed.size(); ++n) {
    EXPECT_FALSE(unpack_copy(ByteView(packed).first(n))) << n;
  }
}

}  // namespace
}  // namespace redoubt::cache
