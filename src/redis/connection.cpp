#include "redis/connection.hpp"

#include "redis/classify.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstring>

namespace redoubt::redis {
namespace {

// A line that is not complete stays in front of the next read: at most 64 KiB, so there is always
// as much room.
constexpr std::size_t kReadBuffer = 160 * 1024;
constexpr std::size_t kKeepBuffer = 1024 * 1024;  // A larger one is freed when it is empty.
constexpr std::size_t kCompactFrom = 4096;

std::string server_name(const ConnectionPlan& plan, const Endpoint& endpoint) {
  return plan.tls.server_name.empty() ? endpoint.host : plan.tls.server_name;
}

}  // namespace

Connection::Connection(std::shared_ptr<Shared> shared, const ConnectionPlan& plan,
                       ConnectionEvents& events)
    : shared_(std::move(shared)),
      plan_(plan),
      events_(events),
      stream_(shared_->executor, plan.tls_context),
      in_(std::make_unique_for_overwrite<char[]>(kReadBuffer)),
      decoder_(shared_->options.reply),
      last_used_(shared_->now()),
      last_awaited_(last_used_),
      quiet_since_(last_used_) {}

Task<ServerFacts> Connection::open(Endpoint endpoint, std::size_t attempt) {
  const auto self = shared_from_this();
  const Duration step = shared_->options.timeouts.connect;
  RD_CO_CHECK(co_await reach(endpoint, attempt));
  Handshake handshake(plan_.handshake);
  for (;;) {
    std::vector<Command> commands = handshake.next();
    if (commands.empty()) break;
    limit_phase(step, "the handshake");
    RD_CO_TRY(replies, co_await exchange(std::move(commands)));
    RD_CO_CHECK(handshake.replies(std::move(replies)));
  }
  phase_ = nullptr;
  ServerFacts facts = handshake.facts();
  facts.endpoint = std::move(endpoint);
  co_return facts;
}

Task<void> Connection::reach(Endpoint endpoint, std::size_t attempt) {
  const Timeouts& timeouts = shared_->options.timeouts;
  const Duration user_timeout = std::max(timeouts.operation * 2, Duration(1000));
  limit_phase(timeouts.connect, "looking up the name");
  RD_CO_TRY(addresses, co_await stream_.look_up(endpoint));
  Result<void> reached = fail(not_sent("the name " + endpoint.host + " has no address"));
  for (std::size_t i = 0; i < addresses.size() && !closed_; ++i) {
    limit_phase(timeouts.connect, "connecting");
    const Stream::Address address = addresses[(attempt + i) % addresses.size()];
    reached = co_await stream_.connect(address, user_timeout);
    if (reached) break;
  }
  if (reached && !closed_) {
    limit_phase(timeouts.tls, "the TLS handshake");
    reached = co_await stream_.handshake_tls(server_name(plan_, endpoint));
  }
  if (closed_) co_return fail(reason_);
  co_return reached;
}

void Connection::limit_phase(Duration limit, const char* phase) {
  phase_ = phase;
  phase_end_ = shared_->now() + limit;
}

// Before serve() reads: for the handshake alone.
Task<std::vector<Value>> Connection::exchange(std::vector<Command> commands) {
  Calls calls(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) {
    submit(commands[i], {.sink = &calls, .index = i, .deadline = BootTime{INT64_MAX}});
  }
  while (!calls.done() && co_await read_once()) continue;
  if (!calls.done()) close(not_sent("the server closed the connection: " + stream_.failure()));
  std::vector<Value> values;
  for (Result<Value>& reply : calls.replies) {
    if (!reply) co_return fail(closed_ ? reason_ : std::move(reply).error());
    values.push_back(std::move(*reply));
  }
  co_return values;
}

boost::asio::awaitable<Error> Connection::serve() {
  const auto self = shared_from_this();
  while (co_await read_once()) continue;
  close(not_sent("the server closed the connection: " + stream_.failure()));
  co_return reason_;
}

boost::asio::awaitable<bool> Connection::read_once() {
  if (closed_) co_return false;
  const std::size_t size = co_await stream_.read_some(in_.get() + in_size_, kReadBuffer - in_size_);
  if (size == 0 || closed_) co_return false;
  in_size_ += size;
  last_used_ = quiet_since_ = shared_->now();
  decoding_ = true;
  decode();
  decoding_ = false;
  flush();  // What the replies led to leaves at once.
  co_return !closed_;
}

void Connection::decode() {
  std::size_t at = 0;
  while (!closed_) {
    Value value;
    std::size_t used = 0;
    const auto status =
        decoder_.decode(std::string_view(in_.get() + at, in_size_ - at), used, value);
    at += used;
    if (status == wire::resp::Decoder::Status::more) break;
    if (status == wire::resp::Decoder::Status::malformed) {
      return close(not_sent("a reply is not understood: " + std::string(decoder_.problem())));
    }
    deliver(std::move(value));
  }
  in_size_ -= at;
  if (in_size_ > 0 && at > 0) std::memmove(in_.get(), in_.get() + at, in_size_);
}

void Connection::deliver(Value value) {
  if (value.kind() == wire::resp::Kind::push || (plan_.subscriber && is_message(value))) {
    return events_.on_push(std::move(value));
  }
  if (answered_ == pending_.size()) {
    if (plan_.subscriber) return events_.on_push(std::move(value));
    return close(not_sent("a reply that nobody asked for"));
  }
  const Pending pending = pending_[answered_++];
  if (answered_ == pending_.size()) {
    pending_.clear();
    answered_ = 0;
  } else if (answered_ >= kCompactFrom && answered_ * 2 >= pending_.size()) {
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(answered_));
    answered_ = 0;
  }
  settle(pending, std::move(value));
}

