// Invalidations at best effort: the record cannot be written, and they act nevertheless.
#include "services/cache/best_effort.hpp"

#include "tests/support/cache_copies_fixture.hpp"
#include "tests/support/cache_fixture.hpp"
#include "tests/support/refusing_record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {
namespace {

using test::run;

constexpr bool kBestEffort = true;

CacheInvalidation of_tag(std::string tag, bool best_effort = kBestEffort) {
  CacheInvalidation request;
  request.tags = {std::move(tag)};
  request.best_effort = best_effort;
  return request;
}

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "ok" : std::string(slug_of(result.error()));
}

// Instance 0 cannot write the record; instance 1 has it in reach. They share copies in Redis.
class BestEffortTest : public test::CacheCopiesFixture {
 protected:
  void SetUp() override {
    CacheCopiesFixture::SetUp();
    refusing_ = std::make_unique<test::RefusingRecord>(*record_);
    instances_[0] = std::make_unique<test::CacheInstance>(clock_, random_, timers_, *refusing_,
                                                          vault_, copies_, claims_, true, told_);
    instances_[0]->poll(era_, clock_.boot());
    instances_[0]->state.canary_answered(true, {});
    next_era();
    put(0, "hit", "old", {"vip"});
    put(0, "spared", "kept");
    EXPECT_EQ(get(1, "hit"), "old");
    EXPECT_EQ(get(1, "spared"), "kept");
    before_ = copies_.values();
    EXPECT_TRUE(of(0).messages().empty());
    refusing_->refuse(true);
  }
  void TearDown() override {
    CacheCopiesFixture::TearDown();
    refusing_.reset();
  }

  BestEffort& of(std::size_t at) { return instances_[at]->engine->best_effort(); }
  void accept(std::string tag) {
    const auto done = run(cache(0).invalidate(context_, of_tag(std::move(tag))));
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_FALSE(done->recorded);
    EXPECT_EQ(done->generation, 0);
  }
  Result<void> save() {
    return run(save_invalidations(*refusing_, clock_, null_log(), of(0).unsaved()));
  }
  // From Redis, where everything is as before the invalidation.
  std::string read_copy(std::size_t at, std::string key) {
    copies_.restore(before_);
    return get_anew(at, std::move(key));
  }
  std::size_t unsaved() { return static_cast<std::size_t>(gauge(0).value()); }
  Gauge& gauge(std::size_t at) {
    return instances_[at]->metrics.gauge("redoubt_cache_invalidations_unsaved",
                                         "Names invalidated in this process that are not recorded "
                                         "yet.");
  }
  // What 0 tells now reaches 1.
  std::vector<std::string> tell() {
    const std::vector<std::string> messages = of(0).messages();
    for (const std::string& message : messages) of(1).hear(message);
    return messages;
  }

  std::unique_ptr<test::RefusingRecord> refusing_;
  shared::MemoryCopies::Values before_;
};

TEST_F(BestEffortTest, IsWhatOneMustAskFor) {
  const auto refused = run(cache(0).invalidate(context_, of_tag("vip", false)));

  EXPECT_EQ(error_of(refused), "record_unavailable");
  EXPECT_EQ(get(0, "hit"), "old");
  EXPECT_EQ(unsaved(), 0u);
}

TEST_F(BestEffortTest, ActsHereAtOnceOnMemoryAndOnCopiesAndOnNothingElse) {
  Downgrades downgrades;
  context_.downgrades = &downgrades;
  accept("vip");
  context_.downgrades = nullptr;

  EXPECT_TRUE(downgrades.has(Downgrade::cache_best_effort));
  EXPECT_EQ(get(0, "hit"), "(none)");
  EXPECT_EQ(read_copy(0, "hit"), "(none)");
  EXPECT_EQ(get(0, "spared"), "kept");
  EXPECT_EQ(read_copy(0, "spared"), "kept") << "copies of the tenant are read as before";
  EXPECT_EQ(unsaved(), 1u);
  put(0, "hit", "new", {"vip"});
  EXPECT_EQ(get(0, "hit"), "new") << "what is put afterwards is good";
}

