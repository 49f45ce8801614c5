#include "redis/link.hpp"

#include "redis/classify.hpp"
#include "redis/tracking.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>
#include <exception>

namespace redoubt::redis {
namespace {

namespace asio = boost::asio;

// After this long without a command, the sweeper looks only as often as an idle connection is
// pinged.
constexpr Duration kRestAfter{200};
constexpr Duration kTickMax{25};
constexpr Duration kTickMin{1};
// How often it is asked again whether an attempt is allowed, at random below this: many clients of a
// server that came back do not connect in step.
constexpr Duration kHeldBackMax{100};

class FixedTarget final : public Target {
 public:
  explicit FixedTarget(Endpoint endpoint) : endpoint_(std::move(endpoint)) {}
  Task<Endpoint> find() override { co_return endpoint_; }

 private:
  Endpoint endpoint_;
};

}  // namespace

std::shared_ptr<Target> fixed_target(Endpoint endpoint) {
  return std::make_shared<FixedTarget>(std::move(endpoint));
}

Link::Link(std::shared_ptr<Shared> shared, ConnectionPlan plan, std::shared_ptr<Target> target,
           LinkObserver* observer)
    : shared_(std::move(shared)),
      plan_(std::move(plan)),
      target_(std::move(target)),
      observer_(observer),
      backoff_(shared_->options.backoff),
      retry_(shared_->parts.timers.alarm()),
      tick_(shared_->parts.timers.alarm()) {}

void Link::start() {
  const auto keep = [self = shared_from_this()](std::exception_ptr thrown) {
    if (!thrown || self->stopped_) return;
    self->shared_->parts.log.error("background.died", {{"task", "redis.link"}});
    self->stop();
  };
  asio::co_spawn(shared_->executor, run(), keep);
  asio::co_spawn(shared_->executor, sweep_often(), keep);
}

void Link::stop() {
  if (stopped_) return;
  const auto self = shared_from_this();
  stopped_ = true;
  if (ready_) forget_watched();
  ready_ = false;
  observer_ = nullptr;
  target_->stop();
  retry_->ring();
  tick_->ring();
  const Error why = not_sent("the client was stopped");
  if (connection_) connection_->close(why);
  give_up_waiting(why);
  for (const auto& watcher : watchers_) watcher->ring();
}

std::size_t Link::in_flight() const {
  return waiting_.size() + (connection_ ? connection_->in_flight() : 0);
}

void Link::submit(const Command& command, const Submission& submission) {
  if (auto error = why_not(command.size())) return refuse(submission, std::move(*error));
  wake_sweeper();
  if (is_ready()) {
    if (command.watched() != nullptr) watch(command, submission);
    return connection_->submit(command, submission);
  }
  waiting_bytes_ += command.size();
  waiting_.push_back({&command, submission});
}

// The server remembers the keys of the very next command.
void Link::watch(const Command& command, const Submission& submission) {
  const bool tracked = facts_.tracks && submission.watched;
  if (tracked) connection_->submit(watch_next(), {.deadline = submission.deadline});
  *command.watched() = tracked ? Watched::yes : facts_.tracks ? Watched::no : Watched::never;
}

void Link::forget_watched() {
  if (facts_.tracks && shared_->parts.tracking != nullptr) shared_->parts.tracking->all_changed();
}

void Link::submit_together(std::span<const Command> commands, const Submission& submission) {
  std::size_t bytes = 0;
  for (const Command& command : commands) bytes += command.size();
  std::optional<Error> error = why_not(bytes);
  Submission each = submission;
  for (const Command& command : commands) {
    if (error) {
      refuse(each, *error);
    } else {
      submit(command, each);
    }
    ++each.index;
  }
}

std::optional<Error> Link::why_not(std::size_t bytes) const {
  if (stopped_) return not_sent("the client was stopped");
  if (failing_) return not_sent(last_error_);
  const bool room = is_ready() ? connection_->has_room(bytes)
                               : waiting_bytes_ + bytes <= shared_->options.queue_bytes_max;
  if (room) return std::nullopt;
  return unavailable("redis_overloaded", "too much waits to be sent to Redis");
}

void Link::refuse(const Submission& submission, Error error) {
  shared_->metrics.unsent.add();
  if (submission.sink != nullptr) {
    submission.sink->on_reply(submission.index, fail(std::move(error)));
  }
}

void Link::renew(std::string why) {
  if (connection_) connection_->close(not_sent(std::move(why)));
  retry_->ring();
}

void Link::drop(Error why) {
  if (connection_) connection_->close(std::move(why));
}

Task<void> Link::connected(Duration limit) {
  const auto self = shared_from_this();
  const BootTime end = in(limit);
  while (!is_ready() && !stopped_) {
    const auto left = std::chrono::ceil<Duration>(end - shared_->now());
    if (left.count() <= 0) break;
    const std::shared_ptr<Alarm> watcher = shared_->parts.timers.alarm();
    watchers_.push_back(watcher);
    co_await watcher->wait(left);
    std::erase(watchers_, watcher);
  }
  if (is_ready()) co_return Result<void>{};
  co_return fail(not_sent(last_error_.empty() ? "connecting takes too long" : last_error_));
}

asio::awaitable<void> Link::run() {
  const auto self = shared_from_this();
  while (!stopped_) {
    if (!may_connect()) {
      hold_back();
      const auto below = static_cast<std::uint64_t>(kHeldBackMax.count());
      co_await retry_->wait(
          Duration(1 + static_cast<std::int64_t>(shared_->parts.random.below(below))));
      continue;
    }
    Result<ServerFacts> opened = co_await attempt();
    if (stopped_) break;
    Duration pause{0};
    if (opened) {
      became_ready(std::move(*opened));
      const Error why = co_await connection_->serve();
      if (stopped_) break;
      pause = became_lost(why);
    } else {
      pause = attempt_failed(opened.error());
    }
    connection_.reset();
    if (pause.count() > 0 && !stopped_) co_await retry_->wait(pause);
  }
  connection_.reset();
}

// Sentinels are no Redis: what is asked there is where to look.
bool Link::may_connect() const {
  const bool asked = shared_->parts.may_connect && plan_.handshake.ask_facts && !plan_.probe;
  return !asked || shared_->parts.may_connect();
}

void Link::hold_back() {
  if (last_error_.empty()) last_error_ = "no probe has found it yet";
  failing_ = true;
  give_up_waiting(not_sent(last_error_));
}

Task<ServerFacts> Link::attempt() {
  wake_sweeper();
  RD_CO_TRY(endpoint, co_await target_->find());
  if (stopped_) co_return fail(not_sent("the client was stopped"));
  connection_ = std::make_shared<Connection>(shared_, plan_, *this);
  wake_sweeper();
  const std::shared_ptr<Connection> connection = connection_;
  Result<ServerFacts> facts = co_await connection->open(endpoint, attempts_++);
  if (facts && !stopped_) {
    const Result<void> admitted = admits(*facts);
    if (!admitted) facts = fail(admitted.error());
  }
  if (!facts) connection->close(facts.error());
  co_return facts;
}

Result<void> Link::admits(const ServerFacts& facts) const {
  if (!shared_->parts.admission || !plan_.handshake.ask_facts) return {};
  return shared_->parts.admission(facts);
}

void Link::became_ready(ServerFacts facts) {
  facts_ = std::move(facts);
  ready_ = true;
  failing_ = checking_role_ = warned_ = false;
  ready_since_ = shared_->now();
  shared_->metrics.connects.add();
  ++shared_->counts.connects;
  shared_->parts.log.info("redis.connected", {{"server", facts_.endpoint.text()},
                                              {"version", facts_.version},
                                              {"protocol", facts_.protocol},
                                              {"tracks", facts_.tracks}});
  if (observer_ != nullptr) observer_->link_ready(facts_);
  waiting_bytes_ = 0;
  std::deque<Waiting> waiting = std::exchange(waiting_, {});
  for (const Waiting& one : waiting) submit(*one.command, one.submission);
  for (const auto& watcher : watchers_) watcher->ring();
}

Duration Link::became_lost(const Error& why) {
  ready_ = false;
  forget_watched();
  last_error_ = why.cause.empty() ? why.message : why.cause;
  shared_->metrics.losses.add();
  shared_->parts.log.warn("redis.lost",
                          {{"server", facts_.endpoint.text()}, {"cause", last_error_}});
  if (observer_ != nullptr) observer_->link_lost(why);
  if (is_denied(why)) return backoff_.refused(shared_->parts.random);
  const auto lived = std::chrono::duration_cast<Duration>(shared_->now() - ready_since_);
  return backoff_.lost(lived, shared_->parts.random);
}

Duration Link::attempt_failed(const Error& why) {
  const bool denied = is_denied(why);
  last_error_ = why.cause.empty() ? why.message : why.message + ": " + why.cause;
  shared_->metrics.connect_failures.add();
  if (denied) {
    shared_->parts.log.error("redis.denied", {{"cause", why.cause}});
  } else if (!failing_) {
    shared_->parts.log.warn("redis.unreachable", {{"cause", last_error_}});
  }
  failing_ = true;
  give_up_waiting(not_sent(last_error_));
  if (observer_ != nullptr) observer_->link_failed(why);
  return denied ? backoff_.refused(shared_->parts.random)
                : backoff_.lost(Duration(0), shared_->parts.random);
}

void Link::give_up_waiting(const Error& why) {
  waiting_bytes_ = 0;
  std::deque<Waiting> waiting = std::exchange(waiting_, {});
  for (const Waiting& one : waiting) refuse(one.submission, why);
}

void Link::on_push(Value value) {
  TrackingHandler* const tracking = facts_.tracks ? shared_->parts.tracking : nullptr;
  if (tracking != nullptr && take_invalidation(value, *tracking)) return;
  if (observer_ != nullptr) observer_->link_push(std::move(value));
}

// READONLY: a master that was demoted, and whose connection must not be kept; or a script that says
// so. ROLE tells them apart.
void Link::on_error_reply(Meaning meaning, std::string_view text) {
  if (!ready_) return;
  if (meaning == Meaning::denied || meaning == Meaning::full) warn(meaning, text);
  const bool doubtful = meaning == Meaning::read_only && plan_.handshake.require_master;
  if (doubtful && !checking_role_) check_role();
}

// What an operator must mend is said once a connection, not once a command.
void Link::warn(Meaning meaning, std::string_view text) {
  if (std::exchange(warned_, true)) return;
  shared_->parts.log.error(
      "redis.refuses",
      {{"server", facts_.endpoint.text()}, {"meaning", name_of(meaning)}, {"cause", text}});
}

void Link::check_role() {
  checking_role_ = true;
  const Duration limit = shared_->options.timeouts.operation;
  connection_->submit(role_, {.sink = &role_check_, .index = 0, .deadline = in(limit)});
}

void Link::checked_role(const Result<Value>& reply) {
  checking_role_ = false;
  if (!ready_ || stopped_ || !reply) return;
  const bool master = !reply->items().empty() && reply->items()[0].text() == "master";
  if (!master) renew("the server is not the master any more");
}

asio::awaitable<void> Link::sweep_often() {
  const auto self = shared_from_this();
  while (!stopped_) {
    const Duration pause = sweep();
    if (stopped_) break;
    co_await tick_->wait(pause);
    resting_ = false;
  }
}

void Link::wake_sweeper() {
  if (!resting_) return;
  resting_ = false;
  tick_->ring();
}

// Ends what is past its deadline. Returns how long nothing more is due.
Duration Link::sweep() {
  const BootTime now = shared_->now();
  const Timeouts& timeouts = shared_->options.timeouts;
  for (std::size_t i = 0; i < waiting_.size();) {
    const Waiting one = waiting_[i];
    if (now < one.submission.deadline) {
      ++i;
      continue;
    }
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    waiting_bytes_ -= std::min(waiting_bytes_, one.command->size());
    refuse(one.submission, not_sent("no connection in time"));
  }
  if (is_ready() && !admits(facts_)) renew("this server is not the one to be used any more");
  const std::shared_ptr<Connection> connection = connection_;
  if (connection) connection->sweep(now);
  const bool busy = !waiting_.empty() || (connection && !ready_) ||
                    (connection && connection->in_flight() > 0) ||
                    (ready_ && now - connection->last_awaited() < kRestAfter);
  const Duration tick = std::clamp(timeouts.operation / 4, kTickMin, kTickMax);
  if (busy) return tick;
  resting_ = true;
  if (!ready_) return timeouts.idle_ping;
  const auto idle = std::chrono::duration_cast<Duration>(now - connection->last_used());
  if (idle < timeouts.idle_ping) return timeouts.idle_ping - idle;
  resting_ = false;
  connection->submit(ping_, {.sink = nullptr, .index = 0, .deadline = BootTime{INT64_MAX}});
  return tick;
}

}  // namespace redoubt::redis
