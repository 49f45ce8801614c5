#include "local/tiny_lfu.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace redoubt::local {
namespace {

// The yardstick: least recently used out first.
class Lru {
 public:
  explicit Lru(std::size_t entries_max) : entries_max_(entries_max) {}

  bool use(std::uint64_t key) {
    if (const auto it = places_.find(key); it != places_.end()) {
      order_.splice(order_.begin(), order_, it->second);
      return true;
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    if (order_.size() > entries_max_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    return false;
  }

 private:
  std::size_t entries_max_;
  std::list<std::uint64_t> order_;
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

// Zipf(0.9) over 20,000 keys, with a scan of keys never seen again after every 4,000 uses.
std::vector<std::uint64_t> zipf_with_scans() {
  constexpr std::size_t kKeys = 20'000;
  std::vector<double> cumulative(kKeys);
  double sum = 0;
  for (std::size_t i = 0; i < kKeys; ++i) {
    sum += 1 / std::pow(static_cast<double>(i + 1), 0.9);
    cumulative[i] = sum;
  }
  FastRandom random(42);
  std::vector<std::uint64_t> trace;
  std::uint64_t scanned = 1'000'000;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 4'000; ++i) {
      const double at = static_cast<double>(random.next() >> 11) * 0x1.0p-53 * sum;
      const auto it = std::ranges::lower_bound(cumulative, at);
      trace.push_back(static_cast<std::uint64_t>(it - cumulative.begin()));
    }
    for (int i = 0; i < 2'000; ++i) trace.push_back(scanned++);
  }
  return trace;
}

// Short lists are kept in exact order, long ones are not.
struct Size {
  std::size_t entries;
  int percent_of_lru;  // Hits at least.
};
class TinyLfuOfSize : public testing::TestWithParam<Size> {};
INSTANTIATE_TEST_SUITE_P(ShortAndLong, TinyLfuOfSize,
                         testing::Values(Size{1'000, 125}, Size{4'000, 120}));

TEST_P(TinyLfuOfSize, HitsMoreOftenThanLruWhenScansInterruptAZipfTrace) {
  const std::size_t entries = GetParam().entries;
  TinyLfu<std::uint64_t, int> cache({.weight_max = entries, .entries_max = entries});
  Lru lru(entries);
  int hits = 0;
  int lru_hits = 0;

  for (const std::uint64_t key : zipf_with_scans()) {
    if (cache.find(key) != nullptr) {
      ++hits;
    } else {
      cache.insert(key, 0, 1);
    }
    lru_hits += lru.use(key) ? 1 : 0;
  }

  EXPECT_GT(hits * 100, lru_hits * GetParam().percent_of_lru) << "LRU " << lru_hits;
}

TEST(TinyLfu, KeepsBothBoundsAndTellsTheTruthInRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FastRandom random(seed);
    const std::size_t weight_max = 1 + random.next() % 2'000;
    const std::size_t entries_max = 1 + random.next() % 60;
    std::map<std::uint64_t, int> model;  // What is inside, by what callbacks and results say.
    TinyLfu<std::uint64_t, int> cache({.weight_max = weight_max, .entries_max = entries_max},
                                      [&model](const std::uint64_t& key, int& value, Removal) {
                                        const auto it = model.find(key);
                                        ASSERT_NE(it, model.end());
                                        ASSERT_EQ(it->second, value);
                                        model.erase(it);
                                      });

    for (int step = 0; step < 5'000; ++step) {
      const std::uint64_t key = random.next() % 200;
      const std::uint64_t action = random.next() % 100;
      if (action < 45) {
        const int* found = cache.find(key);
        const auto it = model.find(key);
        ASSERT_EQ(found != nullptr, it != model.end());
        if (found != nullptr) ASSERT_EQ(*found, it->second);
      } else if (action < 90) {
        const std::size_t weight = random.next() % (action == 89 ? weight_max * 2 : 100);
        if (weight <= weight_max) {
          // The old value must leave before the new one is expected.
          const auto old = model.find(key);
          if (old != model.end()) {
            cache.erase(key);
            ASSERT_FALSE(model.contains(key));
          }
          model[key] = step;
        }
        const bool kept = cache.insert(key, step, weight);
        ASSERT_EQ(kept, model.contains(key) && model[key] == step);
      } else if (action < 99) {
        const bool was_there = model.contains(key);
        ASSERT_EQ(cache.erase(key), was_there);
      } else if (step % 7 == 0) {
        cache.clear();
        ASSERT_TRUE(model.empty());
      }
      ASSERT_LE(cache.size(), entries_max) << "seed " << seed << " step " << step;
      ASSERT_LE(cache.weight(), weight_max) << "seed " << seed << " step " << step;
      ASSERT_EQ(cache.size(), model.size());
    }
    std::size_t visited = 0;
    cache.for_each([&](const std::uint64_t& key, const int& value) {
      ++visited;
      EXPECT_EQ(model.at(key), value);
    });
    EXPECT_EQ(visited, model.size());
  }
}

TEST(TinyLfu, ReplacingKeepsTheBoundsAndTheNewestValue) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    FastRandom random(seed);
    std::size_t inside = 0;
    TinyLfu<std::uint64_t, std::size_t> cache(
        {.weight_max = 500, .entries_max = 30},
        [&inside](const std::uint64_t&, std::size_t& weight, Removal) { inside -= weight; });
    for (int step = 0; step < 5'000; ++step) {
      const std::uint64_t key = random.next() % 40;
      const std::size_t weight = random.next() % 400;
      inside += weight;
      if (cache.insert(key, weight, weight)) {
        ASSERT_EQ(*cache.peek(key), weight);
      } else {
        ASSERT_EQ(cache.peek(key), nullptr);
      }
      ASSERT_LE(cache.size(), 30u);
      ASSERT_LE(cache.weight(), 500u);
      ASSERT_EQ(cache.weight(), inside);
    }
  }
}

