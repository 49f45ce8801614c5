// Hints that the journal has something new: whoever listens hears of it, and none of his own.
#include "tests/conformance/conformance.hpp"

#include "shared/journal_hints.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace redoubt::conformance {
namespace {

// One instance, as far as hints go.
class Instance {
 public:
  Instance(test::RedisLoop& loop, const redis::Options& options, std::int64_t generation,
           std::string name, std::string record)
      : loop_(loop), state_(loop.clock, metrics_), client_(loop.client(options)) {
    learn(generation);
    shared::JournalHintsParts parts{.client = *client_,
                                    .state = state_,
                                    .clock = loop.clock,
                                    .timers = *loop.timers,
                                    .log = null_log(),
                                    .metrics = metrics_,
                                    .hurry = [this] { ++hurried_; }};
    hints_ = std::make_unique<shared::JournalHints>(std::move(parts), std::move(record),
                                                    std::move(name));
    boost::asio::co_spawn(loop.io, hints_->run(), [this](std::exception_ptr) { over_ = true; });
  }
  ~Instance() {
    hints_->stop();
    loop_.until([this] { return over_; });
    client_->stop();
  }

  void learn(std::int64_t generation) {
    state_.learned(generation, loop_.clock.boot() + Duration(3'600'000));
    state_.canary_answered(true, {});
  }
  void announce() { hints_->announced(); }
  int hurried() const { return hurried_; }
  // It looks at the journal once it listens.
  bool listens() {
    return loop_.until([this] { return hurried_ > 0; }, std::chrono::seconds(20));
  }

 private:
  test::RedisLoop& loop_;
  Metrics metrics_;
  shared::SharedState state_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<shared::JournalHints> hints_;
  int hurried_ = 0;
  bool over_ = false;
};

class HintsConformance : public Conformance {
 protected:
  std::unique_ptr<Instance> instance(std::string name, const std::string& record = "rec_one") {
    return std::make_unique<Instance>(loop_, *backend().options(), generation_, std::move(name),
                                      record + std::to_string(generation_));
  }
  const std::int64_t generation_ = next_generation();
};
CONFORMANCE(HintsConformance, all_but_memory());

TEST_P(HintsConformance, ReachEveryOtherInstance) {
  const auto a = instance("a");
  const auto b = instance("b");
  const auto c = instance("c");
  ASSERT_TRUE(a->listens() && b->listens() && c->listens());
  const int of_b = b->hurried();
  const int of_c = c->hurried();

  a->announce();

  EXPECT_TRUE(loop_.until([&] { return b->hurried() > of_b && c->hurried() > of_c; }));
}

TEST_P(HintsConformance, AreNotHeardByWhoSentThemNorByAnotherRecord) {
  const auto a = instance("a");
  const auto b = instance("b");
  const auto stranger = instance("s", "rec_two");
  ASSERT_TRUE(a->listens() && b->listens() && stranger->listens());
  const int of_a = a->hurried();
  const int of_stranger = stranger->hurried();

  a->announce();
  ASSERT_TRUE(loop_.until([&] { return b->hurried() > 1; }));
  b->announce();
  ASSERT_TRUE(loop_.until([&] { return a->hurried() > of_a; }));

  EXPECT_EQ(a->hurried(), of_a + 1) << "the other's, and not its own, which came before";
  EXPECT_EQ(stranger->hurried(), of_stranger);
}

TEST_P(HintsConformance, ComeAfterEachPauseHoweverOftenItIsAnnounced) {
  const auto a = instance("a");
  const auto b = instance("b");
  ASSERT_TRUE(a->listens() && b->listens());
  for (int round = 0; round < 3; ++round) {
    const int before = b->hurried();
    for (int i = 0; i < 100; ++i) a->announce();
    ASSERT_TRUE(loop_.until([&] { return b->hurried() > before; }));
  }
}

}  // namespace
}  // namespace redoubt::conformance
