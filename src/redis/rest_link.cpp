#include "redis/rest_link.hpp"

#include "redis/classify.hpp"
#include "redis/rest_connection.hpp"
#include "wire/upstash_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>

namespace redoubt::redis {
namespace {

namespace asio = boost::asio;
namespace upstash = wire::upstash;

constexpr Duration kTickMax{25};
constexpr Duration kTickMin{1};
constexpr Duration kWarnEvery{60'000};
constexpr Duration kRest{1000};
constexpr std::chrono::milliseconds kJoinWithin{5};

std::vector<std::string_view> views_of(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

bool is_whole(const Submission& submission) {
  return submission.form != ScriptForm::by_sha;
}

// [["SET",...],["GET",...]] from the commands inside.
void finish_body(RestRequest& request) {
  if (request.shape == RestShape::pipeline && request.count == 1) {
    request.shape = RestShape::single;
    return;
  }
  if (request.shape == RestShape::single) return;
  request.path = request.shape == RestShape::transaction ? "/multi-exec" : "/pipeline";
  request.body.insert(0, "[");
  request.body += ']';
}

}  // namespace

Result<std::shared_ptr<asio::ssl::context>> make_rest_tls(const Options& options,
                                                          const RestTarget& target) {
  Tls tls = options.tls;
  tls.enabled = target.tls;
  return make_tls_context(tls);
}

RestLink::RestLink(std::shared_ptr<Shared> shared, RestTarget target, std::size_t connections_max)
    : shared_(std::move(shared)),
      target_(std::move(target)),
      connections_max_(connections_max),
      token_(std::get<Rest>(shared_->options.topology).token),
      tls_(shared_->tls),
      backoff_(shared_->options.backoff),
      tick_(shared_->parts.timers.alarm()),
      retry_(shared_->parts.timers.alarm()) {}

void RestLink::start() {
  open_one();
  asio::co_spawn(shared_->executor, sweep_often(),
                 [self = shared_from_this()](std::exception_ptr thrown) {
                   if (thrown) self->stop();
                 });
}

void RestLink::stop() {
  if (stopped_) return;
  const auto self = shared_from_this();
  stopped_ = true;
  tick_->ring();
  retry_->ring();
  const auto connections = connections_;
  for (const auto& connection : connections) connection->close("the client was stopped");
  give_up_waiting(not_sent("the client was stopped"));
}

std::size_t RestLink::in_flight() const {
  std::size_t count = 0;
  for (const RestBatch& batch : waiting_) count += batch.items.size();
  for (const auto& connection : connections_) count += connection->in_flight();
  return count;
}

bool RestLink::can_share(const Command& command) {
  const auto arguments = arguments_of(command, true);
  return upstash::is_text(views_of(arguments));
}

std::optional<Error> RestLink::why_not(std::size_t bytes) const {
  if (stopped_) return not_sent("the client was stopped");
  if (failing_) return not_sent(last_error_);
  if (waiting_bytes_ + bytes <= shared_->options.queue_bytes_max) return std::nullopt;
  return unavailable("redis_overloaded", "too much waits to be sent to Redis");
}

void RestLink::refuse(const RestBatch::Item& item, const Error& error) {
  shared_->metrics.unsent.add();
  if (item.sink != nullptr) item.sink->on_reply(item.index, fail(error));
}

void RestLink::submit(const Command& command, const Submission& submission) {
  const RestBatch::Item item{submission.sink, submission.index, submission.deadline};
  if (const auto error = why_not(command.size())) return refuse(item, *error);
  const auto texts = arguments_of(command, is_whole(submission));
  const auto arguments = views_of(texts);
  if (!upstash::is_text(arguments)) {
    RestBatch batch{.request = {.path = upstash::path_of(arguments), .body = texts.back()},
                    .items = {item}};
    if (!batch.request.path.empty()) return enqueue(std::move(batch));
    return refuse(item, Error(Errc::invalid_argument, "redis_not_supported",
                              "these bytes cannot be sent over REST"));
  }
  std::string json;
  upstash::append_command(json, arguments);
  if (!may_join(item, json.size())) {
    return enqueue({.request = {.shape = RestShape::pipeline, .path = {}, .body = std::move(json)},
                    .items = {item},
                    .may_grow = true});
  }
  RestBatch& last = waiting_.back();
  waiting_bytes_ += json.size() + 1;
  last.request.body.append(",").append(json);
  last.items.push_back(item);
  ++last.request.count;
}

// A request that waits ends as a whole: what is in it may not be sent after it was given up.
bool RestLink::may_join(const RestBatch::Item& item, std::size_t bytes) const {
  if (waiting_.empty() || !waiting_.back().may_grow) return false;
  const RestBatch& last = waiting_.back();
  const auto later = item.deadline - last.items.front().deadline;
  return later >= std::chrono::nanoseconds(0) && later <= kJoinWithin &&
         last.items.size() < kRestCommandsMax && last.request.body.size() + bytes < kRestBytesMax;
}

void RestLink::submit_together(std::span<const Command> commands, const Submission& submission,
                               RestShape shape) {
  RestBatch batch{.request = {.shape = shape, .path = {}, .body = {}, .count = commands.size()},
                  .items = {}};
  for (const Command& command : commands) {
    const auto texts = arguments_of(command, true);
    if (!batch.items.empty()) batch.request.body += ',';
    upstash::append_command(batch.request.body, views_of(texts));
    batch.items.push_back(
        {submission.sink, submission.index + batch.items.size(), submission.deadline});
  }
  if (const auto error = why_not(batch.request.body.size())) {
    for (const RestBatch::Item& item : batch.items) refuse(item, *error);
    return;
  }
  enqueue(std::move(batch));
}

void RestLink::enqueue(RestBatch batch) {
  waiting_bytes_ += batch.request.body.size();
  waiting_.push_back(std::move(batch));
  dispatch_later();
}

void RestLink::dispatch_later() {
  if (std::exchange(dispatch_posted_, true)) return;
  asio::post(shared_->executor, [self = shared_from_this()] {
    self->dispatch_posted_ = false;
    self->dispatch();
  });
}

void RestLink::dispatch() {
  if (std::exchange(resting_, false)) tick_->ring();
  sweep_waiting(shared_->now());
  for (const auto& connection : connections_) {
    if (waiting_.empty()) return;
    if (!connection->is_idle()) continue;
    RestBatch batch = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= std::min(waiting_bytes_, batch.request.body.size());
    finish_body(batch.request);
    shared_->counts.sent += batch.items.size();
    connection->send(std::move(batch));
  }
  const auto opening = static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& connection) { return !connection->is_open(); }));
  if (failing_ || stopped_) return;
  for (std::size_t i = opening; i < waiting_.size(); ++i) {
    if (connections_.size() >= connections_max_) return;
    open_one();
  }
}

