#include "shared/journal_hints.hpp"

#include "shared/keys.hpp"

#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <utility>

namespace redoubt::shared {
namespace {

constexpr Duration kLookAtGeneration{250};
constexpr std::chrono::minutes kRefusedPause{1};
constexpr std::string_view kHelp = "Hints to other instances that the journal has something new.";

}  // namespace

JournalHints::JournalHints(JournalHintsParts parts, std::string identity, std::string instance)
    : parts_(std::move(parts)),
      identity_(std::move(identity)),
      instance_(std::move(instance)),
      sent_(parts_.metrics.counter("redoubt_shared_hints_total", kHelp, {{"result", "sent"}})),
      unsent_(parts_.metrics.counter("redoubt_shared_hints_total", kHelp, {{"result", "unsent"}})),
      received_(
          parts_.metrics.counter("redoubt_shared_hints_total", kHelp, {{"result", "received"}})),
      alarm_(parts_.timers.alarm()) {}

void JournalHints::announced() {
  alarm_->ring();
}

boost::asio::awaitable<void> JournalHints::run() {
  while (!stopped_) {
    follow_generation();
    const bool announced = co_await alarm_->wait(kLookAtGeneration);
    const auto cancelled = (co_await boost::asio::this_coro::cancellation_state).cancelled();
    if (stopped_ || cancelled != boost::asio::cancellation_type::none) break;
    if (!announced) continue;
    co_await tell();
    co_await parts_.timers.sleep(kHintPause);
  }
  subscription_.reset();
}

void JournalHints::stop() {
  stopped_ = true;
  subscription_.reset();
  alarm_->ring();
}

boost::asio::awaitable<void> JournalHints::tell() {
  if (!parts_.state.usable() || channel_.empty()) {
    unsent_.add();
    co_return;
  }
  redis::Command command("PUBLISH");
  command.arg(channel_).arg(instance_);
  const Result<redis::Value> told = co_await parts_.client.run(std::move(command));
  (told ? sent_ : unsent_).add();
}

// The channel is that of the generation; a hint on another one would find nobody.
void JournalHints::follow_generation() {
  if (refused_) {
    subscription_.reset();
    channel_.clear();
    refused_ = false;
    listen_again_ = parts_.clock.boot() + kRefusedPause;
  }
  if (!parts_.state.usable() || parts_.clock.boot() < listen_again_) return;
  std::string channel = KeySpace(parts_.state.generation()).channel(Topic::journal, identity_);
  if (channel != channel_) listen(std::move(channel));
}

void JournalHints::listen(std::string channel) {
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

// Whatever was told while nobody listened is in the journal.
void JournalHints::subscribed(bool) {
  parts_.hurry();
}

void JournalHints::message(std::string_view, std::string_view payload, std::string_view) {
  if (payload == instance_) return;
  received_.add();
  // Else the record is asked for copies that are not read yet, and for its journal at every hint
  // besides: more than it ever is with Redis or without.
  if (parts_.state.all_reads_open()) parts_.hurry();
}

// A channel that the account may not hear would be asked for again and again.
void JournalHints::lost(const Error& error) {
  if (error.slug != "redis_denied" || std::exchange(refused_, true)) return;
  parts_.log.warn("shared.hints_unheard",
                  {{"cause", error.cause}, {"mend", "allow the account the channels rd:*"}});
}

}  // namespace redoubt::shared
