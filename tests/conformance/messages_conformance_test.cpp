// Messages: a subscriber hears what was published to what it is subscribed to, and is told when it
// may have missed some.
#include "tests/conformance/conformance.hpp"

#include "base/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace redoubt::conformance {
namespace {

class Ear final : public redis::SubscriptionHandler {
 public:
  void subscribed(bool gap) override {
    ++(gap ? gaps : subscriptions);
    is_lost = false;
  }
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override {
    heard.push_back(fmt::format("{} {} by {}", channel, payload, pattern));
  }
  void lost(const Error&) override { is_lost = true; }

  bool has(std::string_view channel, std::string_view payload) const {
    return std::ranges::count(heard, fmt::format("{} {} by ", channel, payload)) == 1;
  }

  int subscriptions = 0;
  int gaps = 0;
  bool is_lost = false;
  std::vector<std::string> heard;
};

class MessagesConformance : public Conformance {
 protected:
  void SetUp() override {
    Conformance::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    client_ = connect();
    publisher_ = connect();
    prefix_ = fmt::format("rd:test:{}:", next_generation());
  }
  void TearDown() override {
    subscription_.reset();
    Conformance::TearDown();
  }

  std::string channel(std::string_view name) const { return prefix_ + std::string(name); }

  void subscribe(redis::SubscribeRequest request) {
    auto made = client_->subscribe(std::move(request), ear_);
    ASSERT_TRUE(made) << made.error().message;
    subscription_ = std::move(*made);
    ASSERT_TRUE(loop_.until([this] { return ear_.subscriptions == 1; }));
  }
  void publish(std::string_view name, std::string_view payload) {
    auto command = redis::Command("PUBLISH").arg(channel(name)).arg(payload);
    const auto told = loop_.run(publisher_->run(std::move(command)));
    ASSERT_TRUE(told) << told.error().message << told.error().cause;
  }
  bool hears(std::size_t messages) {
    return loop_.until([&] { return ear_.heard.size() >= messages; });
  }

  std::string prefix_;
  Ear ear_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<redis::Client> publisher_;
  std::unique_ptr<redis::Subscription> subscription_;
};
CONFORMANCE(MessagesConformance, all_but_memory());

TEST_P(MessagesConformance, AreHeardOnceForEachSubscriptionThatMatches) {
  SeededRandom random(23);
  redis::SubscribeRequest request;
  request.channels = {channel("a"), channel("b,c"), channel("\xC3\xA4")};
  const bool patterns = backend().takes_patterns();
  if (patterns) request.patterns = {channel("user:*"), channel("a*")};
  subscribe(std::move(request));
  const std::vector<std::string> names{"a", "b,c", "\xC3\xA4", "user:1", "ab", "nobody"};

  std::vector<std::string> wanted;
  for (int i = 0; i < 60; ++i) {
    const std::string& name = names[random.below(names.size())];
    const std::string payload = fmt::format("{}, \"{}\"\n", i, name);
    const auto expect = [&](std::string_view pattern) {
      wanted.push_back(fmt::format("{} {} by {}", channel(name), payload, pattern));
    };
    if (name == "a" || name == "b,c" || name == "\xC3\xA4") expect("");
    if (patterns && name.starts_with("user:")) expect(channel("user:*"));
    if (patterns && name.starts_with("a")) expect(channel("a*"));
    publish(name, payload);
    ASSERT_TRUE(hears(wanted.size())) << "message " << i << " was not heard";
  }

  publish("a", "last");
  ASSERT_TRUE(hears(wanted.size() + (patterns ? 2 : 1)));
  auto heard = ear_.heard;
  heard.resize(wanted.size());
  std::ranges::sort(heard);
  std::ranges::sort(wanted);
  EXPECT_EQ(heard, wanted);
  EXPECT_EQ(ear_.gaps, 0);
}

TEST_P(MessagesConformance, SubscriptionsAreAddedAndTakenAway) {
  subscribe({.channels = {channel("first")}, .patterns = {}});

  subscription_->add({.channels = {channel("second")}, .patterns = {}});
  ASSERT_TRUE(loop_.until([this] { return ear_.subscriptions == 2; }));
  publish("second", "x");
  ASSERT_TRUE(loop_.until([this] { return ear_.has(channel("second"), "x"); }));

  subscription_->remove({.channels = {channel("second")}, .patterns = {}});
  int number = 0;
  EXPECT_TRUE(loop_.until([&] {
    const std::string payload = fmt::format("gone {}", ++number);
    publish("second", payload);
    publish("first", payload);
    loop_.until([&] { return ear_.has(channel("first"), payload); });
    return !ear_.has(channel("second"), payload);
  }));
  EXPECT_TRUE(ear_.has(channel("first"), fmt::format("gone {}", number)));
}

TEST_P(MessagesConformance, ALostConnectionIsAGapAndThenTheyFlowAgain) {
  subscribe({.channels = {channel("a")}, .patterns = {}});

  const std::string killed = backend().on_each_server("client kill type pubsub");

  EXPECT_TRUE(loop_.until([this] { return ear_.gaps > 0 && !ear_.is_lost; })) << killed;
  publish("a", "after");
  EXPECT_TRUE(loop_.until([this] { return ear_.has(channel("a"), "after"); }));
}

}  // namespace
}  // namespace redoubt::conformance
