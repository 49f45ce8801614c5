// Whose Redis it is, and since when: the mark, the canary, and what becomes of keys when the mark
// is lost. The monitor's clock is moved on by hand, so that waits before a Redis is trusted again
// cost nothing.
#include "tests/conformance/conformance.hpp"

#include "base/random.hpp"
#include "shared/copies.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/watched_redis.hpp"

#include <array>
#include <string>

namespace redoubt::conformance {
namespace {

using shared::Availability;
using test::MemoryLedger;
using test::WatchedRedis;

class AdvancedClock final : public Clock {
 public:
  WallTime wall() const override { return clock_.wall() + ahead_; }
  BootTime boot() const override { return clock_.boot() + ahead_; }
  void advance(Duration by) { ahead_ += by; }

 private:
  SystemClock clock_;
  Duration ahead_{0};
};

class IncarnationConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    client_ = connect();
    lose_mark();
  }

  std::unique_ptr<WatchedRedis> instance(shared::Ledger& ledger, std::string name) {
    return std::make_unique<WatchedRedis>(
        loop_, clock_, ledger, *backend().options(),
        shared::MonitorOptions{.instance = std::move(name), .era = Duration(300'000)});
  }

  void lose_mark() {
    auto command = redis::Command("DEL").key(shared::kIncarnationKey);
    ASSERT_TRUE(loop_.run(client_->run(std::move(command))));
  }
  std::string text_of(std::string_view key) {
    auto command = redis::Command("GET").key(key).read_only();
    auto value = loop_.run(client_->run(std::move(command)));
    return value && value->is_text() ? value->take_text() : "(none)";
  }
  bool mark_says(std::string_view record, std::int64_t generation) {
    const auto mark = shared::decode_mark(text_of(shared::kIncarnationKey));
    return mark && mark->record == record && mark->generation == generation;
  }

  // One after the other, until all of them use Redis.
  bool settle(std::initializer_list<WatchedRedis*> all) {
    for (int i = 0; i < 100; ++i) {
      clock_.advance(Duration(31'000));  // Longer than any stay in `away`.
      bool normal = true;
      for (WatchedRedis* one : all) {
        one->round();
        normal = normal && one->state.status().state == Availability::normal;
      }
      if (normal) return true;
    }
    return false;
  }

  AdvancedClock clock_;
  std::unique_ptr<redis::Client> client_;
  MemoryLedger ledger_{"rec_ours"};
};
CONFORMANCE(IncarnationConformance, all_but_memory());

TEST_P(IncarnationConformance, AFreshRedisIsMarkedAndProvedByAWrite) {
  const auto first = instance(ledger_, "first");

  ASSERT_TRUE(first->start());

  EXPECT_TRUE(first->state.usable());
  EXPECT_EQ(first->state.generation(), 1);
  EXPECT_TRUE(mark_says("rec_ours", 1));
  EXPECT_NE(text_of("rd:hb:first"), "(none)");
  auto command = redis::Command("PTTL").key("rd:hb:first").read_only();
  EXPECT_GT(loop_.run(client_->run(std::move(command)))->as_integer(), 0);
}

TEST_P(IncarnationConformance, ASecondInstanceSharesTheGeneration) {
  const auto first = instance(ledger_, "first");
  ASSERT_TRUE(first->start());
  const auto second = instance(ledger_, "second");

  ASSERT_TRUE(second->start());

  EXPECT_TRUE(second->state.usable());
  EXPECT_EQ(second->state.generation(), 1);
  EXPECT_EQ(ledger_.now().generation, 1);
}

TEST_P(IncarnationConformance, ARedisOfAnotherRecordIsRefusedAndLeftAsItIs) {
  MemoryLedger theirs("rec_theirs");
  const auto other = instance(theirs, "other");
  ASSERT_TRUE(other->start());
  const auto ours = instance(ledger_, "ours");

  const auto started = ours->start();

  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().slug, "redis_of_another_record");
  EXPECT_FALSE(ours->state.usable());
  EXPECT_TRUE(mark_says("rec_theirs", 1));
  EXPECT_EQ(ledger_.now().generation, 0);
}

// Whatever the order in which two instances look: a mark that was lost is one step of the
// generation, and both come to the same.
TEST_P(IncarnationConformance, EveryLostMarkIsOneGeneration) {
  SeededRandom random(17);
  const auto first = instance(ledger_, "first");
  const auto second = instance(ledger_, "second");
  ASSERT_TRUE(first->start());
  ASSERT_TRUE(second->start());
  ASSERT_TRUE(settle({first.get(), second.get()}));

  for (std::int64_t generation = 2; generation < 8; ++generation) {
    lose_mark();
    for (std::uint64_t n = random.below(6); n > 0; --n) {
      clock_.advance(Duration(static_cast<std::int64_t>(random.below(2'000))));
      WatchedRedis& one = random.below(2) == 0 ? *first : *second;
      one.round();
    }
    ASSERT_TRUE(settle({second.get(), first.get()}));
    ASSERT_EQ(ledger_.now().generation, generation);
    ASSERT_TRUE(mark_says("rec_ours", generation));
    ASSERT_EQ(first->state.generation(), generation);
    ASSERT_EQ(second->state.generation(), generation);
  }
}

// A worker's client is admitted to what the monitor found, and what was written under an older
// generation is out of its reach.
TEST_P(IncarnationConformance, CopiesOfAnOlderGenerationAreOutOfReach) {
  const auto watched = instance(ledger_, "first");
  ASSERT_TRUE(watched->start());
  ASSERT_TRUE(settle({watched.get()}));
  redis::Client& worker = watched->make_worker();
  ASSERT_TRUE(loop_.run(worker.connected(Duration(10'000))));
  const auto copies = shared::make_redis_copies(worker, watched->state, watched->metrics);
  const shared::CopyName name{.noun = shared::Noun::session, .tenant = "acme", .id = "a"};
  const auto put = [&](std::string bytes) {
    watched->round();  // A view of the record is good for two seconds.
    shared::Copy copy{1, std::move(bytes)};
    return loop_.run(copies->put_if_newer(name, std::move(copy), Duration(60'000)));
  };
  const auto get = [&] {
    watched->round();
    return loop_.run(copies->get(name));
  };
  ASSERT_EQ(put("old"), shared::Stored::stored);
  ASSERT_TRUE(get());

  lose_mark();
  ASSERT_TRUE(settle({watched.get()}));

  clock_.advance(Duration(31'000));  // Reads begin slowly.
  ASSERT_TRUE(loop_.until([&] { return put("new") == shared::Stored::stored; }));
  const auto found = get();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes, "new") << "an equal version would have been replaced, an old one found";
}

}  // namespace
}  // namespace redoubt::conformance
