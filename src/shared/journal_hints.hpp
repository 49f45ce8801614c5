// Hints between instances that the journal has something new, over Redis' channels, so that the
// others need not wait for their next look at it.
//
// A hint is worth time and nothing else: one that is lost, late, doubled or forged changes no
// answer, because what counts is read from the journal. So nothing waits for it, nothing is sent
// again, and what it says is not looked at, but for whose it is.
//
// However much is announced, one hint is sent in each kHintPause, the first at once.
//
// Threads: announced(): any. The rest: the client's executor.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "redis/client.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace redoubt::shared {

inline constexpr Duration kHintPause{10};

struct JournalHintsParts {
  redis::Client& client;
  const SharedState& state;
  const Clock& clock;
  Timers& timers;
  Log& log;
  Metrics& metrics;
  std::function<void()> hurry;  // Another instance may have announced something.
};

class JournalHints final : private redis::SubscriptionHandler {
 public:
  // `identity`: of the record; `instance`: of this process alone.
  JournalHints(JournalHintsParts parts, std::string identity, std::string instance);

  void announced();

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
  boost::asio::awaitable<void> tell();

  const JournalHintsParts parts_;
  const std::string identity_;
  const std::string instance_;
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
