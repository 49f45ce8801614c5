#include "redis/rest_subscription.hpp"

#include "base/text.hpp"
#include "wire/http_reply.hpp"
#include "wire/upstash_client.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <array>
#include <limits>

namespace redoubt::redis {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kEventMax = 16 * 1024 * 1024;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr Duration kPhaseTick{25};

std::string_view take_field(std::string_view& text) {
  const std::size_t comma = std::min(text.find(','), text.size());
  const std::string_view field = text.substr(0, comma);
  text.remove_prefix(std::min(comma + 1, text.size()));
  return field;
}

}  // namespace

// One event stream.
class RestFeed final : public std::enable_shared_from_this<RestFeed> {
 public:
  RestFeed(RestFeeds& owner, std::vector<std::string> names, std::string_view kind)
      : owner_(&owner),
        shared_(owner.shared_),
        target_(owner.target_),
        names_(std::move(names)),
        kind_(kind),
        backoff_(shared_->options.backoff),
        alarm_(shared_->parts.timers.alarm()),
        watch_(shared_->parts.timers.alarm()) {}

  void start() {
    const auto keep = [self = shared_from_this()](std::exception_ptr thrown) {
      if (thrown) self->stop();
    };
    asio::co_spawn(shared_->executor, run(), keep);
    asio::co_spawn(shared_->executor, watch(), keep);
  }
  void stop() {
    owner_ = nullptr;
    if (stream_) stream_->stream().close();
    alarm_->ring();
    watch_->ring();
  }

  bool is_confirmed() const { return awaited_ == 0; }
  std::string_view kind() const { return kind_; }
  // False: nothing is left to hear.
  bool keep_only(const std::vector<std::string>& gone) {
    if (kind_ == "monitor") return true;
    std::erase_if(names_,
                  [&](const auto& name) { return std::ranges::find(gone, name) != gone.end(); });
    return !names_.empty();
  }

 private:
  std::string path() const {
    std::string path = "/" + std::string(kind_);
    for (const std::string& name : names_) path += "/" + percent_encode(name);
    return path;
  }

  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    while (owner_ != nullptr) {
      const BootTime begun = shared_->now();
      awaited_ = kind_ == "monitor" ? 1 : names_.size();
      const Result<void> heard = co_await listen();
      if (owner_ == nullptr) break;
      gap_ = confirmed_once_;
      const bool denied = !heard && is_denied(heard.error());
      owner_->lost(heard ? not_sent("the event stream ended") : heard.error());
      if (owner_ == nullptr) break;
      const auto lived = std::chrono::duration_cast<Duration>(shared_->now() - begun);
      const Duration pause = denied ? backoff_.refused(shared_->parts.random)
                                    : backoff_.lost(lived, shared_->parts.random);
      co_await alarm_->wait(std::max(pause, Duration(1)));
    }
    stream_.reset();
  }

  // Opening has its limits.
  asio::awaitable<void> watch() {
    const auto self = shared_from_this();
    while (owner_ != nullptr) {
      if (stream_) stream_->check_phase(shared_->now());
      co_await watch_->wait(kPhaseTick);
    }
  }

  Task<void> listen() {
    stream_ = std::make_unique<RestStream>(shared_, target_, shared_->tls);
    RD_CO_CHECK(co_await stream_->open(attempts_++));
    const Secret& token = std::get<Rest>(shared_->options.topology).token;
    const std::string request = to_http_stream(target_, token.reveal(), path());
    Stream& stream = stream_->stream();
    stream.write(request, [](bool) {});
    wire::HttpReply reply(std::numeric_limits<std::size_t>::max());
    wire::upstash::EventReader events(kEventMax);
    std::array<char, kReadBytes> buffer;
    std::string input;
    auto status = wire::HttpReply::Status::more;
    while (status == wire::HttpReply::Status::more && owner_ != nullptr) {
      const std::size_t n = co_await stream.read_some(buffer.data(), buffer.size());
      if (n == 0) break;
      input.append(buffer.data(), n);
      std::size_t used = 0;
      status = reply.feed(input, used);
      input.erase(0, used);
      if (!reply.has_head()) continue;
      if (reply.status() != 200) co_return fail(refusal(reply));
      RD_CO_CHECK(take_events(reply, events));
    }
    stream.close();
    co_return Result<void>{};
  }

  static Error refusal(wire::HttpReply& reply) {
    return rest_outcomes(RestShape::single, 1, reply.status(), reply.body()).front().error();
  }

  Result<void> take_events(wire::HttpReply& reply, wire::upstash::EventReader& events) {
    const auto on_event = [this](std::string_view text) { take_event(text); };
    const auto on_comment = [this](std::string_view text) { take_comment(text); };
    const bool good = events.feed(reply.body(), on_event, on_comment);
    reply.body().clear();
    if (good) return {};
    return fail(not_sent("an event over the limit"));
  }

  void take_event(std::string_view text) {
    if (owner_ == nullptr) return;
    if (kind_ == "monitor") {
      if (text == R"("OK")") return confirm();
      return owner_->heard({}, text, {});
    }
    const std::string_view kind = take_field(text);
    if (kind == "message") return take_message(text);
    if (kind == "pmessage") return take_pattern_message(text);
    if (kind == kind_) confirm();
  }

  // What our own face says of the connection behind it; others say nothing of the kind.
  void take_comment(std::string_view text) {
    if (owner_ == nullptr || !is_confirmed()) return;
    if (text == "lost") owner_->lost(not_sent("the REST service lost its connection to Redis"));
    if (text == "gap") owner_->confirmed(true);
  }

  void confirm() {
    if (awaited_ == 0 || --awaited_ > 0) return;
    confirmed_once_ = true;
    owner_->confirmed(std::exchange(gap_, false));
  }

  // A name may have commas, so it is known by the names that were asked for.
  const std::string* known(std::string_view text) const {
    const auto begins = [text](const std::string& name) {
      return text.starts_with(name) && text.size() > name.size() && text[name.size()] == ',';
    };
    const auto it = std::ranges::find_if(names_, begins);
    return it == names_.end() ? nullptr : &*it;
  }

  void take_message(std::string_view text) {
    const std::string* channel = known(text);
    if (channel == nullptr) return;
    owner_->heard(*channel, text.substr(channel->size() + 1), {});
  }

  void take_pattern_message(std::string_view text) {
    const std::string* pattern = known(text);
    if (pattern == nullptr) return;
    text.remove_prefix(pattern->size() + 1);
    const std::string_view channel = take_field(text);
    owner_->heard(channel, text, *pattern);
  }

  RestFeeds* owner_;  // Null: stopped.
  std::shared_ptr<Shared> shared_;
  const RestTarget target_;
  std::vector<std::string> names_;
  const std::string_view kind_;  // Static.
  BackoffMachine backoff_;
  std::shared_ptr<Alarm> alarm_;
  std::shared_ptr<Alarm> watch_;
  std::unique_ptr<RestStream> stream_;
  std::size_t attempts_ = 0;
  std::size_t awaited_ = 1;  // Confirmations.
  bool confirmed_once_ = false;
  bool gap_ = false;
};

