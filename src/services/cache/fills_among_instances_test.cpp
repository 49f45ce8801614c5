// One filler among all instances, while the shared tier can be asked.
#include "services/cache/copies.hpp"

#include "tests/support/cache_copies_fixture.hpp"
#include "tests/support/cache_fixture.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::cache {
namespace {

using namespace std::chrono_literals;
using test::run;

class FillsAmongInstancesTest : public test::CacheCopiesFixture {
 protected:
  void SetUp() override {
    CacheCopiesFixture::SetUp();
    instances_.resize(3);
    start(2);
    make_readers();
  }

  // Nobody who waits outlives the memory that he waits for.
  void TearDown() override {
    wait(31s);
    CacheCopiesFixture::TearDown();
  }

  static CacheGet with_lease(Duration wait = 30s) {
    return {.key = "k", .lease = 10s, .wait = wait};
  }
  void make_readers() {
    readers_.clear();
    for (std::size_t at = 0; at < 3; ++at) {
      readers_.push_back(std::make_unique<test::Readers>(io_, cache(at), context_));
      // What the record knows of the tenant is read before any of them begins.
      ASSERT_TRUE(run(cache(at).get(context_, {.key = "another"})));
    }
  }
  void add_readers(std::size_t each) {
    for (const auto& readers : readers_) {
      for (std::size_t i = 0; i < each; ++i) readers->add(with_lease());
    }
    timers_.run();
  }
  // In steps, for the shared tier to stay in use.
  void wait(Duration duration) {
    for (Duration passed{0}; passed < duration; passed += 50ms) {
      timers_.advance(50ms);
      poll();
      timers_.run();
    }
  }
  std::size_t answered() const {
    std::size_t n = 0;
    for (const auto& readers : readers_) n += readers->answered();
    return n;
  }
  struct Filler {
    std::size_t instance;
    std::string lease;
  };
  // Everybody who was granted a lease so far.
  std::vector<Filler> fillers() const {
    std::vector<Filler> found;
    for (std::size_t at = 0; at < readers_.size(); ++at) {
      const test::Readers& readers = *readers_[at];
      for (std::size_t i = 0; i < readers.size(); ++i) {
        if (readers.has_answer(i) && !readers[i].lease.empty()) {
          found.push_back({at, readers[i].lease});
        }
      }
    }
    return found;
  }
  std::size_t have(std::string_view value) const {
    std::size_t n = 0;
    for (const auto& readers : readers_) {
      for (std::size_t i = 0; i < readers->size(); ++i) {
        if (!readers->has_answer(i)) continue;
        const CacheLookup& lookup = (*readers)[i];
        n += lookup.entry && lookup.entry->value == value ? 1 : 0;
      }
    }
    return n;
  }
  CacheStored fill(const Filler& filler, std::string value) {
    CachePut request{.key = "k", .value = std::move(value), .lease = filler.lease};
    const auto result = run(cache(filler.instance).put(context_, std::move(request)));
    EXPECT_TRUE(result);
    return result->outcome;
  }
  std::string lease_at(std::size_t at) {
    const auto lookup = run(cache(at).get(context_, with_lease(0s)));
    EXPECT_TRUE(lookup);
    return lookup->lease;
  }

