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
#include "shared/hint_channel.hpp"
#include "shared/state.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/timers.hpp>

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <string>

namespace redoubt::shared {

struct JournalHintsParts {
  redis::Client& client;
  const SharedState& state;
  const Clock& clock;
  Timers& timers;
  Log& log;
  Metrics& metrics;
  std::function<void()> hurry;  // Another instance may have announced something.
};

class JournalHints {
 public:
  // `identity`: of the record; `instance`: of this process alone.
  JournalHints(const JournalHintsParts& parts, std::string identity, std::string instance);

  void announced() { channel_.ring(); }

  // Tells and listens until it is cancelled or stopped.
  boost::asio::awaitable<void> run() { return channel_.run(); }
  void stop() { channel_.stop(); }  // Before the client's.

 private:
  HintChannel channel_;
};

}  // namespace redoubt::shared
