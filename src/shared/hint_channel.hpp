// A channel of Redis on which the instances of a record tell each other what may be lost: nobody
// waits for a message, and none is sent again by this. Each instance hears the others', and not
// itself.
//
// The channel is that of the generation (keys.hpp), and is followed as that moves on; also while
// the record is away, when it does not move. A message is the sender's name, and after a space what
// it says, if it says something.
//
// Threads: ring(): any. The rest: the client's executor.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "redis/client.hpp"
#include "shared/keys.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::shared {

inline constexpr Duration kHintPause{10};  // Between what is told and what is told next.

struct HintChannelParts {
  redis::Client& client;
  const SharedState& state;
  const Clock& clock;
  Timers& timers;
  Log& log;
  Metrics& metrics;
  std::string_view counter;  // By result: sent, unsent, received.
  std::string_view counter_help;
  Topic topic;
  std::string identity;  // Of the record.
  std::string instance;  // Of this process alone.
  // What is to be told now; asked for when it was rung, and four times a second.
  std::function<std::vector<std::string>(bool rung)> messages;
  std::function<void()> listening = {};  // What was told before was not heard.
  std::function<void(std::string_view)> heard;
};

class HintChannel final : private redis::SubscriptionHandler {
 public:
  explicit HintChannel(HintChannelParts parts);

  void ring();

  // Tells and listens until it is cancelled or stopped.
  boost::asio::awaitable<void> run();
  void stop();  // Before the client's.

 private:
  void subscribed(bool gap) override;
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override;
  void lost(const Error& error) override;

  void follow_generation();
  void listen(std::string channel);
  boost::asio::awaitable<void> tell(std::string_view text);

  const HintChannelParts parts_;
  Counter& sent_;
  Counter& unsent_;
  Counter& received_;
  const std::shared_ptr<Alarm> alarm_;
  std::string channel_;
  std::unique_ptr<redis::Subscription> subscription_;
  BootTime listen_again_{0};
  bool refused_ = false;
  bool stopped_ = false;
};

}  // namespace redoubt::shared
