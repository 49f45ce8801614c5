#include "shared/hint_channel.hpp"

#include "redis/classify.hpp"

#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <utility>

namespace redoubt::shared {
namespace {

constexpr Duration kLookAtGeneration{250};
constexpr std::chrono::minutes kRefusedPause{1};

Counter& counter_of(const HintChannelParts& parts, std::string_view result) {
  return parts.metrics.counter(parts.counter, parts.counter_help, {{"result", result}});
}

}  // namespace

HintChannel::HintChannel(HintChannelParts parts)
    : parts_(std::move(parts)),
      sent_(counter_of(parts_, "sent")),
      unsent_(counter_of(parts_, "unsent")),
      received_(counter_of(parts_, "received")),
      alarm_(parts_.timers.alarm()) {}

void HintChannel::ring() {
  alarm_->ring();
}

boost::asio::awaitable<void> HintChannel::run() {
  while (!stopped_) {
    follow_generation();
    const bool rung = co_await alarm_->wait(kLookAtGeneration);
    const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
    if (stopped_ || cancelled != boost::asio::cancellation_type::none) break;
    const std::vector<std::string> messages = parts_.messages(rung);
    for (const std::string& text : messages) co_await tell(text);
    if (!messages.empty()) co_await parts_.timers.sleep(kHintPause);
  }
  subscription_.reset();
}

void HintChannel::stop() {
  stopped_ = true;
  subscription_.reset();
  alarm_->ring();
}

boost::asio::awaitable<void> HintChannel::tell(std::string_view text) {
  if (!parts_.state.reachable() || channel_.empty()) {
    unsent_.add();
    co_return;
  }
  std::string payload = parts_.instance;
  if (!text.empty()) payload.append(" ").append(text);
  redis::Command command("PUBLISH");
  command.arg(channel_).arg(payload);
  const Result<redis::Value> told = co_await parts_.client.run(std::move(command));
  (told ? sent_ : unsent_).add();
}

// The channel is that of the generation; a hint on another one would find nobody.
void HintChannel::follow_generation() {
  if (refused_) {
    subscription_.reset();
    channel_.clear();
    refused_ = false;
    listen_again_ = parts_.clock.boot() + kRefusedPause;
  }
  if (!parts_.state.reachable() || parts_.clock.boot() < listen_again_) return;
  const KeySpace keys(parts_.state.generation());
  std::string channel = keys.channel(parts_.topic, parts_.identity);
  if (channel != channel_) listen(std::move(channel));
}

void HintChannel::listen(std::string channel) {
  const redis::SubscribeRequest wanted{.channels = {channel}, .patterns = {}};
  const redis::SubscribeRequest before{.channels = {channel_}, .patterns = {}};
  channel_ = std::move(channel);
  if (subscription_) {
    subscription_->add(wanted);
    subscription_->remove(before);
    return;
  }
  auto made = parts_.client.subscribe(wanted, *this);
  if (made) {
    subscription_ = std::move(*made);
  } else {
    parts_.log.warn("shared.hints_unheard", {{"cause", made.error().cause}});
  }
}

void HintChannel::subscribed(bool) {
  if (parts_.listening) parts_.listening();
}

void HintChannel::message(std::string_view, std::string_view payload, std::string_view) {
  const std::size_t space = payload.find(' ');
  if (payload.substr(0, space) == parts_.instance) return;
  received_.add();
  parts_.heard(space == std::string_view::npos ? std::string_view() : payload.substr(space + 1));
}

// A channel that the account may not hear would be asked for again and again.
void HintChannel::lost(const Error& error) {
  if (!redis::is_denied(error) || std::exchange(refused_, true)) return;
  parts_.log.warn("shared.hints_unheard",
                  {{"cause", error.cause}, {"mend", "allow the account the channels rd:*"}});
}

}  // namespace redoubt::shared
