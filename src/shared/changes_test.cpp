#include "shared/changes.hpp"

#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::shared {
namespace {

void poll(Eras& eras, std::int64_t era) {
  eras.poll_ended(eras.poll_begins(), era);
}

bool allows(const Changes& changes, std::int64_t era, std::string_view name, std::int64_t value) {
  const Changes::Dependency on[] = {{name, value}};
  return changes.allows(era, on);
}

TEST(Eras, RefuseCopiesFromBeforeTheStartAndFromLongAgo) {
  Eras eras;
  EXPECT_EQ(eras.current(), 0);
  EXPECT_FALSE(eras.heard_before(1));
  poll(eras, 7);
  EXPECT_FALSE(eras.heard_before(7));
  poll(eras, 8);
  EXPECT_TRUE(eras.heard_before(8));
  poll(eras, 9);
  EXPECT_TRUE(eras.heard_before(8));
  poll(eras, 10);
  EXPECT_FALSE(eras.heard_before(8));
  EXPECT_TRUE(eras.heard_before(11)) << "of a writer that knows of a later era";
}

TEST(Changes, RefuseTheCopiesThatMayBeOlderAndNoOthers) {
  Eras eras;
  Changes changes(eras);
  poll(eras, 1);
  poll(eras, 2);
  EXPECT_TRUE(allows(changes, 2, "a", 1));

  changes.heard("a");

  EXPECT_FALSE(allows(changes, 2, "a", 1));
  EXPECT_FALSE(allows(changes, 3, "a", 1)) << "who knows when era 3 began";
  EXPECT_TRUE(allows(changes, 2, "b", 1));
  poll(eras, 2);
  EXPECT_FALSE(allows(changes, 2, "a", 1));
  EXPECT_TRUE(allows(changes, 3, "a", 1)) << "it began after the change";
}

TEST(Changes, AllowCopiesThatHaveTheChangeInThem) {
  Eras eras;
  Changes changes(eras);
  poll(eras, 1);
  poll(eras, 2);

  changes.heard("a", 5);
  changes.heard("a", 4);

  EXPECT_FALSE(allows(changes, 2, "a", 4));
  EXPECT_TRUE(allows(changes, 2, "a", 5));
  changes.heard("a");
  EXPECT_FALSE(allows(changes, 2, "a", 6));
}

TEST(Changes, RefuseEverythingAfterAGap) {
  Eras eras;
  Changes changes(eras);
  poll(eras, 1);
  poll(eras, 2);
  changes.heard_everything();
  EXPECT_FALSE(allows(changes, 2, "a", 9));
  poll(eras, 3);
  EXPECT_FALSE(allows(changes, 3, "a", 9)) << "era 3 may have begun before";
  poll(eras, 4);
  EXPECT_TRUE(allows(changes, 4, "a", 9));
}

TEST(Changes, ForgetWhatConcernsNoUsableCopyAndStayWithinTheirBound) {
  Eras eras;
  Changes changes(eras, 10'000);
  poll(eras, 1);
  poll(eras, 2);
  for (int i = 0; i < 10'000; ++i) changes.heard("old" + std::to_string(i));
  for (std::int64_t era = 3; era < 7; ++era) poll(eras, era);
  changes.heard("one more");
  EXPECT_EQ(changes.names(), 1U);
  for (int i = 0; i < 30'000; ++i) changes.heard("new" + std::to_string(i));
  EXPECT_LE(changes.names(), 10'000U);
  EXPECT_FALSE(allows(changes, 6, "new1", 1)) << "forgotten for room: everything counts as changed";
}

// Random histories of a record, instances that hear of it late and in any order, that pause and
// restart, and a store of copies that keeps and returns whatever was ever put into it. No instance
// may use a copy that lacks a change it has heard of, or that was acknowledged before it started.
class Histories {
 public:
  explicit Histories(std::uint64_t seed) : random_(seed) {
    for (Instance& instance : instances_) restart(instance);
  }

  void step() {
    Instance& instance = instances_[random_.below(instances_.size())];
    switch (random_.below(9)) {
      case 0:
        return change();
      case 1:
        if (random_.below(4) == 0) ++era_;
        return;
      case 2:
        return begin_poll(instance);
      case 3:
        return end_poll(instance);
      case 4:
        return hear(instance);
      case 5:
        return begin_copy(instance);
      case 6:
        return end_copy(instance);
      case 7:
        if (random_.below(60) == 0) restart(instance);
        return;
      default:
        return check(instance);
    }
  }
  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t kNames = 3;
  struct Announcement {
    std::size_t name;
    std::int64_t version;
    bool valued;
  };
  struct CopyOf {
    std::size_t name;
    std::int64_t era;
    std::int64_t version;
  };
  struct Instance {
    std::unique_ptr<Eras> eras;
    std::unique_ptr<Changes> changes;
    std::vector<Announcement> queue;
    std::array<std::int64_t, kNames> at_least{};
    std::optional<Eras::Ticket> poll;
    std::int64_t polled = 0;
    std::optional<CopyOf> reading;
  };

  void change() {
    const std::size_t name = random_.below(kNames);
    const Announcement announcement{name, ++truth_[name], random_.below(2) == 0};
    for (Instance& instance : instances_) instance.queue.push_back(announcement);
  }
  void begin_poll(Instance& instance) {
    if (instance.poll) return;
    instance.poll = instance.eras->poll_begins();
    instance.polled = era_;
  }
  void end_poll(Instance& instance) {
    if (!instance.poll) return;
    instance.eras->poll_ended(*instance.poll, instance.polled);
    instance.poll.reset();
  }
  void hear(Instance& instance) {
    if (instance.queue.empty()) return;
    const auto at = static_cast<std::ptrdiff_t>(random_.below(instance.queue.size()));
    const Announcement heard = instance.queue[static_cast<std::size_t>(at)];
    instance.queue.erase(instance.queue.begin() + at);
    instance.changes->heard(std::to_string(heard.name),
                            heard.valued ? heard.version : Changes::kEnds);
    std::int64_t& known = instance.at_least[heard.name];
    known = std::max(known, heard.version);
  }
  // The stamp is read first, the record later.
  void begin_copy(Instance& instance) {
    if (instance.eras->current() == 0) return;
    instance.reading = CopyOf{random_.below(kNames), instance.eras->current(), 0};
  }
  void end_copy(Instance& instance) {
    if (!instance.reading) return;
    instance.reading->version = truth_[instance.reading->name];
    copies_.push_back(*instance.reading);
    instance.reading.reset();
  }
  void restart(Instance& instance) {
    instance = Instance{};
    instance.eras = std::make_unique<Eras>();
    instance.changes = std::make_unique<Changes>(*instance.eras);
    instance.at_least = truth_;
    poll(*instance.eras, era_);
    ++era_;
  }
  void check(const Instance& instance) {
    for (const CopyOf& copy : copies_) {
      if (!allows(*instance.changes, copy.era, std::to_string(copy.name), copy.version)) continue;
      ++used_;
      ASSERT_GE(copy.version, instance.at_least[copy.name]);
    }
  }

  SeededRandom random_;
  std::int64_t era_ = 1;
  std::array<std::int64_t, kNames> truth_{};
  std::array<Instance, 3> instances_;
  std::vector<CopyOf> copies_;
  std::size_t used_ = 0;
};

TEST(Changes, NeverAllowACopyThatLacksAChangeThatWasHeard) {
  std::size_t used = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    Histories history(seed);
    for (int i = 0; i < 600; ++i) history.step();
    if (HasFatalFailure()) return;
    used += history.used();
  }
  EXPECT_GT(used, 1'000U) << "too few copies were allowed to say anything";
}

}  // namespace
}  // namespace redoubt::shared
