#include "redis/rest_connection.hpp"

#include <boost/asio/co_spawn.hpp>

#include <algorithm>

namespace redoubt::redis {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kIdleMax{30};
constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

RestStream::RestStream(std::shared_ptr<Shared> shared, const RestTarget& target,
                       std::shared_ptr<asio::ssl::context> tls)
    : shared_(std::move(shared)), target_(target), stream_(shared_->executor, std::move(tls)) {}

Task<void> RestStream::open(std::size_t attempt) {
  const Timeouts& timeouts = shared_->options.timeouts;
  const Duration user_timeout = std::max(timeouts.operation * 2, Duration(1000));
  limit_phase(timeouts.connect);
  RD_CO_TRY(addresses, co_await stream_.look_up(target_.endpoint));
  Result<void> reached = fail(not_sent("the name of the REST service has no address"));
  for (std::size_t i = 0; i < addresses.size() && stream_.is_open(); ++i) {
    limit_phase(timeouts.connect);
    const Stream::Address address = addresses[(attempt + i) % addresses.size()];
    reached = co_await stream_.connect(address, user_timeout);
    if (reached) break;
  }
  if (reached && stream_.is_open()) {
    const std::string& name = shared_->options.tls.server_name;
    limit_phase(timeouts.tls);
    reached = co_await stream_.handshake_tls(name.empty() ? target_.endpoint.host : name);
  }
  phase_end_.reset();
  if (!stream_.is_open()) co_return fail(not_sent("connecting takes too long"));
  co_return reached;
}

void RestStream::check_phase(BootTime now) {
  if (phase_end_ && now >= *phase_end_) stream_.close();
}

RestConnection::RestConnection(RestLink& link)
    : link_(&link), shared_(link.shared_), stream_(link.shared_, link.target_, link.tls_) {}

void RestConnection::start(std::size_t attempt) {
  asio::co_spawn(shared_->executor, run(attempt),
                 [self = shared_from_this()](std::exception_ptr thrown) {
                   if (thrown) self->close("an exception");
                 });
}

asio::awaitable<void> RestConnection::run(std::size_t attempt) {
  const auto self = shared_from_this();
  const Result<void> opened = co_await stream_.open(attempt);
  if (closed_) co_return;
  if (!opened) {
    closed_ = true;
    stream_.stream().close();
    link_->open_failed(*this, opened.error());
    co_return;
  }
  open_ = true;
  idle_since_ = shared_->now();
  link_->opened(*this);
  std::array<char, kReadBytes> buffer;
  while (!closed_) {
    const std::size_t n = co_await stream_.stream().read_some(buffer.data(), buffer.size());
    if (closed_) co_return;
    if (n == 0 || !take({buffer.data(), n})) break;
  }
  if (batch_ && reply_->closed() == wire::HttpReply::Status::done) finish();
  close("the REST service closed the connection: " + stream_.stream().failure());
}

bool RestConnection::take(std::string_view bytes) {
  if (!batch_) return false;  // An answer to nothing.
  input_ += bytes;
  std::size_t used = 0;
  const auto status = reply_->feed(input_, used);
  input_.erase(0, used);
  if (status == wire::HttpReply::Status::more) return true;
  if (status == wire::HttpReply::Status::malformed) {
    why_ = "the answer is not HTTP, or too large";
    return false;
  }
  return finish();
}

bool RestConnection::finish() {
  RestBatch batch = std::move(*batch_);
  batch_.reset();
  const bool keep = reply_->keeps_alive() && input_.empty() && !writing_;
  auto outcomes =
      rest_outcomes(batch.request.shape, batch.items.size(), reply_->status(), reply_->body());
  shared_->metrics.duration.observe_ns((shared_->now() - sent_at_).count());
  reply_.reset();
  idle_since_ = shared_->now();
  const auto self = shared_from_this();
  RestLink& link = *link_;
  if (!keep) close("the REST service keeps no connection");
  link.settle(batch, std::move(outcomes));
  if (closed_) return false;
  link_->became_idle(*this);
  return !closed_;
}

void RestConnection::send(RestBatch batch) {
  out_ = to_http(link_->target_, link_->token_.reveal(), batch.request);
  batch.request.body.clear();
  batch_ = std::move(batch);
  reply_.emplace(shared_->options.reply.bytes);
  sent_at_ = shared_->now();
  writing_ = true;
  stream_.stream().write(out_, [self = shared_from_this()](bool) { self->writing_ = false; });
}

void RestConnection::sweep(BootTime now) {
  stream_.check_phase(now);
  if (is_idle() && now - idle_since_ > kIdleMax) return close("idle");
  if (!batch_) return;
  bool awaited = false;
  for (std::size_t i = 0; batch_ && i < batch_->items.size(); ++i) {
    RestBatch::Item& item = batch_->items[i];
    if (item.sink == nullptr) continue;
    if (now < item.deadline) {
      awaited = true;
      continue;
    }
    shared_->metrics.unknown.add();
    ++shared_->counts.unknown_outcomes;
    std::exchange(item.sink, nullptr)
        ->on_reply(item.index, fail(unknown_outcome("no answer within the deadline")));
  }
  if (batch_ && !awaited) close("no answer within the deadline");
}

void RestConnection::close(std::string why) {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();
  stream_.stream().close();
  if (why_.empty()) why_ = std::move(why);
  RestLink& link = *std::exchange(link_, nullptr);
  link.lost(*this, why_);
  if (!batch_) return;
  RestBatch batch = std::move(*batch_);
  batch_.reset();
  link.settle(batch, {batch.items.size(), fail(unknown_outcome(why_))});
}

}  // namespace redoubt::redis
