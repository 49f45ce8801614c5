// Copies that are watched, in a real Redis.
#include "shared/copies.hpp"

#include "shared/claims.hpp"
#include "shared/state.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::shared {
namespace {

using test::RedisLoop;
using test::RedisServer;

class Told final : public CopyListener {
 public:
  void copy_changed(const CopyName& name) override {
    names.push_back(std::string(noun_name(name.noun)) + "/" + std::string(name.tenant) + "/" +
                    std::string(name.id));
  }
  void copies_unwatched() override { ++unwatched; }
  std::vector<std::string> names;
  int unwatched = 0;
};

class CopyTracking : public ::testing::Test {
 protected:
  void SetUp() override {
    state_.learned(3, loop_.clock.boot() + std::chrono::hours(1));
    state_.canary_answered(true, {});
    redis::ClientParts parts = loop_.parts();
    parts.tracking = tracking_.get();
    auto made =
        redis::make_client(loop_.io.get_executor(), test::standalone(server_.port()), parts);
    ASSERT_TRUE(made);
    client_ = std::move(*made);
    copies_ = make_redis_copies(*client_, state_, loop_.metrics);
    claims_ = make_redis_claims(*client_, state_, loop_.metrics);
  }
  static CopyName named(std::string_view id) {
    return {.noun = Noun::cache, .tenant = "ac:me", .id = id};
  }
  Claimed claim(std::string token, Duration life = Duration(10'000)) {
    return loop_.run(claims_->claim(named("a"), std::move(token), life));
  }

  RedisServer server_;
  RedisLoop loop_;
  Told told_;
  SharedState state_{loop_.clock, loop_.metrics, {Duration(2'000), Duration(2'000)}};
  std::unique_ptr<redis::TrackingHandler> tracking_ = track_copies(told_, loop_.metrics);
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<Copies> copies_;
  std::unique_ptr<Claims> claims_;
};

TEST_F(CopyTracking, TellsOfWhatWasReadByItsName) {
  ASSERT_EQ(loop_.run(copies_->put(named("a:1"), {.version = 1, .bytes = "one"}, Duration(60'000))),
            Stored::stored);
  std::vector<CopyName> names{named("a:1"), named("b")};
  const auto found = loop_.run(copies_->watch_all(std::move(names)));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].copy->bytes, "one");
  EXPECT_EQ(found[0].watched, Watched::yes);
  EXPECT_FALSE(found[1].copy);
  EXPECT_EQ(found[1].watched, Watched::yes);

  server_.cli("set 'rd:3:{ac%3Ame}:cache:b' strange");
  ASSERT_TRUE(loop_.until([&] { return !told_.names.empty(); }));
  server_.cli("del 'rd:3:{ac%3Ame}:cache:a%3A1'");
  ASSERT_TRUE(loop_.until([&] { return told_.names.size() == 2; }));
  EXPECT_EQ(told_.names, (std::vector<std::string>{"cache/ac:me/b", "cache/ac:me/a:1"}));
}

TEST_F(CopyTracking, IsNotWatchedWhatCouldNotBeRead) {
  EXPECT_EQ(loop_.run(copies_->watch(named("a"))).watched, Watched::yes);
  state_.refuse("test");
  EXPECT_EQ(loop_.run(copies_->watch(named("a"))).watched, Watched::no);
}

TEST_F(CopyTracking, AClaimIsOfOneAndEndsByItsTokenOrItsTime) {
  EXPECT_EQ(claim("mine"), Claimed::ours);
  EXPECT_EQ(claim("yours"), Claimed::held);
  loop_.run(copies_->watch(named("a")));
  const auto give_back = [&](std::string token) {
    std::optional<bool> done;
    boost::asio::co_spawn(loop_.io, claims_->give_back(named("a"), std::move(token)),
                          [&](std::exception_ptr) { done = true; });
    EXPECT_TRUE(loop_.until([&] { return done.has_value(); }));
  };
  give_back("yours");
  EXPECT_EQ(claim("yours"), Claimed::held) << "it was not theirs to give back";
  give_back("mine");
  EXPECT_EQ(claim("yours", Duration(50)), Claimed::ours);
  EXPECT_TRUE(loop_.until([&] { return claim("next") == Claimed::ours; })) << "it has ended";
  EXPECT_TRUE(told_.names.empty()) << "a claim is no copy";
}

}  // namespace
}  // namespace redoubt::shared
