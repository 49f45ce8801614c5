// What a connection sends: at once as far as the peer takes it, the rest when it can.
#include "net/http_connection.hpp"

#include "net/http_connection_stream.hpp"

#include <boost/asio/post.hpp>

namespace redoubt::net {
namespace {

constexpr std::size_t kSpareBytes = 16 * 1024;  // Larger scratch is not kept.

}  // namespace

void HttpConnection::flush() {
  std::string& out = server_->out;
  if (writing_) {
    queued_ += out;
    return;
  }
  if (gathering_) {
    flush_due_ = true;
    gathered_ = std::exchange(out, take_spare());
    return;
  }
  if (out.empty() || send_out(out)) written();
}

void HttpConnection::send_answers() {
  gathering_ = false;
  if (!std::exchange(flush_due_, false)) return;
  std::string out = std::exchange(gathered_, {});
  if (out.empty() || send_out(out)) written();
  if (out.capacity() > kSpareBytes) return;
  out.clear();
  server_->spare.push_back(std::move(out));
}

std::string HttpConnection::take_spare() {
  if (server_->spare.empty()) return {};
  std::string spare = std::move(server_->spare.back());
  server_->spare.pop_back();
  return spare;
}

bool HttpConnection::send_out(std::string_view bytes) {
  if (writing_) {
    queued_ += bytes;
    return false;
  }
  const ssize_t sent = write_now(bytes);
  if (sent < 0) {
    close();
    return false;
  }
  if (static_cast<std::size_t>(sent) == bytes.size()) return true;
  unsent_.assign(bytes.substr(static_cast<std::size_t>(sent)));
  sent_ = 0;
  write_rest();
  return false;
}

void HttpConnection::write_rest() {
  if (!waiting_) enter(Phase::writing);
  writing_ = true;
  wrote_ = server_->now;
  start_write(std::string_view(unsent_).substr(sent_));
}

void HttpConnection::on_write(bool failed, std::size_t n) {
  writing_ = false;
  if (phase_ == Phase::closed) return;
  if (failed) return close();
  sent_ += n;
  if (sent_ == unsent_.size()) {
    sent_ = 0;
    std::string().swap(unsent_);
    unsent_.swap(queued_);
  }
  if (!unsent_.empty()) return write_rest();
  written();
}

void HttpConnection::written() {
  if (stream_) return stream_written();
  if (must_close_) return finish_and_close();
  if (waiting_) {
    if (phase_ != Phase::handling) enter(Phase::handling);
    return;
  }
  if (phase_ == Phase::writing && begin_ != end_) {
    enter(head_size_ != 0 ? Phase::body : Phase::head);
  }
  // Stopped gathering at kFlushBytes: there may be whole requests left, but others have their turn.
  if (begin_ != end_ && wanted_ == 0) return process_later();
  read_more();
}

void HttpConnection::process_later() {
  if (process_posted_) return;
  process_posted_ = true;
  boost::asio::post(server_->io, [self = shared_from_this()] {
    self->process_posted_ = false;
    if (!self->closed() && !self->writing_ && !self->waiting_) self->process();
  });
}

// Says goodbye and reads until the peer does, so that a reset does not overtake the last answer.
void HttpConnection::finish_and_close() {
  enter(Phase::closing);
  if (!say_goodbye() || phase_ == Phase::closed || reading_) return;
  release_input();
  read();
}

}  // namespace redoubt::net
