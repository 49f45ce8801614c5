// Several instances of the cache over one shared tier, in one process and one thread: its twin does
// what Redis may do.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/vault.hpp"
#include "record/cache_rows.hpp"
#include "services/cache/copies.hpp"
#include "services/cache/service.hpp"
#include "shared/memory_copies.hpp"
#include "tests/support/context.hpp"
#include "tests/support/fake_timers.hpp"
#include "tests/support/real_time.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"
#include "tests/support/timeless_record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::test {

inline RingKey ring_key() {
  RingKey key;
  key.key.fill(9);
  key.key[0] = 1;
  key.id = {9, 0, 0, 1};
  return key;
}

// One instance: its memory and what it knows of the shared tier.
struct CacheInstance {
  CacheInstance(ManualClock& clock, Random& random, Timers& timers, record::Record& record,
                Vault& vault, shared::MemoryCopies& copies, shared::MemoryClaims& claims, bool seal,
                bool told)
      : copies(copies), state(clock, metrics) {
    CacheOptions options;
    options.jitter_percent = 0;
    engine = cache::make_cache_engine(options, record, clock, random, metrics, &state.eras());
    const cache::CacheCopiesParts parts{copies, state, record, vault, clock, seal, &claims};
    service = cache::make_shared_cache(engine, record, timers, null_log(), parts);
    if (told) copies.tell(*engine);
  }
  ~CacheInstance() { copies.tell_no_more(*engine); }
  void poll(std::int64_t era, BootTime now) {
    shared::Eras& eras = state.eras();
    eras.poll_ended(eras.poll_begins(), era);
    state.learned(1, now);
  }

  shared::MemoryCopies& copies;
  Metrics metrics;
  shared::SharedState state;
  std::shared_ptr<cache::CacheEngine> engine;
  std::unique_ptr<Cache> service;
};

class CacheCopiesFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    auto record = std::make_unique<TimelessRecord>(home_.open(clock_, metrics_));
    timeless_ = record.get();
    record_ = std::move(record);
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
    instances_[at] = std::make_unique<CacheInstance>(clock_, random_, timers_, *record_, vault_,
                                                     copies_, claims_, seal, told_);
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
  // Whoever follows a PostgreSQL and has not looked for half an hour takes its journal for lost.
  void wait_for_look() const {
    const auto looked = [this] { return timeless_->has_looked(clock_); };
    const auto none = [] {};
    ASSERT_TRUE(poll_until(looked, none, std::chrono::milliseconds(5), 6'000));
  }

  Cache& cache(std::size_t at) { return *instances_[at]->service; }
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
    const cache::Address where = instances_[at]->engine->address("acme", key);
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
  FakeTimers timers_{io_, clock_};
  RecordHome home_;
  std::unique_ptr<record::Record> record_;
  const TimelessRecord* timeless_ = nullptr;
  shared::MemoryCopies copies_{clock_, metrics_};
  shared::MemoryClaims claims_{clock_};
  std::vector<std::unique_ptr<CacheInstance>> instances_;
  bool told_ = true;  // Of changes to copies that were read.
  std::int64_t era_ = 0;
  Caller caller_ = admin_of("acme");
  Context context_ = context_of(caller_);
};

}  // namespace redoubt::test
