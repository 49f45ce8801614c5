#include "faces/upstash/streams.hpp"

#include "wire/upstash.hpp"

#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace redoubt::faces {
namespace {

std::string event_of(std::string_view text) {
  std::string out;
  wire::upstash::append_event(out, text);
  return out;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

UpstashStreams::UpstashStreams(boost::asio::any_io_executor executor, redis::Client& client,
                               const UpstashGatekeeper& gatekeeper, Metrics& metrics,
                               std::size_t streams_max)
    : executor_(std::move(executor)),
      client_(client),
      gatekeeper_(gatekeeper),
      open_(metrics.gauge("redoubt_sse_streams", "Open event streams.", {{"kind", "upstash"}})),
      streams_max_(streams_max),
      alive_(std::make_shared<UpstashStreams*>(this)) {}

UpstashStreams::~UpstashStreams() {
  *alive_ = nullptr;
  subscription_.reset();
  monitor_.reset();
  for (Feed& feed : feeds_) {
    feed.stream->on_closed = nullptr;
    feed.stream->end();
    open_.add(-1);
  }
}

redis::SubscribeRequest UpstashStreams::request_of(const Wish& wish) const {
  redis::SubscribeRequest request;
  for (const Name& name : wish.names) {
    (wish.patterns ? request.patterns : request.channels).push_back(name.channel);
  }
  return request;
}

redis::SubscribeRequest UpstashStreams::not_followed_yet(const Wish& wish) const {
  redis::SubscribeRequest request = request_of(wish);
  std::erase_if(request.channels,
                [this](const auto& n) { return contains(followed_.channels, n); });
  std::erase_if(request.patterns,
                [this](const auto& n) { return contains(followed_.patterns, n); });
  return request;
}

bool UpstashStreams::follows(const Wish& wish, std::string_view name, bool pattern) const {
  return wish.patterns == pattern &&
         std::ranges::any_of(wish.names, [name](const Name& n) { return n.channel == name; });
}

// `already`: Redis has been asked for all of it before, and has said yes.
Result<void> UpstashStreams::subscribe(const Wish& wish, bool& already) {
  const redis::SubscribeRequest fresh = not_followed_yet(wish);
  already = subscription_ != nullptr && fresh.channels.empty() && fresh.patterns.empty();
  if (already) {
    // Somebody may wait for the same names; then all of them are told together.
    const auto waits = [&](const Feed& feed) {
      return !feed.confirmed && std::ranges::any_of(wish.names, [&](const Name& name) {
        return follows(feed.wish, name.channel, wish.patterns);
      });
    };
    already = std::ranges::none_of(feeds_, waits);
    return {};
  }
  if (subscription_) {
    subscription_->add(fresh);
  } else {
    RD_TRY(made, client_.subscribe(fresh, *this));
    subscription_ = std::move(made);
  }
  std::ranges::copy(fresh.channels, std::back_inserter(followed_.channels));
  std::ranges::copy(fresh.patterns, std::back_inserter(followed_.patterns));
  return {};
}

Result<void> UpstashStreams::start_monitor(bool& already) {
  const auto hears = [](const Feed& feed) { return feed.wish.monitor && feed.confirmed; };
  already = std::ranges::any_of(feeds_, hears);
  if (monitor_) return {};
  redis::SubscribeRequest request;
  request.monitor = true;
  RD_TRY(made, client_.subscribe(std::move(request), monitor_handler_));
  monitor_ = std::move(made);
  return {};
}

void UpstashStreams::follow(Wish wish, std::shared_ptr<net::ResponseStream> stream) {
  bool already = false;
  const Result<void> asked = wish.monitor ? start_monitor(already) : subscribe(wish, already);
  if (!asked) {
    stream->send(": " + asked.error().message + "\n\n");
    return stream->end();
  }
  stream->on_closed = [this] { forget_closed_later(); };
  Feed& feed = feeds_.emplace_back(Feed{.wish = std::move(wish), .stream = std::move(stream)});
  open_.add(1);
  if (already) confirm(feed);
}

void UpstashStreams::confirm(Feed& feed) {
  if (feed.confirmed) return;
  feed.confirmed = true;
  if (feed.wish.monitor) {
    feed.stream->send(event_of(R"("OK")"));
    return;
  }
  const std::string_view kind = feed.wish.patterns ? "psubscribe" : "subscribe";
  std::string events;
  std::size_t count = 0;
  for (const Name& name : feed.wish.names) {
    wire::upstash::append_event(events, fmt::format("{},{},{}", kind, name.shown, ++count));
  }
  feed.stream->send(events);
}

void UpstashStreams::subscribed(bool gap) {
  confirm_all(false, gap);
}

void UpstashStreams::confirm_all(bool monitors, bool gap) {
  for (Feed& feed : feeds_) {
    if (feed.wish.monitor != monitors) continue;
    if (gap && feed.confirmed) feed.stream->send(": gap\n\n");
    confirm(feed);
  }
}

void UpstashStreams::message(std::string_view channel, std::string_view payload,
                             std::string_view pattern) {
  const bool by_pattern = !pattern.empty();
  for (Feed& feed : feeds_) {
    const UpstashGrant& grant = feed.wish.grant;
    if (!follows(feed.wish, by_pattern ? pattern : channel, by_pattern) ||
        !gatekeeper_.may_hear(channel, grant)) {
      continue;
    }
    const std::string_view shown = gatekeeper_.shown(channel, grant);
    feed.stream->send(event_of(
        by_pattern
            ? fmt::format("pmessage,{},{},{}", gatekeeper_.shown(pattern, grant), shown, payload)
            : fmt::format("message,{},{}", shown, payload)));
  }
}

void UpstashStreams::monitored(std::string_view line) {
  const std::string event = event_of(line);
  for (Feed& feed : feeds_) {
    if (feed.wish.monitor) feed.stream->send(event);
  }
}

void UpstashStreams::lost(const Error&) {
  say_to_all(": lost\n\n", false);
}

void UpstashStreams::ping() {
  say_to_all(": ping\n\n", false);
  say_to_all(": ping\n\n", true);
}

void UpstashStreams::say_to_all(std::string_view comment, bool monitors) {
  for (Feed& feed : feeds_) {
    if (feed.wish.monitor == monitors) feed.stream->send(comment);
  }
}

// A stream may close while this walks through the feeds, and from inside the subscription.
void UpstashStreams::forget_closed_later() {
  if (std::exchange(forgetting_, true)) return;
  boost::asio::post(executor_, [alive = alive_] {
    if (*alive != nullptr) (*alive)->forget_closed();
  });
}

redis::SubscribeRequest UpstashStreams::not_followed_any_more() const {
  const auto wanted = [this](const std::string& name, bool pattern) {
    return std::ranges::any_of(feeds_,
                               [&](const Feed& feed) { return follows(feed.wish, name, pattern); });
  };
  redis::SubscribeRequest gone = followed_;
  std::erase_if(gone.channels, [&](const std::string& name) { return wanted(name, false); });
  std::erase_if(gone.patterns, [&](const std::string& name) { return wanted(name, true); });
  return gone;
}

void UpstashStreams::forget_closed() {
  forgetting_ = false;
  const std::size_t before = feeds_.size();
  feeds_.remove_if([](const Feed& feed) { return !feed.stream->open(); });
  open_.add(-static_cast<double>(before - feeds_.size()));
  if (std::ranges::none_of(feeds_, [](const Feed& feed) { return feed.wish.monitor; })) {
    monitor_.reset();
  }
  forget_unfollowed();
}

void UpstashStreams::forget_unfollowed() {
  if (std::ranges::all_of(feeds_, [](const Feed& feed) { return feed.wish.monitor; })) {
    subscription_.reset();
    followed_ = {};
    return;
  }
  const redis::SubscribeRequest gone = not_followed_any_more();
  if (gone.channels.empty() && gone.patterns.empty()) return;
  subscription_->remove(gone);
  std::erase_if(followed_.channels, [&](const auto& n) { return contains(gone.channels, n); });
  std::erase_if(followed_.patterns, [&](const auto& n) { return contains(gone.patterns, n); });
}

}  // namespace redoubt::faces
