// Watched copies: who has read a copy is told of the next change to it, or knows that he is not.
#include "tests/conformance/conformance.hpp"

#include "shared/copies.hpp"
#include "shared/memory_copies.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::conformance {
namespace {

using shared::Copies;
using shared::Copy;
using shared::CopyName;
using shared::Noun;
using shared::Stored;
using shared::Watched;

constexpr Duration kLife{60'000};

CopyName named(std::string_view id) {
  return {.noun = Noun::cache, .tenant = "ac:me", .id = id};
}

class Told final : public shared::CopyListener {
 public:
  void copy_changed(const CopyName& name) override { ids.emplace_back(name.id); }
  void copies_unwatched() override { ++unwatched; }

  std::ptrdiff_t of(std::string_view id) const { return std::ranges::count(ids, id); }

  std::vector<std::string> ids;
  int unwatched = 0;
};

class WatchedCopiesConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (in_memory()) {
      copies_ = std::make_unique<shared::MemoryCopies>(loop_.clock, loop_.metrics);
      return;
    }
    state_ = usable_state();
    tracking_ = shared::track_copies(told_, loop_.metrics);
    redis::ClientParts parts = loop_.parts();
    parts.tracking = tracking_.get();
    auto made = redis::make_client(loop_.io.get_executor(), *backend().options(), parts);
    ASSERT_TRUE(made) << made.error().message;
    client_ = std::move(*made);
    ASSERT_TRUE(loop_.run(client_->connected(Duration(20'000))));
    copies_ = shared::make_redis_copies(*client_, *state_, loop_.metrics);
    others_client_ = connect();
    others_ = shared::make_redis_copies(*others_client_, *state_, loop_.metrics);
  }
  void TearDown() override {
    if (client_) client_->stop();
    Conformance::TearDown();
  }

  // Of another instance; in memory there is one.
  Copies& others() { return others_ ? *others_ : *copies_; }
  Stored put(std::string_view id, std::string bytes) {
    return loop_.run(others().put(named(id), {1, std::move(bytes)}, kLife));
  }
  // The kind of what was read, the same for every name.
  Watched watch(std::vector<std::string> ids) {
    std::vector<CopyName> names;
    for (const std::string& id : ids) names.push_back(named(id));
    const auto found = loop_.run(copies_->watch_all(std::move(names)));
    EXPECT_EQ(found.size(), ids.size());
    for (const auto& copy : found) EXPECT_EQ(copy.watched, found.front().watched);
    return found.front().watched;
  }
  bool told_of(std::string_view id, std::ptrdiff_t times) {
    return loop_.until([&] { return told_.of(id) >= times; });
  }

  Told told_;
  std::unique_ptr<redis::TrackingHandler> tracking_;
  std::unique_ptr<shared::SharedState> state_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<redis::Client> others_client_;
  std::unique_ptr<Copies> copies_;
  std::unique_ptr<Copies> others_;
};
CONFORMANCE(WatchedCopiesConformance, all_backends());

TEST_P(WatchedCopiesConformance, AreWhatTheyWouldBeUnwatched) {
  ASSERT_EQ(put("a", "one"), Stored::stored);
  const auto found = loop_.run(copies_->watch(named("a")));
  ASSERT_TRUE(found.copy);
  EXPECT_EQ(found.copy->bytes, "one");
  EXPECT_NE(found.watched, Watched::no);
  EXPECT_FALSE(loop_.run(copies_->watch(named("none"))).copy);
}

TEST_P(WatchedCopiesConformance, AreToldOfOrKnownNotToBe) {
  ASSERT_EQ(put("a", "one"), Stored::stored);
  const Watched kind = watch({"a", "none", "b"});
  ASSERT_EQ(watch({"c"}), kind) << "it is a property of the server, not of the moment";
  ASSERT_EQ(put("a", "two"), Stored::stored);
  ASSERT_EQ(put("none", "one"), Stored::stored) << "what was not there is watched, too";
  ASSERT_EQ(loop_.run(others().bury(named("b"), kLife)), Stored::stored);
  if (kind == Watched::never) {
    EXPECT_TRUE(told_.ids.empty());
    return;
  }
  ASSERT_EQ(kind, Watched::yes);
  for (const std::string_view id : {"a", "none", "b"}) EXPECT_TRUE(told_of(id, 1)) << id;
  EXPECT_EQ(told_.of("c"), 0);
}

TEST_P(WatchedCopiesConformance, AreToldOfOnceForEachRead) {
  ASSERT_EQ(put("a", "one"), Stored::stored);
  if (watch({"a"}) == Watched::never) GTEST_SKIP() << "it does not tell";
  ASSERT_EQ(put("a", "two"), Stored::stored);
  ASSERT_TRUE(told_of("a", 1));
  ASSERT_EQ(put("a", "three"), Stored::stored);
  ASSERT_EQ(watch({"a", "b"}), Watched::yes);
  ASSERT_EQ(put("b", "one"), Stored::stored);
  ASSERT_TRUE(told_of("b", 1)) << "what came before it has arrived, then";
  EXPECT_EQ(told_.of("a"), 1);
  ASSERT_EQ(put("a", "four"), Stored::stored);
  EXPECT_TRUE(told_of("a", 2));
}

TEST_P(WatchedCopiesConformance, AreNotWatchedWhileNobodyCanBeAsked) {
  if (in_memory()) GTEST_SKIP() << "memory is always there";
  state_->refuse("test");
  EXPECT_EQ(watch({"a"}), Watched::no);
}

}  // namespace
}  // namespace redoubt::conformance