TEST_F(BestEffortTest, ActsOnWhatLivesByItsTtlAloneWhileTheJournalIsNotFollowed) {
  for (const std::string key : {"hit", "spared"}) {
    CachePut request{.key = key, .value = "old", .tags = {key}};
    request.consistency = CacheConsistency::ttl;
    ASSERT_TRUE(run(cache(0).put(context_, std::move(request))));
  }
  refusing_->stop_following(clock_.boot());
  ASSERT_EQ(get(0, "hit"), "old");

  accept("hit");

  EXPECT_EQ(get(0, "hit"), "(none)");
  EXPECT_EQ(get(0, "spared"), "old");
}

TEST_F(BestEffortTest, HoldsThoughTheRecordIsReadAnewWhichDoesNotHaveIt) {
  accept("vip");
  const record::JournalEntry doubt{
      .kind = record::JournalEntry::Kind::cache, .tenant = "acme", .key = "telse"};
  instances_[0]->engine->hear(doubt);  // Without a number: what the record has is read again.

  EXPECT_EQ(read_copy(0, "hit"), "(none)");
  EXPECT_TRUE(instances_[0]->engine->tenant("acme").generations.begun());
  EXPECT_EQ(read_copy(0, "spared"), "kept");
}

TEST_F(BestEffortTest, AFillThatBeganBeforeIsNotKept) {
  const CacheGet request{.key = "filled", .lease = Duration(10'000)};
  const auto leased = run(cache(0).get(context_, request));
  ASSERT_TRUE(leased && !leased->lease.empty());
  accept("vip");

  CachePut put{.key = "filled", .value = "old", .tags = {"vip"}, .lease = leased->lease};
  EXPECT_EQ(run(cache(0).put(context_, std::move(put)))->outcome, CacheStored::invalidated);
}

TEST_F(BestEffortTest, IsRecordedWhenThatCanBeAndThenHoldsEverywhere) {
  accept("vip");
  EXPECT_EQ(error_of(save()), "record_unavailable");
  EXPECT_EQ(unsaved(), 1u);
  EXPECT_EQ(read_copy(0, "hit"), "(none)");
  EXPECT_EQ(read_copy(1, "hit"), "old") << "nobody has told it";
  refusing_->refuse(false);

  ASSERT_EQ(error_of(save()), "ok");

  EXPECT_EQ(unsaved(), 0u);
  for (const std::size_t at : {0u, 1u}) {
    EXPECT_EQ(get(at, "hit"), "(none)");
    EXPECT_EQ(read_copy(at, "hit"), "(none)");
    EXPECT_EQ(read_copy(at, "spared"), "kept");
  }
  start(1);
  EXPECT_EQ(read_copy(1, "hit"), "(none)") << "one that starts knows it from the record";
  put(0, "hit", "new", {"vip"});
  EXPECT_EQ(get(1, "hit"), "new");
}

TEST_F(BestEffortTest, IsLostWithTheProcess) {
  accept("vip");
  start(0);
  EXPECT_EQ(read_copy(0, "hit"), "old");
}

TEST_F(BestEffortTest, IsNotForARecordThatHasTooMuchToDo) {
  refusing_->refuse(false);
  refusing_->overload(true);

  EXPECT_EQ(error_of(run(cache(0).invalidate(context_, of_tag("vip")))), "record_overloaded");
  EXPECT_EQ(error_of(run(cache(0).invalidate(context_, of_tag("a,b")))), "invalid_argument");

  EXPECT_EQ(get(0, "hit"), "old");
  EXPECT_EQ(unsaved(), 0u);
}

TEST_F(BestEffortTest, AKeyIsErasedEverywhereSoToo) {
  EXPECT_EQ(error_of(run(cache(0).erase_everywhere(context_, "hit"))), "record_unavailable");
  EXPECT_EQ(get(0, "hit"), "old");

  const auto erased = run(cache(0).erase_everywhere(context_, "hit", kBestEffort));

  ASSERT_TRUE(erased);
  EXPECT_TRUE(erased->was_there);
  EXPECT_FALSE(erased->recorded);
  EXPECT_EQ(get(1, "hit"), "(none)") << "by Redis, which tells of it";
  EXPECT_EQ(read_copy(0, "hit"), "(none)");
  refusing_->refuse(false);
  ASSERT_EQ(error_of(save()), "ok");
  EXPECT_EQ(read_copy(1, "hit"), "(none)");
}

TEST_F(BestEffortTest, EverythingOfTheTenantIsInTheAuditTrailOnceItIsRecorded) {
  CacheInvalidation request;
  request.everything = true;
  request.best_effort = true;
  ASSERT_TRUE(run(cache(0).invalidate(context_, std::move(request)))->everything);
  EXPECT_EQ(read_copy(0, "spared"), "(none)");
  refusing_->refuse(false);
  ASSERT_EQ(error_of(save()), "ok");

  std::function<Task<std::int64_t>(sql::Transaction&)> work =
      [](sql::Transaction& tx) -> Task<std::int64_t> {
    static constexpr sql::Statement kCount{
        "SELECT count(*) FROM rd_audit WHERE action = 'cache.cleared'"};
    RD_CO_TRY(rows, co_await tx.run(kCount, {}));
    co_return rows[0].integer(0);
  };
  EXPECT_EQ(*run(record_->read(std::move(work))), 1);
  EXPECT_EQ(get(1, "spared"), "(none)");
}

// ---- Other instances ----

TEST_F(BestEffortTest, OthersThatAreToldDoTheSame) {
  accept("vip");

  EXPECT_EQ(tell().size(), 1u);

  EXPECT_EQ(get(1, "hit"), "(none)");
  EXPECT_EQ(read_copy(1, "hit"), "(none)");
  EXPECT_EQ(read_copy(1, "spared"), "kept");
  EXPECT_EQ(gauge(1).value(), 0.0) << "who was told does not record it";
  EXPECT_TRUE(tell().empty()) << "it is told once at a time";
}

TEST_F(BestEffortTest, AMessageThatIsLostIsMadeGoodByTheNext) {
  accept("vip");
  EXPECT_EQ(of(0).messages().size(), 1u);
  EXPECT_EQ(get(1, "hit"), "old");

  pass(BestEffort::kTellAgain);
  EXPECT_EQ(tell().size(), 1u);

  EXPECT_EQ(get(1, "hit"), "(none)");
  EXPECT_EQ(read_copy(1, "hit"), "(none)");
}

TEST_F(BestEffortTest, AMessageThatIsLostIsMadeGoodThoughTheNameIsHeldAlready) {
  accept("vip");
  tell();
  put(1, "hit", "filled since", {"vip"});
  accept("vip");
  EXPECT_EQ(of(0).messages().size(), 1u);
  EXPECT_EQ(get(1, "hit"), "filled since");

  pass(BestEffort::kTellAgain);
  tell();

  EXPECT_EQ(get(1, "hit"), "(none)");
}

TEST_F(BestEffortTest, WhatIsToldLeavesRoomForWhatIsRecorded) {
  for (std::size_t i = 0; i < 2 * Generations::kGlobsMax; ++i) {
    of(1).hear(R"({"tenant":"acme","names":["g*:)" + std::to_string(i) + R"("],"again":false})");
  }
  EXPECT_FALSE(instances_[1]->engine->would_overflow("acme", 1, Generations::kGlobsMax / 2));
}

TEST_F(BestEffortTest, WhatIsToldAgainCostsNothingThatWasFilledSince) {
  accept("vip");
  tell();
  pass(BestEffort::kTellAgain);
  tell();
  put(1, "hit", "new", {"vip"});

  for (int i = 0; i < 10; ++i) {
    pass(BestEffort::kTellAgain);
    EXPECT_EQ(tell().size(), 1u);
    EXPECT_EQ(get(1, "hit"), "new");
  }
  EXPECT_EQ(read_copy(1, "hit"), "(none)") << "it is held for as long as it is told";

  accept("vip");
  tell();
  EXPECT_EQ(get(1, "hit"), "(none)") << "another one of the same name";
}

TEST_F(BestEffortTest, WhatIsForgedOrFromOneThatDiedEndsByItself) {
  accept("vip");
  const std::vector<std::string> messages = tell();
  for (int i = 0; i < 100; ++i) of(1).hear(messages.front());
  EXPECT_EQ(read_copy(1, "hit"), "(none)");

  pass(BestEffort::kToldFor);

  EXPECT_EQ(read_copy(1, "hit"), "old");
}

TEST_F(BestEffortTest, WhatIsNoMessageChangesNothing) {
  of(1).hear("");
  of(1).hear(R"({"tenant":"acme","names":["xvip"],"again":false})");
  of(1).hear(R"({"tenant":"globex","names":["tvip"],"again":false})");
  of(1).hear(std::string(BestEffort::kMessageMax + 1, ' '));

  EXPECT_EQ(get(1, "hit"), "old");
  EXPECT_EQ(read_copy(1, "hit"), "old");
}

TEST_F(BestEffortTest, HoweverMuchIsToldItIsBoundedAndHolds) {
  for (std::size_t i = 0; i <= BestEffort::kToldMax; ++i) {
    of(1).hear(R"({"tenant":"acme","names":["t)" + std::to_string(i) + R"("],"again":false})");
  }
  EXPECT_EQ(read_copy(1, "spared"), "(none)") << "everything of the tenant";
  pass(BestEffort::kToldFor);
  EXPECT_EQ(read_copy(1, "spared"), "kept");
}

// ---- One process without Redis ----

class BestEffortAloneTest : public test::CacheFixture {
 protected:
  test::RefusingRecord refusing_{*record_};
  std::unique_ptr<Cache> here_ = make_cache(engine_, refusing_, timers_, null_log());
};

TEST_F(BestEffortAloneTest, ActsAtOnceAndIsRecordedLaterWithoutRedisToo) {
  put({.key = "hit", .value = "old", .tags = {"vip"}});
  put("spared", "kept");
  refusing_.refuse(true);

  const auto done = run(here_->invalidate(context_, of_tag("vip")));

  ASSERT_TRUE(done);
  EXPECT_FALSE(done->recorded);
  EXPECT_EQ(value("hit"), "(none)");
  EXPECT_EQ(value("spared"), "kept");
  refusing_.refuse(false);
  const auto writes = record_->status().writes;
  UnsavedInvalidations& unsaved = engine_->best_effort().unsaved();
  ASSERT_TRUE(run(save_invalidations(refusing_, clock_, null_log(), unsaved)));
  EXPECT_EQ(record_->status().writes, writes + 1);
  ASSERT_TRUE(run(save_invalidations(refusing_, clock_, null_log(), unsaved)));
  EXPECT_EQ(record_->status().writes, writes + 1) << "once";
}

// ---- What is held ----

UnsavedInvalidation named(std::string name) {
  return {"acme", std::move(name), {}};
}

TEST(UnsavedInvalidations, BeyondTheirBoundAreEverythingOfTheTenant) {
  Metrics metrics;
  UnsavedInvalidations unsaved(metrics, 4);
  for (const char* tag : {"t1", "t2", "t3", "t4"}) ASSERT_TRUE(unsaved.add(named(tag)));
  EXPECT_FALSE(unsaved.cover("acme", "a", {"9"}));
  EXPECT_TRUE(unsaved.add({"globex", "t1", {}}));

  EXPECT_TRUE(unsaved.cover("acme", "a", {"9"}));
  EXPECT_FALSE(unsaved.cover("globex", "a", {"9"}));
  const auto taken = unsaved.take(10);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].name, "");
  EXPECT_EQ(taken[1].tenant, "globex");
}

