// Who fills, who waits, and what they get.
#include "services/cache/fills.hpp"

#include "tests/support/cache_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;

class FillsTest : public test::CacheFixture {
 protected:
  test::Readers readers_{io_, *cache_, context_};

  CacheGet with_lease(std::string key, Duration wait = 5s, Duration length = 10s) {
    return {.key = std::move(key), .lease = length, .wait = wait};
  }
  CachePut fill(std::string key, std::string value, std::string token) {
    return {.key = std::move(key), .value = std::move(value), .lease = std::move(token)};
  }
};

TEST_F(FillsTest, OfAThousandReadersOneFillsAndAllGetItsValue) {
  for (int i = 0; i < 1'000; ++i) readers_.add(with_lease("k"));
  timers_.run();
  ASSERT_EQ(readers_.answered(), 1u) << "one was granted the lease, the others wait";
  ASSERT_EQ(readers_[0].state, CacheState::miss);
  ASSERT_FALSE(readers_[0].lease.empty());

  EXPECT_EQ(put(fill("k", "computed", readers_[0].lease)).outcome, CacheStored::stored);
  timers_.run();

  ASSERT_EQ(readers_.answered(), 1'000u);
  for (std::size_t i = 1; i < readers_.size(); ++i) {
    ASSERT_EQ(readers_[i].state, CacheState::hit);
    ASSERT_EQ(readers_[i].entry->value, "computed");
    ASSERT_TRUE(readers_[i].lease.empty());
  }
  EXPECT_EQ(cache_->stats(context_).fills, 0u);
}

TEST_F(FillsTest, WithoutAWaitTheOthersAreToldAtOnce) {
  ASSERT_FALSE(lease("k").empty());

  const auto second = cache_->get_now(context_, with_lease("k", 0s));

  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->state, CacheState::miss);
  EXPECT_TRUE((*second)->lease.empty());
}

TEST_F(FillsTest, AHitNeedsNoCoroutineEvenWithALease) {
  put("k", "v");

  const auto found = cache_->get_now(context_, with_lease("k"));

  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->state, CacheState::hit);
  EXPECT_EQ(cache_->stats(context_).fills, 0u);
}

TEST_F(FillsTest, AWaiterGivesUpWhenItsTimeIsOver) {
  lease("k", 60s);
  readers_.add(with_lease("k", 5s));
  timers_.run();

  timers_.advance(5s - 1ms);
  EXPECT_FALSE(readers_.has_answer(0));
  timers_.advance(1ms);

  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_EQ(readers_[0].state, CacheState::miss);
  EXPECT_TRUE(readers_[0].lease.empty());
}

TEST_F(FillsTest, AnExpiredLeasePassesToTheOneWhoWaitedLongest) {
  const std::string lost = lease("k", 2s);
  readers_.add(with_lease("k", 60s, 3s));
  readers_.add(with_lease("k", 60s, 3s));
  timers_.run();

  timers_.advance(2s);
  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_FALSE(readers_[0].lease.empty());
  EXPECT_FALSE(readers_.has_answer(1));
  EXPECT_EQ(put(fill("k", "late", lost)).outcome, CacheStored::lease_lost);
  EXPECT_EQ(state("k"), CacheState::miss);

  timers_.advance(3s);
  ASSERT_TRUE(readers_.has_answer(1)) << "the second holder was lost too";
  EXPECT_FALSE(readers_[1].lease.empty());
}

TEST_F(FillsTest, WhoWaitsInFrontLeavesTheWatchToTheNext) {
  lease("k", 10s);
  readers_.add(with_lease("k", 2s));
  readers_.add(with_lease("k", 60s));
  timers_.run();

  timers_.advance(2s);
  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_TRUE(readers_[0].lease.empty());
  timers_.advance(8s);

  ASSERT_TRUE(readers_.has_answer(1));
  EXPECT_FALSE(readers_[1].lease.empty());
}

TEST_F(FillsTest, AReleasedLeasePassesOnAtOnce) {
  const std::string token = lease("k");
  readers_.add(with_lease("k"));
  timers_.run();

  EXPECT_TRUE(test::run(cache_->release(context_, {.key = "k", .lease = token}))->released);
  timers_.run();

  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_FALSE(readers_[0].lease.empty());
  EXPECT_FALSE(test::run(cache_->release(context_, {.key = "k", .lease = token}))->released);
}

TEST_F(FillsTest, AValueInvalidatedWhileItWasComputedIsNotKept) {
  const std::string token = lease("users:42");
  readers_.add(with_lease("users:42"));
  timers_.run();

  invalidate_pattern("users:*");
  EXPECT_EQ(put(fill("users:42", "old", token)).outcome, CacheStored::invalidated);
  timers_.run();

  EXPECT_EQ(state("users:42"), CacheState::miss);
  ASSERT_TRUE(readers_.has_answer(0)) << "the next in line computes anew";
  EXPECT_EQ(put(fill("users:42", "new", readers_[0].lease)).outcome, CacheStored::stored);
  EXPECT_EQ(value("users:42"), "new");
}