void Connection::settle(const Pending& pending, Value value) {
  if (value.is_error()) {
    const Meaning meaning = classify(value.text());
    shared_->metrics.count_refusal(meaning);
    if (meaning == Meaning::no_script) known_scripts_.clear();
    events_.on_error_reply(meaning, value.text());
  } else {
    shared_->metrics.answered.add();
    if (pending.script != nullptr && !knows(*pending.script)) {
      known_scripts_.emplace_back(pending.script->sha());
    }
  }
  shared_->metrics.duration.observe_ns((last_used_ - pending.submitted).count());
  if (pending.sink != nullptr) pending.sink->on_reply(pending.index, std::move(value));
}

// RESP2 has no push: on a connection that is subscribed, these arrays are messages; and what
// MONITOR tells are lines that begin with a time, 1721284005.242090, in RESP3 too.
bool Connection::is_message(const Value& value) const {
  if (value.kind() == wire::resp::Kind::simple) {
    return value.text().starts_with('1') && value.text().find(" [") != std::string_view::npos;
  }
  if (value.kind() != wire::resp::Kind::array || value.items().size() < 3) return false;
  const std::string_view kind = value.items()[0].text();
  return kind.ends_with("message") || kind.ends_with("subscribe");
}

bool Connection::knows(const Script& script) const {
  return std::ranges::find(known_scripts_, script.sha()) != known_scripts_.end();
}

void Connection::submit(const Command& command, const Submission& submission) {
  if (closed_ || !has_room(command.size())) {
    shared_->metrics.unsent.add();
    if (submission.sink == nullptr) return;
    Error error =
        closed_ ? reason_ : unavailable("redis_overloaded", "too much waits to be sent to Redis");
    return submission.sink->on_reply(submission.index, fail(std::move(error)));
  }
  const BootTime now = shared_->now();
  if (in_flight() == 0) quiet_since_ = now;
  last_used_ = now;
  if (submission.sink != nullptr) last_awaited_ = now;
  const Script* const script = command.script();
  const bool whole =
      script != nullptr && (submission.form == ScriptForm::whole ||
                            (submission.form == ScriptForm::known_or_whole && !knows(*script)));
  if (submission.answered)
    pending_.push_back({.sink = submission.sink,
                        .script = script,
                        .index = submission.index,
                        .deadline = submission.deadline,
                        .submitted = now,
                        .start = queued_});
  const std::size_t before = out_.size();
  command.append_to(out_, whole);
  queued_ += out_.size() - before;
  ++shared_->counts.sent;
  schedule_flush();
}

bool Connection::has_room(std::size_t bytes) const {
  return out_.size() + writing_.size() + bytes <= shared_->options.queue_bytes_max;
}

void Connection::schedule_flush() {
  if (flush_scheduled_ || decoding_) return;
  flush_scheduled_ = true;
  boost::asio::post(shared_->executor, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (closed_ || out_.empty() || !writing_.empty()) return;
  const std::size_t written = stream_.write_now(out_);
  handed_ += written;
  if (written == out_.size()) {
    if (out_.capacity() > kKeepBuffer) out_ = {};
    out_.clear();
    return;
  }
  std::swap(out_, writing_);
  handed_ += writing_.size() - written;
  auto done = [self = shared_from_this()](bool ok) {
    if (self->writing_.capacity() > kKeepBuffer) self->writing_ = {};
    self->writing_.clear();
    if (!ok) return self->close(not_sent("writing failed: " + self->stream_.failure()));
    self->flush();
  };
  stream_.write(std::string_view(writing_).substr(written), std::move(done));
}

void Connection::sweep(BootTime now) {
  const auto self = shared_from_this();
  if (closed_) return;
  if (phase_ != nullptr) {
    if (now >= phase_end_) close(not_sent(std::string(phase_) + " took too long"));
    return;
  }
  for (std::size_t i = answered_; i < pending_.size(); ++i) {
    if (pending_[i].sink == nullptr || now < pending_[i].deadline) continue;
    const Pending late = pending_[i];
    pending_[i].sink = nullptr;
    pending_[i].script = nullptr;  // Only the waiting call keeps it alive.
    shared_->metrics.unknown.add();
    ++shared_->counts.unknown_outcomes;
    late.sink->on_reply(late.index, fail(unknown_outcome("no reply in time")));
  }
  if (closed_ || in_flight() == 0) return;
  if (now - quiet_since_ >= shared_->options.timeouts.silence) {
    close(not_sent("the server owes replies and says nothing"));
  }
}

void Connection::close(Error reason) {
  if (closed_) return;
  const auto self = shared_from_this();
  closed_ = true;
  reason_ = std::move(reason);
  stream_.close();
  const std::vector<Pending> pending = std::exchange(pending_, {});
  for (std::size_t i = std::exchange(answered_, 0); i < pending.size(); ++i) {
    const Pending& one = pending[i];
    if (one.sink == nullptr) continue;
    const bool sent = one.start < handed_;
    (sent ? shared_->metrics.unknown : shared_->metrics.unsent).add();
    if (sent) ++shared_->counts.unknown_outcomes;
    Error error = sent ? unknown_outcome(reason_.cause) : not_sent(reason_.cause);
    one.sink->on_reply(one.index, fail(std::move(error)));
  }
}

}  // namespace redoubt::redis