void RestLink::open_one() {
  const auto connection = std::make_shared<RestConnection>(*this);
  connections_.push_back(connection);
  connection->start(attempts_++);
}

void RestLink::opened(RestConnection&) {
  if (failing_ || !was_open_) {
    shared_->parts.log.info("redis.connected",
                            {{"server", target_.endpoint.text()}, {"protocol", "rest"}});
  }
  failing_ = false;
  was_open_ = true;
  shared_->metrics.connects.add();
  ++shared_->counts.connects;
  backoff_ = BackoffMachine(shared_->options.backoff);
  dispatch();
}

void RestLink::open_failed(RestConnection& connection, const Error& why) {
  const auto self = shared_from_this();
  forget(connection);
  if (stopped_) return;
  last_error_ = why.cause.empty() ? why.message : why.cause;
  shared_->metrics.connect_failures.add();
  const auto is_open = [](const auto& one) { return one->is_open(); };
  if (std::ranges::any_of(connections_, is_open)) return;
  if (!failing_) shared_->parts.log.warn("redis.unreachable", {{"cause", last_error_}});
  failing_ = true;
  give_up_waiting(not_sent(last_error_));
  if (std::exchange(retrying_, true)) return;
  const Duration pause = backoff_.lost(Duration(0), shared_->parts.random);
  asio::co_spawn(shared_->executor, retry_later(pause), [](std::exception_ptr) {});
}