TEST_F(FillsTest, ATagNamedOnlyByThePutCountsFromTheGrant) {
  const std::string token = lease("k");
  CacheInvalidation request;
  request.tags = {"red"};
  invalidate(request);

  CachePut tagged = fill("k", "old", token);
  tagged.tags = {"red"};
  EXPECT_EQ(put(tagged).outcome, CacheStored::invalidated);
}

TEST_F(FillsTest, AnUnrelatedInvalidationLetsAFillBe) {
  const std::string token = lease("users:42");

  invalidate_pattern("agents:*");

  EXPECT_EQ(put(fill("users:42", "v", token)).outcome, CacheStored::stored);
}

TEST_F(FillsTest, AnInvalidationAfterThePutReachesTheFilledValue) {
  const std::string token = lease("users:42");
  put(fill("users:42", "v", token));

  invalidate_pattern("users:*");

  EXPECT_EQ(state("users:42"), CacheState::miss);
}

TEST_F(FillsTest, APutWithoutALeaseIsNewerThanTheFillUnderWay) {
  const std::string token = lease("k");
  readers_.add(with_lease("k"));
  timers_.run();

  put("k", "written");
  timers_.run();

  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_EQ(readers_[0].entry->value, "written");
  EXPECT_EQ(put(fill("k", "read before", token)).outcome, CacheStored::lease_lost);
  EXPECT_EQ(value("k"), "written");
}

TEST_F(FillsTest, AnEraseIsNewerThanTheFillUnderWay) {
  const std::string token = lease("k");
  readers_.add(with_lease("k"));
  timers_.run();

  test::run(cache_->erase(context_, "k"));
  timers_.run();

  EXPECT_EQ(put(fill("k", "old", token)).outcome, CacheStored::lease_lost);
  EXPECT_EQ(state("k"), CacheState::miss);
  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_FALSE(readers_[0].lease.empty());
}

TEST_F(FillsTest, WhileStaleOneRefreshesAndNobodyWaits) {
  put({.key = "k", .value = "old", .ttl = 10s, .stale_for = 60s});
  clock_.advance(11s);

  const auto first = cache_->get_now(context_, with_lease("k"));
  const auto second = cache_->get_now(context_, with_lease("k"));

  ASSERT_TRUE(first && second);
  EXPECT_EQ((*first)->state, CacheState::stale);
  EXPECT_EQ((*first)->entry->value, "old");
  EXPECT_FALSE((*first)->lease.empty());
  EXPECT_EQ((*second)->entry->value, "old");
  EXPECT_TRUE((*second)->lease.empty());
  put(fill("k", "new", (*first)->lease));
  EXPECT_EQ(value("k"), "new");
}

TEST_F(FillsTest, AFailedFillServesTheStaleValueAndRests) {
  put({.key = "k", .value = "old", .ttl = 10s, .stale_if_error = 60s});
  clock_.advance(11s);
  const std::string token = lease("k");
  ASSERT_FALSE(token.empty());
  readers_.add(with_lease("k"));
  timers_.run();

  const auto released = test::run(
      cache_->release(context_, {.key = "k", .lease = token, .failed = true, .retry_after = 5s}));
  timers_.run();

  EXPECT_TRUE(released->released);
  EXPECT_TRUE(released->serving_stale);
  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_EQ(readers_[0].state, CacheState::stale);
  EXPECT_EQ(readers_[0].entry->value, "old");
  EXPECT_EQ(state("k"), CacheState::stale) << "also without asking for a lease";
  EXPECT_TRUE(lease("k").empty()) << "nobody is sent to the source while it rests";
  clock_.advance(5s);
  EXPECT_FALSE(lease("k").empty());
}

TEST_F(FillsTest, AFillSlowerThanAWaiterWouldWaitLeavesItTheStaleValue) {
  put({.key = "k", .value = "old", .ttl = 10s, .stale_if_error = 60s});
  clock_.advance(11s);
  lease("k", 60s);
  readers_.add(with_lease("k", 3s));
  timers_.run();
  EXPECT_FALSE(readers_.has_answer(0));

  timers_.advance(3s);

  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_EQ(readers_[0].state, CacheState::stale);
}

TEST_F(FillsTest, AFailedFillWithNothingToServePassesOn) {
  const std::string token = lease("k");
  readers_.add(with_lease("k"));
  timers_.run();

  const auto released =
      test::run(cache_->release(context_, {.key = "k", .lease = token, .failed = true}));
  timers_.run();

  EXPECT_TRUE(released->released);
  EXPECT_FALSE(released->serving_stale);
  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_FALSE(readers_[0].lease.empty());
}