TEST(UnsavedInvalidations, AreWrittenByOneAndComeBackWhenThatFails) {
  Metrics metrics;
  UnsavedInvalidations unsaved(metrics);
  unsaved.add(named("t1"));
  const auto taken = unsaved.take(10);
  EXPECT_TRUE(unsaved.take(10).empty());
  unsaved.put_back(taken);
  const auto again = unsaved.take(10);
  ASSERT_EQ(again.size(), 1u);
  unsaved.saved(taken);
  EXPECT_TRUE(unsaved.cover("acme", "a", {"1"})) << "that writer has given it back";
  unsaved.saved(again);
  EXPECT_FALSE(unsaved.cover("acme", "a", {"1"}));
}

TEST(UnsavedInvalidations, OneThatIsAddedAgainWhileItIsWrittenIsWrittenAgain) {
  Metrics metrics;
  UnsavedInvalidations unsaved(metrics);
  for (const std::string again : {"t1", ""}) {
    unsaved.add(named("t1"));
    const auto taken = unsaved.take(10);
    unsaved.add(named(again));
    unsaved.saved(taken);

    EXPECT_TRUE(unsaved.cover("acme", "a", {"1"}));
    const auto rest = unsaved.take(10);
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].name, again);
    unsaved.saved(rest);
  }
}

}  // namespace
}  // namespace redoubt::cache
