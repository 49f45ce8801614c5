#include "net/http_connection.hpp"

#include "net/http_connection_stream.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstring>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kGrowBytes = 8 * 1024;     // First step beyond the bytes inside.
constexpr std::size_t kFlushBytes = 256 * 1024;  // Answers gathered before a write.
constexpr std::chrono::seconds kLingerTime{2};   // For the peer's FIN after our last answer.
constexpr std::string_view kTooLarge = "the body is larger than this server accepts";

void copy_head(const wire::RequestHead& from, wire::RequestHead& to) {
  to.method = from.method;
  to.method_text = from.method_text;
  to.target = from.target;
  to.path = from.path;
  to.query = from.query;
  to.host = from.host;
  to.minor_version = from.minor_version;
  to.keep_alive = from.keep_alive;
  to.expects_continue = from.expects_continue;
  to.body = from.body;
  to.content_length = from.content_length;
  to.field_count = from.field_count;
  std::copy_n(from.fields.begin(), from.field_count, to.fields.begin());
}

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<ServerState> server, std::string peer, bool tls)
    : server_(std::move(server)), peer_(std::move(peer)), tls_(tls) {
  enter(Phase::idle);
  ++server_->counters.open;
}

HttpConnection::~HttpConnection() {
  if (stream_) stream_->let_go();
  --server_->counters.open;
}

void HttpConnection::begin() {
  enter(Phase::idle);
  read();
}

void HttpConnection::enter(Phase phase) {
  phase_ = phase;
  since_ = server_->now;
  arrived_ = 0;
}

void HttpConnection::close() {
  if (phase_ == Phase::closed) return;
  enter(Phase::closed);
  close_socket();
  if (const auto stream = std::move(stream_)) stream->let_go();
}

// A request that has arrived is answered, whether it was looked at or not; then the connection
// goes. A stream has no end of its own, so it ends now.
void HttpConnection::drain() {
  if (const auto stream = stream_) return stream->end();
  if (phase_ == Phase::idle) read_what_is_there();
  if (phase_ == Phase::idle) close();
}

// ---- Slow peers ----

void HttpConnection::tick() {
  const HttpServerOptions& o = server_->options;
  // Whatever else happens on the connection, its peer must take what it was sent.
  if (writing_ && phase_ != Phase::closed) {
    if (server_->now - wrote_ > o.write_timeout) give_up();
    return;
  }
  const auto spent = server_->now - since_;
  switch (phase_) {
    case Phase::idle:
      if (spent > o.idle_timeout) close();
      return;
    case Phase::handshake:
      if (spent > o.head_timeout) give_up();
      return;
    case Phase::closing:
      if (spent > kLingerTime) close();
      return;
    case Phase::head:
      if (spent > o.head_timeout || too_slow(spent)) time_out();
      return;
    case Phase::body:
      if (spent > o.body_timeout || too_slow(spent)) time_out();
      return;
    case Phase::writing:
    case Phase::handling:
    case Phase::streaming:
    case Phase::closed:
      return;
  }
}

bool HttpConnection::too_slow(std::chrono::nanoseconds spent) const {
  const HttpServerOptions& o = server_->options;
  if (spent <= o.rate_grace) return false;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(spent - o.rate_grace);
  return arrived_ < o.rate_min * static_cast<std::size_t>(seconds.count());
}

void HttpConnection::give_up() {
  ++server_->counters.timed_out;
  close();
}

void HttpConnection::time_out() {
  if (!may_write_while_reading()) return give_up();
  ++server_->counters.timed_out;
  server_->out.clear();
  refuse(408, "the request arrived too slowly");
  flush();
}

// ---- Reading ----

void HttpConnection::read() {
  reading_ = true;
  start_read(input() + end_, capacity() - end_);
}

void HttpConnection::on_read(bool failed, std::size_t n) {
  reading_ = false;
  if (phase_ == Phase::closed) return;
  if (failed) return close();
  if (phase_ == Phase::closing || stream_) {
    release_input();  // Whatever comes after the last answer is not looked at.
    return read();
  }
  head_is_current_ = false;
  end_ += n;
  if (phase_ == Phase::idle) enter(Phase::head);
  arrived_ += n;
  received_ = server_->clock.boot();
  process();
}

