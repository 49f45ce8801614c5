// What instances tell each other over a real Redis.
#include "shared/hint_channel.hpp"

#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace redoubt::shared {
namespace {

using test::RedisLoop;
using test::RedisServer;

struct Talking {
  Talking(RedisLoop& loop, const redis::Options& options, std::string name,
          Topic topic = Topic::invalidations)
      : loop(loop), state(loop.clock, metrics), client(loop.client(options)) {
    asked_record(loop.clock.boot());
    state.canary_answered(true, {});
    channel = std::make_unique<HintChannel>(
        HintChannelParts{.client = *client,
                         .state = state,
                         .clock = loop.clock,
                         .timers = *loop.timers,
                         .log = null_log(),
                         .metrics = metrics,
                         .counter = "hints_total",
                         .counter_help = "Hints.",
                         .topic = topic,
                         .identity = "rec_ours",
                         .instance = std::move(name),
                         .messages = [this](bool) { return std::exchange(to_tell, {}); },
                         .listening = [this] { listens = true; },
                         .heard = [this](std::string_view text) { heard.emplace_back(text); }});
    boost::asio::co_spawn(loop.io, channel->run(), [this](std::exception_ptr) { over = true; });
    loop.until([this] { return listens; });
  }
  ~Talking() {
    channel->stop();
    loop.until([this] { return over; });
    client->stop();
  }
  void asked_record(BootTime at) { state.learned(1, at); }
  void tell(std::vector<std::string> messages) {
    to_tell = std::move(messages);
    channel->ring();
  }

  RedisLoop& loop;
  Metrics metrics;
  SharedState state;
  std::unique_ptr<redis::Client> client;
  std::vector<std::string> to_tell;
  std::vector<std::string> heard;
  std::unique_ptr<HintChannel> channel;
  bool listens = false;
  bool over = false;
};

class HintChannelTest : public ::testing::Test {
 protected:
  RedisLoop loop_;
  RedisServer redis_;
  redis::Options options_ = test::standalone(redis_.port());
};

TEST_F(HintChannelTest, CarriesWhatIsSaidToTheOthersAndNotToWhoSaysIt) {
  Talking a(loop_, options_, "a");
  Talking b(loop_, options_, "b");
  Talking on_another(loop_, options_, "c", Topic::journal);

  const std::vector<std::string> said{"one", "with spaces  and\nlines", ""};
  a.tell(said);
  ASSERT_TRUE(loop_.until([&] { return b.heard.size() == said.size(); }));
  b.tell({"answer"});
  ASSERT_TRUE(loop_.until([&] { return !a.heard.empty(); }));

  EXPECT_EQ(b.heard, said);
  EXPECT_EQ(a.heard, std::vector<std::string>{"answer"});
  EXPECT_TRUE(on_another.heard.empty());
}

// The reason for some of what is said there.
TEST_F(HintChannelTest, CarriesOnWhileTheRecordIsNotAsked) {
  Talking a(loop_, options_, "a");
  Talking b(loop_, options_, "b");
  a.asked_record(loop_.clock.boot() - kViewLife);
  ASSERT_FALSE(a.state.usable());

  a.tell({"still"});

  EXPECT_TRUE(loop_.until([&] { return !b.heard.empty(); }));
}

}  // namespace
}  // namespace redoubt::shared