void RestFeeds::add(const SubscribeRequest& request) {
  if (request.monitor) follow({}, "monitor");
  if (!request.channels.empty()) follow(request.channels, "subscribe");
  if (!request.patterns.empty()) follow(request.patterns, "psubscribe");
}

void RestFeeds::follow(std::vector<std::string> names, std::string_view kind) {
  const auto feed = std::make_shared<RestFeed>(*this, std::move(names), kind);
  feeds_.push_back(feed);
  feed->start();
}

void RestFeeds::remove(const SubscribeRequest& request) {
  std::erase_if(feeds_, [&](const std::shared_ptr<RestFeed>& feed) {
    const auto& gone = feed->kind() == "psubscribe" ? request.patterns : request.channels;
    if (feed->keep_only(gone)) return false;
    feed->stop();
    return true;
  });
}

void RestFeeds::stop() {
  handler_ = nullptr;
  const auto feeds = std::exchange(feeds_, {});
  for (const auto& feed : feeds) feed->stop();
}

void RestFeeds::confirmed(bool gap) {
  gap_ = gap_ || gap;
  const auto is_confirmed = [](const auto& feed) { return feed->is_confirmed(); };
  if (handler_ == nullptr || !std::ranges::all_of(feeds_, is_confirmed)) return;
  handler_->subscribed(std::exchange(gap_, false));
}

void RestFeeds::lost(const Error& error) {
  if (handler_ != nullptr) handler_->lost(error);
}

void RestFeeds::heard(std::string_view channel, std::string_view payload,
                      std::string_view pattern) {
  if (handler_ != nullptr) handler_->message(channel, payload, pattern);
}

namespace {

class RestSubscription final : public Subscription {
 public:
  explicit RestSubscription(std::shared_ptr<RestFeeds> feeds) : feeds_(std::move(feeds)) {}
  ~RestSubscription() override { feeds_->stop(); }

  void add(const SubscribeRequest& request) override { feeds_->add(request); }
  void remove(const SubscribeRequest& request) override { feeds_->remove(request); }

 private:
  std::shared_ptr<RestFeeds> feeds_;
};

}  // namespace

std::unique_ptr<Subscription> make_rest_subscription(std::shared_ptr<RestFeeds> feeds) {
  return std::make_unique<RestSubscription>(std::move(feeds));
}

}  // namespace redoubt::redis
