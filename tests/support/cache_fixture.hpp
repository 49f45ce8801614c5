// What the cache's tests stand on: a real record, a virtual clock, and short ways to say things.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "services/cache/service.hpp"
#include "tests/support/context.hpp"
#include "tests/support/fake_timers.hpp"
#include "tests/support/record_home.hpp"
#include "tests/support/run.hpp"
#include "tests/support/timeless_record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace redoubt::test {

class CacheFixture : public ::testing::Test {
 protected:
  explicit CacheFixture(CacheOptions options = no_jitter()) { start(options); }

  static CacheOptions no_jitter() {
    CacheOptions options;
    options.jitter_percent = 0;
    return options;
  }

  void start(const CacheOptions& options) {
    record_ = std::make_unique<TimelessRecord>(home_.open(clock_, metrics_));
    engine_ = cache::make_cache_engine(options, *record_, clock_, random_, metrics_);
    record_->subscribe(cache::cache_listener(engine_));
    cache_ = cache::make_cache(engine_, *record_, timers_, null_log());
  }

  ~CacheFixture() override {
    if (record_) record_->stop();
  }

  CachePutResult put(CachePut request) { return put_as(context_, std::move(request)); }
  CachePutResult put_as(const Context& context, CachePut request) {
    auto result = run(cache_->put(context, std::move(request)));
    EXPECT_TRUE(result) << result.error().message;
    return result ? *result : CachePutResult{};
  }
  CachePutResult put(std::string key, std::string value) {
    return put(CachePut{.key = std::move(key), .value = std::move(value)});
  }

  CacheLookup get(std::string key) { return get_as(context_, std::move(key)); }
  CacheLookup get_as(const Context& context, std::string key) {
    auto result = run(cache_->get(context, CacheGet{.key = std::move(key)}));
    EXPECT_TRUE(result) << result.error().message;
    return result ? *result : CacheLookup{};
  }
  std::string value(std::string key) {
    const CacheLookup lookup = get(std::move(key));
    return lookup.entry ? lookup.entry->value : "(none)";
  }
  CacheState state(std::string key) { return get(std::move(key)).state; }

  // The lease of a key that is missing or stale.
  std::string lease(std::string key, Duration length = Duration(10'000)) {
    CacheGet request{.key = std::move(key), .lease = length};
    auto result = cache_->get_now(context_, request);
    EXPECT_TRUE(result && *result);
    return (**result).lease;
  }

  CacheInvalidated invalidate(CacheInvalidation request) {
    auto result = run(cache_->invalidate(context_, std::move(request)));
    EXPECT_TRUE(result) << result.error().message;
    return result ? *result : CacheInvalidated{};
  }
  CacheInvalidated invalidate_pattern(std::string pattern) {
    CacheInvalidation request;
    request.patterns.push_back(std::move(pattern));
    return invalidate(std::move(request));
  }

  ManualClock clock_;
  RecordHome home_;
  SeededRandom random_{7};
  Metrics metrics_;
  boost::asio::io_context io_;
  FakeTimers timers_{io_, clock_};
  std::unique_ptr<record::Record> record_;
  std::shared_ptr<cache::CacheEngine> engine_;
  std::unique_ptr<Cache> cache_;
  Caller caller_ = admin_of("acme");
  Caller other_caller_ = admin_of("globex");
  Context context_ = context_of(caller_);
  Context other_ = context_of(other_caller_);
};

// Callers that run beside each other on the fixture's io_context.
class Readers {
 public:
  Readers(boost::asio::io_context& io, Cache& cache, const Context& context)
      : io_(io), cache_(cache), context_(context) {}

  void add(CacheGet request) {
    auto& slot = *results_.emplace_back(std::make_unique<Slot>());
    boost::asio::co_spawn(io_,
                          keep_result<CacheLookup>(cache_.get(context_, std::move(request)), slot),
                          [](std::exception_ptr thrown) { EXPECT_EQ(thrown, nullptr); });
  }
  bool has_answer(std::size_t i) const { return results_[i]->has_value(); }
  const CacheLookup& operator[](std::size_t i) const { return ***results_[i]; }
  std::size_t answered() const {
    std::size_t n = 0;
    for (const auto& slot : results_) n += slot->has_value() ? 1 : 0;
    return n;
  }
  std::size_t size() const { return results_.size(); }

 private:
  using Slot = std::optional<Result<CacheLookup>>;
  boost::asio::io_context& io_;
  Cache& cache_;
  const Context& context_;
  std::vector<std::unique_ptr<Slot>> results_;
};

}  // namespace redoubt::test