asio::awaitable<void> RestLink::retry_later(Duration pause) {
  const auto self = shared_from_this();
  co_await retry_->wait(std::max(pause, kTickMin));
  retrying_ = false;
  if (!stopped_ && connections_.empty()) open_one();
}

void RestLink::became_idle(RestConnection&) {
  if (!stopped_) dispatch();
}

void RestLink::lost(RestConnection& connection, const std::string& why) {
  forget(connection);
  if (why != "idle") shared_->metrics.losses.add();
  if (!stopped_ && !waiting_.empty()) dispatch_later();
}

void RestLink::forget(RestConnection& connection) {
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
}

void RestLink::give_up_waiting(const Error& error) {
  waiting_bytes_ = 0;
  const std::deque<RestBatch> waiting = std::exchange(waiting_, {});
  for (const RestBatch& batch : waiting) {
    for (const RestBatch::Item& item : batch.items) refuse(item, error);
  }
}

void RestLink::settle(RestBatch& batch, std::vector<Result<Value>> outcomes) {
  const auto self = shared_from_this();
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const RestBatch::Item& item = batch.items[i];
    if (item.sink == nullptr) continue;
    account(outcomes[i]);
    item.sink->on_reply(item.index, std::move(outcomes[i]));
  }
}

void RestLink::account(const Result<Value>& outcome) {
  if (outcome && !outcome->is_error()) {
    denied_ = false;
    return shared_->metrics.answered.add();
  }
  if (outcome) warn(classify(outcome->text()), outcome->text());
  if (outcome || !is_unknown(outcome.error())) {
    shared_->metrics.refused.add();
    const bool denied = !outcome && is_denied(outcome.error());
    if (denied && !std::exchange(denied_, true)) {
      shared_->parts.log.error("redis.denied", {{"cause", outcome.error().cause}});
    }
    return;
  }
  shared_->metrics.unknown.add();
  ++shared_->counts.unknown_outcomes;
}

// What an operator must mend is said now and then, not once a command.
void RestLink::warn(Meaning meaning, std::string_view text) {
  if (meaning != Meaning::denied && meaning != Meaning::full) return;
  const BootTime now = shared_->now();
  if (now < warn_again_at_) return;
  warn_again_at_ = now + kWarnEvery;
  shared_->parts.log.error("redis.refuses", {{"meaning", name_of(meaning)}, {"cause", text}});
}

asio::awaitable<void> RestLink::sweep_often() {
  const auto self = shared_from_this();
  while (!stopped_) {
    const Duration pause = sweep();
    if (stopped_) break;
    co_await tick_->wait(pause);
  }
}

Duration RestLink::sweep() {
  const BootTime now = shared_->now();
  sweep_waiting(now);
  const auto connections = connections_;
  for (const auto& connection : connections) connection->sweep(now);
  const bool busy = !waiting_.empty() ||
                    std::ranges::any_of(connections_, [](const auto& c) { return !c->is_idle(); });
  resting_ = !busy;
  return busy ? std::clamp(shared_->options.timeouts.operation / 4, kTickMin, kTickMax) : kRest;
}

// What waits past its deadline was not sent, for certain.
void RestLink::sweep_waiting(BootTime now) {
  for (std::size_t i = 0; i < waiting_.size();) {
    if (now < waiting_[i].items.front().deadline) {
      ++i;
      continue;
    }
    const RestBatch batch = std::move(waiting_[i]);
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    waiting_bytes_ -= std::min(waiting_bytes_, batch.request.body.size());
    for (const RestBatch::Item& item : batch.items) {
      refuse(item, not_sent("no connection in time"));
    }
  }
}

}  // namespace redoubt::redis
