// Claims: of all who want one at most one has it, until he gives it back or its time is over.
#include "tests/conformance/conformance.hpp"

#include "base/random.hpp"
#include "shared/claims.hpp"

#include <boost/asio/co_spawn.hpp>

#include <array>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::conformance {
namespace {

using shared::Claimed;
using shared::Claims;
using shared::CopyName;
using shared::Noun;

constexpr Duration kLong{60'000};
constexpr Duration kShort{30};

CopyName named(std::string_view id, std::string_view tenant = "acme") {
  return {.noun = Noun::cache, .tenant = tenant, .id = id};
}

// Two instances on one backend; in memory there is one.
class ClaimsConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (in_memory()) {
      memory_ = std::make_unique<shared::MemoryClaims>(loop_.clock);
      return;
    }
    state_ = usable_state();
    for (auto& client : clients_) client = connect();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      redis_[i] = shared::make_redis_claims(*clients_[i], *state_, loop_.metrics);
    }
  }

  Claims& of(std::size_t instance) { return memory_ ? *memory_ : *redis_[instance]; }
  Claimed claim(std::size_t instance, CopyName name, std::string token, Duration life = kLong) {
    return loop_.run(of(instance).claim(name, std::move(token), life));
  }
  void give_back(std::size_t instance, CopyName name, std::string token) {
    bool over = false;
    boost::asio::co_spawn(loop_.io, of(instance).give_back(name, std::move(token)),
                          [&over](std::exception_ptr thrown) {
                            over = true;
                            if (thrown) std::rethrow_exception(thrown);
                          });
    ASSERT_TRUE(loop_.until([&over] { return over; }));
  }

  std::unique_ptr<shared::MemoryClaims> memory_;
  std::unique_ptr<shared::SharedState> state_;
  std::array<std::unique_ptr<redis::Client>, 2> clients_;
  std::array<std::unique_ptr<Claims>, 2> redis_;
};
CONFORMANCE(ClaimsConformance, all_backends());

TEST_P(ClaimsConformance, AreOfOneAtATime) {
  EXPECT_EQ(claim(0, named("a"), "mine"), Claimed::ours);
  EXPECT_EQ(claim(1, named("a"), "yours"), Claimed::held);
  EXPECT_EQ(claim(1, named("b"), "yours"), Claimed::ours);
  EXPECT_EQ(claim(1, named("a", "globex"), "yours"), Claimed::ours);
}

TEST_P(ClaimsConformance, AreGivenBackByWhoHasThemAlone) {
  ASSERT_EQ(claim(0, named("a"), "mine"), Claimed::ours);
  give_back(1, named("a"), "yours");
  EXPECT_EQ(claim(1, named("a"), "yours"), Claimed::held);
  give_back(0, named("a"), "mine");
  EXPECT_EQ(claim(1, named("a"), "yours"), Claimed::ours);
  give_back(0, named("a"), "mine");
  EXPECT_EQ(claim(0, named("a"), "mine"), Claimed::held) << "it has passed to another";
}

TEST_P(ClaimsConformance, EndByThemselves) {
  ASSERT_EQ(claim(0, named("a"), "mine", kShort), Claimed::ours);
  EXPECT_TRUE(loop_.until([&] { return claim(1, named("a"), "yours") == Claimed::ours; }));
}

TEST_P(ClaimsConformance, OfManyAtOnceOneHasIt) {
  constexpr int kMany = 40;
  int ours = 0;
  int held = 0;
  for (int i = 0; i < kMany; ++i) {
    auto done = [&](std::exception_ptr thrown, Claimed claimed) {
      if (thrown) std::rethrow_exception(thrown);
      ours += claimed == Claimed::ours ? 1 : 0;
      held += claimed == Claimed::held ? 1 : 0;
    };
    auto task = of(static_cast<std::size_t>(i % 2)).claim(named("a"), std::to_string(i), kLong);
    boost::asio::co_spawn(loop_.io, std::move(task), done);
  }
  ASSERT_TRUE(loop_.until([&] { return ours + held == kMany; }));
  EXPECT_EQ(ours, 1);
}

TEST_P(ClaimsConformance, AreOfWhoeverTheModelSaysInAnyHistory) {
  SeededRandom random(20'261'126);
  std::map<std::string, std::string> holders;
  const std::vector<std::string> ids{"0", "one:1", std::string("\0\xFF", 2), "{b}"};
  for (int i = 0; i < 300 && !HasFatalFailure(); ++i) {
    const std::string& id = ids[random.below(ids.size())];
    const std::size_t instance = random.below(2);
    const std::string token = std::to_string(random.below(3));
    if (random.below(2) == 0) {
      const bool free = !holders.contains(id);
      ASSERT_EQ(claim(instance, named(id), token), free ? Claimed::ours : Claimed::held);
      if (free) holders[id] = token;
    } else {
      give_back(instance, named(id), token);
      const auto held = holders.find(id);
      if (held != holders.end() && held->second == token) holders.erase(held);
    }
  }
}

TEST_P(ClaimsConformance, AreUnknownWhileNobodyCanBeAsked) {
  if (in_memory()) {
    memory_->fail(true);
  } else {
    state_->refuse("test");
  }
  EXPECT_EQ(claim(0, named("a"), "mine"), Claimed::unknown);
}

}  // namespace
}  // namespace redoubt::conformance
