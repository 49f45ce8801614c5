#include "net/http_connection_stream.hpp"

#include <boost/asio/post.hpp>

#include <utility>

namespace redoubt::net {

HttpConnection::Stream::Stream(HttpConnection& connection, bool chunked, StreamStart start)
    : connection_(&connection), chunked_(chunked), start_(std::move(start)) {
  ++connection_->server_->counters.streams;
}

std::size_t HttpConnection::Stream::queued() const {
  if (!open()) return 0;
  const HttpConnection& c = *connection_;
  return pending_.size() + (c.unsent_.size() - c.sent_) + c.queued_.size();
}

bool HttpConnection::Stream::send(std::string_view bytes) {
  if (!open()) return false;
  if (bytes.empty()) return true;
  if (queued() + bytes.size() > connection_->server_->options.stream_queue_max) {
    connection_->give_up();
    return false;
  }
  if (chunked_) {
    append_chunk(pending_, bytes);
  } else {
    pending_ += bytes;
  }
  flush_later();
  return true;
}

void HttpConnection::Stream::end() {
  if (!open()) return;
  HttpConnection& connection = *connection_;
  const auto alive = connection.shared_from_this();
  if (chunked_) pending_ += "0\r\n\r\n";
  const std::string last = std::move(pending_);
  connection.must_close_ = true;
  connection.stream_.reset();
  let_go();
  if (connection.send_out(last) && !connection.closed()) connection.written();
}

void HttpConnection::Stream::begin(const std::shared_ptr<Stream>& self) {
  const StreamStart start = std::move(start_);
  if (open()) start(self);
}

void HttpConnection::Stream::drained() {
  if (!flush() || !std::exchange(behind_, false) || !on_drained) return;
  const auto call = on_drained;  // Which may replace itself.
  call();
}

void HttpConnection::Stream::let_go() {
  if (!open()) return;
  --connection_->server_->counters.streams;
  connection_ = nullptr;
  const auto closed = std::exchange(on_closed, nullptr);
  on_drained = nullptr;
  if (closed) closed();
}

void HttpConnection::Stream::flush_later() {
  if (std::exchange(flush_posted_, true)) return;
  boost::asio::post(connection_->server_->io, [self = connection_->stream_] {
    self->flush_posted_ = false;
    if (self->open() && !self->connection_->writing_) self->flush();
  });
}

bool HttpConnection::Stream::flush() {
  if (pending_.empty()) return true;
  const std::string bytes = std::move(pending_);
  pending_.clear();
  const auto alive = connection_->shared_from_this();
  const bool all = connection_->send_out(bytes);
  if (!all) behind_ = true;
  return all;
}

// The last answer of this connection: what else has arrived is not looked at.
void HttpConnection::start_stream(const wire::RequestHead& head, HttpResponse& response) {
  const bool chunked = head.minor_version > 0;
  append_stream_response(server_->out, response, server_->date_line, chunked);
  const auto stream = std::make_shared<Stream>(*this, chunked, std::move(response.stream));
  response.stream = nullptr;
  stream_ = stream;
  begin_ = end_;
  head_size_ = body_size_ = body_length_ = wanted_ = 0;
  continue_expected_ = false;
  chunked_.reset();
  // The head is on its way by then.
  boost::asio::post(server_->io, [stream] { stream->begin(stream); });
}

void HttpConnection::stream_written() {
  if (phase_ != Phase::streaming) enter(Phase::streaming);
  if (!reading_) {  // To see the peer go.
    release_input();
    read();
  }
  if (const auto stream = stream_) stream->drained();
}

}  // namespace redoubt::net