TEST(TinyLfu, CallsBackOncePerEntryWithTheReason) {
  std::map<std::string, std::vector<Removal>> left;
  TinyLfu<std::string, int> cache(
      {.weight_max = 10, .entries_max = 10},
      [&left](const std::string& key, int&, Removal reason) { left[key].push_back(reason); });

  cache.insert("replaced", 1, 1);
  cache.insert("replaced", 2, 1);
  cache.insert("erased", 1, 1);
  cache.erase("erased");
  cache.clear();
  cache.insert("evicted", 1, 10);
  for (int i = 0; i < 3; ++i) cache.find(std::string("wanted"));
  cache.insert("wanted", 1, 10);
  EXPECT_FALSE(cache.insert("too heavy", 1, 11));

  EXPECT_EQ(left["replaced"], (std::vector{Removal::replaced, Removal::erased}));
  EXPECT_EQ(left["erased"], std::vector{Removal::erased});
  EXPECT_EQ(left["evicted"], std::vector{Removal::evicted});
  EXPECT_EQ(left.count("wanted"), 0u);
  EXPECT_EQ(left.count("too heavy"), 0u);
}

TEST(TinyLfu, ReplacingWithAnEntryTooHeavyDropsTheOldValue) {
  TinyLfu<std::string, int> cache({.weight_max = 10, .entries_max = 10});
  cache.insert("key", 1, 1);

  EXPECT_FALSE(cache.insert("key", 2, 11));

  EXPECT_EQ(cache.peek(std::string("key")), nullptr);
  EXPECT_EQ(cache.weight(), 0u);
}

TEST(TinyLfu, AHotEntryOutlivesAFloodOfKeysSeenOnce) {
  TinyLfu<std::uint64_t, int> cache({.weight_max = 100, .entries_max = 100});
  for (std::uint64_t hot = 0; hot < 50; ++hot) cache.insert(hot, 1, 1);
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t hot = 0; hot < 50; ++hot) cache.find(hot);
  }

  for (std::uint64_t once = 1'000; once < 1'500; ++once) cache.insert(once, 1, 1);

  int kept = 0;
  for (std::uint64_t hot = 0; hot < 50; ++hot) kept += cache.peek(hot) != nullptr ? 1 : 0;
  EXPECT_GE(kept, 48);
}

TEST(TinyLfu, HoldsNothingWhenItMayHoldNoEntries) {
  TinyLfu<int, int> cache({.weight_max = 10, .entries_max = 0});

  EXPECT_FALSE(cache.insert(1, 1, 1));
  EXPECT_EQ(cache.size(), 0u);
}

struct NameHash {
  std::size_t operator()(std::string_view name) const {
    return std::hash<std::string_view>{}(name);
  }
};

TEST(TinyLfu, FindsByAnEqualKeyOfAnotherType) {
  TinyLfu<std::string, int, NameHash> cache({.weight_max = 10, .entries_max = 10});
  cache.insert("agent:42", 7, 1);

  const int* found = cache.find(std::string_view("agent:42"));

  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found, 7);
  EXPECT_TRUE(cache.erase(std::string_view("agent:42")));
}

TEST(FrequencySketch, CountsUpToFifteenAndForgetsByHalves) {
  FrequencySketch sketch;
  for (int i = 0; i < 100; ++i) sketch.add(0x123456789abcdefu);
  EXPECT_EQ(sketch.estimate(0x123456789abcdefu), FrequencySketch::kCountMax);

  // Two agings' worth of uses of other keys.
  FastRandom random(7);
  for (int i = 0; i < 1'500; ++i) sketch.add(random.next());

  EXPECT_LT(sketch.estimate(0x123456789abcdefu), FrequencySketch::kCountMax);
}

TEST(FrequencySketch, RarelyTakesOneKeyForAnother) {
  constexpr std::size_t kKeys = 4'096;
  FrequencySketch sketch;
  sketch.reserve(kKeys);
  FastRandom random(7);
  std::vector<std::uint64_t> keys(kKeys);
  for (std::uint64_t& key : keys) {
    key = random.next();
    sketch.add(key);
  }

  std::size_t too_often = 0;
  for (const std::uint64_t key : keys) {
    ASSERT_GE(sketch.estimate(key), 1u);
    too_often += sketch.estimate(key) > 1 ? 1 : 0;
  }

  EXPECT_LT(too_often, kKeys / 20);
}

TEST(FrequencySketch, GrowingForgetsNothing) {
  FrequencySketch sketch;
  FastRandom random(7);
  std::vector<std::uint64_t> keys(32);
  for (std::uint64_t& key : keys) {
    key = random.next();
    for (int i = 0; i < 6; ++i) sketch.add(key);
  }

  sketch.reserve(10'000);

  for (const std::uint64_t key : keys) EXPECT_GE(sketch.estimate(key), 6u);
}

}  // namespace
}  // namespace redoubt::local