TEST_F(FillsTest, ANegativeFillIsAnAnswerToo) {
  const std::string token = lease("k");
  readers_.add(with_lease("k"));
  timers_.run();

  CachePut nothing = fill("k", "", token);
  nothing.negative = true;
  put(nothing);
  timers_.run();

  ASSERT_TRUE(readers_.has_answer(0));
  EXPECT_EQ(readers_[0].state, CacheState::negative);
}

TEST_F(FillsTest, ForgedAndForeignTokensStoreNothing) {
  const std::string token = lease("k");
  for (const std::string& forged : {std::string("-"), std::string(32, '0'), token + "0"}) {
    EXPECT_EQ(put(fill("k", "forged", forged)).outcome, CacheStored::lease_lost);
    EXPECT_FALSE(test::run(cache_->release(context_, {.key = "k", .lease = forged}))->released);
  }
  EXPECT_EQ(put(fill("other", "v", token)).outcome, CacheStored::lease_lost);
  EXPECT_EQ(put(fill("k", "v", token)).outcome, CacheStored::stored);
}

TEST_F(FillsTest, ReadOnlyKeysMayReadButNotHoldALease) {
  Caller reader = test::admin_of("acme");
  reader.role = Role::read_only;
  const Context context = test::context_of(reader);
  put("k", "v");

  EXPECT_EQ(get_as(context, "k").state, CacheState::hit);
  const auto refused = cache_->get_now(context, with_lease("k"));
  ASSERT_TRUE(refused);
  EXPECT_EQ((*refused).error().code, Errc::permission_denied);
}

TEST_F(FillsTest, WaitsAndLeasesOutOfRangeAreRefused) {
  const auto code = [&](CacheGet request) {
    const auto result = cache_->get_now(context_, request);
    return result && !*result ? result->error().fields.at(0).location : std::string("accepted");
  };
  EXPECT_EQ(code(with_lease("k", 61s)), "wait");
  EXPECT_EQ(code(with_lease("k", 0s, 1ms)), "lease");
  EXPECT_EQ(code(with_lease("k", 0s, 301s)), "lease");
  EXPECT_EQ(code({.key = "k", .wait = 1s}), "wait");
}

TEST_F(FillsTest, ACallerThatGoesAwayLeavesItsPlaceInTheQueue) {
  const std::string token = lease("k", 60s);
  {
    boost::asio::io_context gone;
    test::FakeTimers timers(gone, clock_);
    const auto cache = make_cache(engine_, *record_, timers, null_log());
    std::optional<Result<CacheLookup>> never;
    boost::asio::co_spawn(
        gone, test::keep_result<CacheLookup>(cache->get(context_, with_lease("k", 60s)), never),
        [](std::exception_ptr) {});
    timers.run();
    // The connection closes: its coroutine is destroyed where it waits.
  }
  readers_.add(with_lease("k", 60s));
  timers_.run();

  test::run(cache_->release(context_, {.key = "k", .lease = token}));
  timers_.run();

  ASSERT_TRUE(readers_.has_answer(0)) << "the lease was not given to the one that left";
  EXPECT_FALSE(readers_[0].lease.empty());
}

TEST_F(FillsTest, ExpiredLeasesThatNobodyWaitsForAreForgotten) {
  for (int i = 0; i < 100; ++i) lease("k" + std::to_string(i), 1s);
  EXPECT_EQ(cache_->stats(context_).fills, 100u);
  clock_.advance(2s);

  test::run(cache_->sweep(1'000));

  EXPECT_EQ(cache_->stats(context_).fills, 0u);
}

TEST_F(FillsTest, TheLeasesOfATenantAreBounded) {
  for (std::size_t i = 0; i < Fills::kTenantMax; ++i) {
    ASSERT_FALSE(lease("k" + std::to_string(i)).empty());
  }

  EXPECT_TRUE(lease("one more").empty());
  CacheGet request{.key = "one more", .lease = Duration(1'000)};
  EXPECT_FALSE((**cache_->get_now(other_, request)).lease.empty());
}

// Puts, erases and invalidations of one key from several threads: what is acknowledged last wins.
TEST_F(FillsTest, AnAcknowledgedEraseIsNeverUndoneByAConcurrentFill) {
  SystemRandom random;
  auto engine = make_cache_engine(no_jitter(), *record_, clock_, random, metrics_);
  const auto cache = make_cache(engine, *record_, timers_, null_log());
  for (int round = 0; round < 300; ++round) {
    const std::string key = "k" + std::to_string(round);
    CacheGet request{.key = key, .lease = Duration(10'000)};
    const std::string token = (**cache->get_now(context_, request)).lease;
    std::thread filler([&] {
      test::run(cache->put(context_, CachePut{.key = key, .value = "old", .lease = token}));
    });
    test::run(cache->erase(context_, key));
    const auto after = test::run(cache->inspect(context_, key));
    filler.join();
    const auto settled = test::run(cache->inspect(context_, key));
    ASSERT_EQ(settled->state, CacheState::miss)
        << round << " seen meanwhile: " << static_cast<int>(after->state);
  }
}

}  // namespace
}  // namespace redoubt::cache