  std::vector<std::unique_ptr<test::Readers>> readers_;
};

TEST_F(FillsAmongInstancesTest, OfThreeInstancesOneFillsAndAllGetItsValue) {
  add_readers(100);
  ASSERT_EQ(answered(), 1U) << "one was granted the lease, all others wait";
  ASSERT_EQ(fillers().size(), 1U);

  EXPECT_EQ(fill(fillers().front(), "computed"), CacheStored::stored);
  timers_.run();

  EXPECT_EQ(answered(), 300U) << "they were told, and did not wait for their next look";
  EXPECT_EQ(have("computed"), 299U);
  EXPECT_EQ(fillers().size(), 1U);
}

TEST_F(FillsAmongInstancesTest, AFillThatEndsWhileAnotherClaimsIsNotDoneAgain) {
  const std::string lease = lease_at(0);
  ASSERT_FALSE(lease.empty());
  claims_.before_next([&] { fill({0, lease}, "computed"); });

  const auto lookup = run(cache(1).get(context_, with_lease(0s)));

  ASSERT_TRUE(lookup);
  EXPECT_TRUE(lookup->lease.empty());
  ASSERT_TRUE(lookup->entry);
  EXPECT_EQ(lookup->entry->value, "computed");
  CacheInvalidation all;
  all.everything = true;
  invalidate(2, std::move(all));
  EXPECT_FALSE(lease_at(2).empty()) << "the claim was given back";
}

TEST_F(FillsAmongInstancesTest, WithoutBeingToldTheOthersLookAgainSoon) {
  told_ = false;
  for (std::size_t at = 0; at < 3; ++at) start(at);
  make_readers();
  add_readers(10);
  ASSERT_EQ(fillers().size(), 1U);
  fill(fillers().front(), "computed");

  wait(50ms);

  EXPECT_EQ(have("computed"), 29U);
}

TEST_F(FillsAmongInstancesTest, AFillerThatDiesIsFollowedByOneWhenItsLeaseEnds) {
  add_readers(10);
  ASSERT_EQ(fillers().size(), 1U);
  const std::string dead = fillers().front().lease;

  wait(9'900ms);
  EXPECT_EQ(fillers().size(), 1U) << "nobody else fills before its time is over";
  wait(200ms);

  ASSERT_EQ(fillers().size(), 2U);
  for (const Filler& filler : fillers()) {
    if (filler.lease != dead) fill(filler, "computed");
  }
  wait(50ms);
  EXPECT_EQ(have("computed"), 28U);
}

TEST_F(FillsAmongInstancesTest, AStaleFillersValueIsRefused) {
  const std::string first = lease_at(0);
  ASSERT_FALSE(first.empty());
  wait(10'050ms);
  const std::string second = lease_at(1);
  ASSERT_FALSE(second.empty());

  EXPECT_EQ(fill({0, first}, "late"), CacheStored::lease_lost);
  EXPECT_EQ(fill({1, second}, "new"), CacheStored::stored);
  EXPECT_EQ(fill({0, first}, "later"), CacheStored::lease_lost);

  for (std::size_t at = 0; at < 3; ++at) EXPECT_EQ(get(at, "k"), "new");
}

TEST_F(FillsAmongInstancesTest, WithoutAWaitTheOthersAreToldAtOnce) {
  EXPECT_FALSE(lease_at(0).empty());
  EXPECT_TRUE(lease_at(1).empty());
  EXPECT_TRUE(lease_at(2).empty());
}

TEST_F(FillsAmongInstancesTest, AReleasedLeasePassesToAnotherInstance) {
  const std::string first = lease_at(0);
  readers_[1]->add(with_lease());
  timers_.run();
  ASSERT_EQ(answered(), 0U);
  CacheRelease release{.key = "k", .lease = first};
  ASSERT_TRUE(run(cache(0).release(context_, std::move(release))));

  wait(50ms);

  ASSERT_EQ(fillers().size(), 1U);
  EXPECT_EQ(fillers().front().instance, 1U);
}

TEST_F(FillsAmongInstancesTest, WithoutTheSharedTierEachInstanceFillsOnce) {
  claims_.fail(true);
  copies_.fail(true);
  add_readers(100);

  ASSERT_EQ(fillers().size(), 3U);
  EXPECT_EQ(answered(), 3U);
}

TEST_F(FillsAmongInstancesTest, WhoGivesUpWaitingGoesWithoutAValueAndTheOthersWaitOn) {
  ASSERT_FALSE(lease_at(0).empty());
  readers_[1]->add(with_lease(1s));
  readers_[1]->add(with_lease(30s));
  timers_.run();

  wait(1'050ms);

  ASSERT_EQ(answered(), 1U);
  EXPECT_EQ((*readers_[1])[0].state, CacheState::miss);
  EXPECT_TRUE((*readers_[1])[0].lease.empty());
  wait(9'100ms);
  ASSERT_EQ(fillers().size(), 1U);
}

// What somebody else puts or erases while a fill runs is the newer one.
TEST_F(FillsAmongInstancesTest, AFillDoesNotReplaceWhatWasPutElsewhereMeanwhile) {
  const std::string lease = lease_at(0);
  clock_.advance(Duration(1));
  put(1, "k", "newer");
  clock_.advance(Duration(1));
  EXPECT_EQ(fill({0, lease}, "older"), CacheStored::lease_lost);
  for (std::size_t at = 0; at < 3; ++at) EXPECT_EQ(get(at, "k"), "newer");

  EXPECT_TRUE(*run(cache(2).erase(context_, "k")));
  const std::string again = lease_at(0);
  ASSERT_FALSE(again.empty());
  clock_.advance(Duration(1));
  put(1, "k", "passing");
  EXPECT_TRUE(*run(cache(1).erase(context_, "k")));
  clock_.advance(Duration(1));
  EXPECT_EQ(fill({0, again}, "older"), CacheStored::lease_lost);
  for (std::size_t at = 0; at < 3; ++at) EXPECT_EQ(get(at, "k"), "(none)");
}

}  // namespace
}  // namespace redoubt::cache