// Room for at least one more byte, at best for `wanted` more.
void HttpConnection::make_room(std::size_t wanted) {
  if (begin_ > 0) {
    std::memmove(input(), input() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ + std::max<std::size_t>(wanted, 1) <= capacity()) return;
  // Grown as bytes arrive, not as they are announced: an announcement costs a peer nothing.
  if (end_ < capacity() && capacity() > 2 * end_) return;
  std::vector<char> larger(std::max(kGrowBytes, capacity() * 2));
  std::memcpy(larger.data(), input(), end_);
  large_ = std::move(larger);
}

void HttpConnection::release_input() {
  begin_ = end_ = 0;
  if (!large_.empty()) std::vector<char>().swap(large_);
  if (!chunk_body_.empty()) std::string().swap(chunk_body_);
}

void HttpConnection::read_more() {
  if (begin_ == end_) {
    release_input();
    if (server_->draining) return close();
    if (phase_ != Phase::idle) enter(Phase::idle);
  } else if (end_ == capacity() || wanted_ > capacity() - end_) {
    make_room(wanted_);
  }
  read();
}

// ---- Taking requests off the input ----

void HttpConnection::process() {
  server_->out.clear();
  answer_what_is_there();
  if (server_->out.empty() && !must_close_) {
    if (!waiting_) read_more();
    return;
  }
  flush();
}

void HttpConnection::answer_what_is_there() {
  while (!must_close_ && !waiting_ && !stream_ && unwritten() < kFlushBytes) {
    if (!next_request()) return;
  }
}

// Answers that the peer has not taken yet; over the bound, no more requests are looked at.
std::size_t HttpConnection::unwritten() const {
  return server_->out.size() + (unsent_.size() - sent_) + queued_.size();
}

// False when more input is needed first.
bool HttpConnection::next_request() {
  if (begin_ == end_) return false;
  if (head_size_ == 0) {
    if (!take_head()) return false;
    if (must_close_) return true;
  }
  std::string_view body;
  if (!take_body(body)) return must_close_;
  answer(body);
  return true;
}

bool HttpConnection::take_head() {
  const wire::HeadResult result =
      wire::read_request_head(pending(), scanned_, server_->options.head, server_->head);
  if (result.kind == wire::HeadResult::Kind::incomplete) {
    wanted_ = 1;
    if (phase_ == Phase::idle) enter(Phase::head);
    return false;
  }
  scanned_ = 0;
  if (result.kind == wire::HeadResult::Kind::refused) {
    refuse(result.status, result.reason);
    return true;
  }
  head_size_ = result.size;
  head_is_current_ = true;
  const wire::RequestHead& head = server_->head;
  if (head.body == wire::BodyKind::length && head.content_length > server_->options.body_max) {
    refuse(413, kTooLarge);
    return true;
  }
  body_kind_ = head.body;
  body_length_ = static_cast<std::size_t>(head.content_length);
  continue_expected_ = head.expects_continue;
  if (head.body == wire::BodyKind::chunked) {
    chunked_.emplace(server_->options.body_max);
    chunk_body_.clear();
    chunk_used_ = 0;
  }
  return true;
}

// True when the body is complete (or there is none).
bool HttpConnection::take_body(std::string_view& body) {
  if (body_kind_ == wire::BodyKind::none) return true;
  const std::string_view rest = pending().substr(head_size_);
  if (body_kind_ == wire::BodyKind::chunked) return take_chunks(rest, body);
  if (rest.size() < body_length_) return await_body(body_length_ - rest.size());
  body = rest.substr(0, body_length_);
  body_size_ = body_length_;
  return true;
}

bool HttpConnection::take_chunks(std::string_view rest, std::string_view& body) {
  std::size_t used = 0;
  const auto status = chunked_->feed(rest.substr(chunk_used_), used, chunk_body_);
  chunk_used_ += used;
  switch (status) {
    case wire::ChunkedDecoder::Status::done:
      body = chunk_body_;
      body_size_ = chunk_used_;
      return true;
    case wire::ChunkedDecoder::Status::more:
      compact_chunks();
      return await_body(1);
    case wire::ChunkedDecoder::Status::malformed:
      refuse(400, "malformed chunked body");
      return false;
    case wire::ChunkedDecoder::Status::too_large:
      refuse(413, kTooLarge);
      return false;
  }
  return false;
}

// Decoded chunks need not stay in the input; the head in front of them must.
void HttpConnection::compact_chunks() {
  if (chunk_used_ == 0) return;
  char* at = input() + begin_ + head_size_;
  const std::size_t rest = end_ - begin_ - head_size_ - chunk_used_;
  std::memmove(at, at + chunk_used_, rest);
  end_ -= chunk_used_;
  chunk_used_ = 0;
}

bool HttpConnection::await_body(std::size_t missing) {
  wanted_ = missing;
  if (phase_ != Phase::body) {
    const std::size_t arrived = arrived_;
    enter(Phase::body);
    arrived_ = arrived;
  }
  if (continue_expected_) {
    continue_expected_ = false;
    server_->out += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  return false;
}

// The server's scratch head may have served another connection since the last read, and our input
// may have moved: then read ours again.
const wire::RequestHead& HttpConnection::current_head() {
  if (!head_is_current_) {
    std::size_t scanned = 0;
    wire::read_request_head(pending().substr(0, head_size_), scanned, server_->options.head,
                            server_->head);
    head_is_current_ = true;
  }
  return server_->head;
}

// ---- Answering ----

void HttpConnection::answer(std::string_view body) {
  const wire::RequestHead& head = current_head();
  HttpResponse& response = server_->response;
  response.clear();
  const HttpRequest request{
      .head = head, .body = body, .peer_address = peer_, .tls = tls_, .received = received_};
  try {
    if (!server_->handler.handle_now(request, response)) return suspend(request);
  } catch (...) {
    put_failure(head, std::current_exception(), response);
  }
  finish(head, response);
}

// Ends the request at the front of the input with `response`.
void HttpConnection::finish(const wire::RequestHead& head, HttpResponse& response) {
  if (response.stream && head.method != wire::HttpMethod::head && !server_->draining) {
    return start_stream(head, response);
  }
  const bool keep = head.keep_alive && !response.close && !server_->draining;
  append_response(server_->out, response, server_->date_line, keep, head.minor_version == 0,
                  head.method == wire::HttpMethod::head);
  begin_ += head_size_ + body_size_;
  head_size_ = body_size_ = body_length_ = wanted_ = 0;
  continue_expected_ = false;
  chunked_.reset();
  if (!keep) must_close_ = true;
  // The next request has its own time.
  if (phase_ == Phase::head || phase_ == Phase::body) enter(Phase::head);
}

void HttpConnection::suspend(const HttpRequest& request) {
  waiting_ = true;
  enter(Phase::handling);
  ++server_->counters.in_flight;
  std::unique_ptr<Carrier> carrier = server_->carriers.take(server_);
  copy_head(request.head, carrier->head);
  carrier->request.emplace(HttpRequest{.head = carrier->head,
                                       .body = request.body,
                                       .peer_address = peer_,
                                       .tls = tls_,
                                       .received = request.received});
  carrier->response.kept = std::move(server_->response.kept);
  carrier->connection = shared_from_this();
  starting_ = true;
  Carrier::carry(std::move(carrier));
  starting_ = false;
}

void HttpConnection::resume(Carrier& carrier, std::exception_ptr thrown) {
  --server_->counters.in_flight;
  waiting_ = false;
  if (phase_ == Phase::closed) return;
  if (thrown) put_failure(carrier.head, thrown, carrier.response);
  enter(Phase::head);
  if (starting_) return finish(carrier.head, carrier.response);  // Who started it goes on.
  server_->out.clear();
  finish(carrier.head, carrier.response);
  received_ = server_->clock.boot();
  answer_what_is_there();
  flush();
}

void HttpConnection::put_failure(const wire::RequestHead& head, std::exception_ptr thrown,
                                 HttpResponse& response) {
  std::string what = "an exception of unknown type";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
    what += " (not a std::exception)";
  }
  server_->log.error("http.handler_failed", {{"cause", what}});
  response.clear();
  server_->handler.answering(head).refuse(500, "internal error", response);
}

// In the words of whoever the request was for, as far as it was read.
void HttpConnection::refuse(int status, std::string_view reason) {
  HttpResponse& response = server_->response;
  response.clear();
  bool head_only = false;
  HttpHandler* handler = &server_->handler;
  if (head_size_ > 0) {
    const wire::RequestHead& head = current_head();
    head_only = head.method == wire::HttpMethod::head;
    handler = &handler->answering(head);
  }
  handler->refuse(status, reason, response);
  append_response(server_->out, response, server_->date_line, false, false, head_only);
  must_close_ = true;
}

}  // namespace redoubt::net
