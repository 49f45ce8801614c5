#include "net/http_connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <type_traits>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;
using TlsStream = asio::ssl::stream<tcp::socket>;

constexpr std::size_t kInlineBytes = 1024;       // What an idle connection keeps.
constexpr std::size_t kGrowBytes = 8 * 1024;     // First step beyond it.
constexpr std::chrono::seconds kLingerTime{2};   // For the peer's FIN after our last answer.
constexpr std::size_t kFlushBytes = 256 * 1024;  // Answers gathered before a write.

// A request that outlives the scratch head of its server.
struct Suspended {
  wire::RequestHead head;
  HttpResponse response;
};

template <class Stream>
class Connection final : public HttpConnection,
                         public std::enable_shared_from_this<Connection<Stream>> {
 public:
  static constexpr bool kTls = std::is_same_v<Stream, TlsStream>;

  Connection(std::shared_ptr<ServerState> server, Stream stream,
             std::shared_ptr<asio::ssl::context> tls)
      : server_(std::move(server)), tls_(std::move(tls)), stream_(std::move(stream)) {
    boost::system::error_code ec;
    const auto peer = stream_.lowest_layer().remote_endpoint(ec);
    if (!ec) peer_ = peer.address().to_string();
    ++server_->counters.open;
  }
  ~Connection() override { --server_->counters.open; }

  void start() override {
    if constexpr (kTls) {
      enter(Phase::handshake);
      auto self = this->shared_from_this();
      stream_.async_handshake(asio::ssl::stream_base::server, [self](boost::system::error_code ec) {
        if (ec || self->closed()) return self->close();
        self->enter(Phase::idle);
        self->read();
      });
    } else {
      enter(Phase::idle);
      read();
    }
  }

  void tick() override {
    const auto spent = server_->now - since_;
    const HttpServerOptions& o = server_->options;
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
        if (spent > o.write_timeout) give_up();
        return;
      case Phase::handling:
      case Phase::closed:
        return;
    }
  }

  void drain() override {
    if (phase_ == Phase::idle) close();
  }

  void close() override {
    if (phase_ == Phase::closed) return;
    enter(Phase::closed);
    boost::system::error_code ec;
    stream_.lowest_layer().shutdown(tcp::socket::shutdown_both, ec);
    stream_.lowest_layer().close(ec);
  }

  bool closed() const override { return phase_ == Phase::closed; }

 private:
  enum class Phase : std::uint8_t {
    handshake,
    idle,
    head,
    body,
    handling,
    writing,
    closing,
    closed
  };

  void enter(Phase phase) {
    phase_ = phase;
    since_ = server_->now;
    arrived_ = 0;
  }

  bool too_slow(std::chrono::nanoseconds spent) const {
    const HttpServerOptions& o = server_->options;
    if (spent <= o.rate_grace) return false;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(spent - o.rate_grace);
    return arrived_ < o.rate_min * static_cast<std::size_t>(seconds.count());
  }

  void give_up() {
    ++server_->counters.timed_out;
    close();
  }

  void time_out() {
    if constexpr (kTls) return give_up();  // A read is pending; TLS cannot say goodbye beside it.
    ++server_->counters.timed_out;
    server_->out.clear();
    refuse_into(server_->out, 408, "the request arrived too slowly");
    flush();
  }

  // ---- Reading ----

  char* input() { return large_.empty() ? inline_.data() : large_.data(); }
  std::size_t capacity() const { return large_.empty() ? kInlineBytes : large_.size(); }
  std::string_view pending() { return {input() + begin_, end_ - begin_}; }

  void read() {
    reading_ = true;
    auto self = this->shared_from_this();
    auto on_read = [self](boost::system::error_code ec, std::size_t n) { self->on_read(ec, n); };
    stream_.async_read_some(asio::buffer(input() + end_, capacity() - end_), std::move(on_read));
  }

  void on_read(boost::system::error_code ec, std::size_t n) {
    reading_ = false;
    if (phase_ == Phase::closed) return;
    if (ec) return close();
    if (phase_ == Phase::closing) return discard();
    head_is_current_ = false;
    end_ += n;
    arrived_ += n;
    if (phase_ == Phase::idle) enter_at(Phase::head, n);
    received_ = server_->clock.boot();
    process();
  }

  void enter_at(Phase phase, std::size_t arrived) {
    enter(phase);
    arrived_ = arrived;
  }

  // Room for at least one more byte; `wanted` more if a body announces it.
  void make_room(std::size_t wanted) {
    if (begin_ > 0) {
      std::memmove(input(), input() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (end_ + std::max<std::size_t>(wanted, 1) <= capacity()) return;
    // Grown as bytes arrive, not as they are announced: an announcement costs a peer nothing.
    std::vector<char> larger(std::max(kGrowBytes, capacity() * 2));
    std::memcpy(larger.data(), input(), end_);
    large_ = std::move(larger);
  }

  void release_input() {
    begin_ = end_ = 0;
    if (!large_.empty()) std::vector<char>().swap(large_);
  }

  // ---- Answering what has arrived ----

  void process() {
    std::string& out = server_->out;
    out.clear();
    while (!must_close_ && !waiting_ && out.size() < kFlushBytes) {
      if (!next_request()) break;
    }
    if (waiting_ && out.empty()) return;
    if (out.empty() && !must_close_) return read_more();
    flush();
  }

  void read_more() {
    if (begin_ == end_) {
      release_input();
      if (server_->draining) return close();
      if (phase_ != Phase::idle) enter(Phase::idle);
    } else if (end_ == capacity() || wanted_ > capacity() - end_) {
      make_room(wanted_);
    }
    read();
  }

  // Takes one request off the input. False when more input is needed first.
  bool next_request() {
    if (begin_ == end_) return false;
    if (!head_size_) {
      if (!take_head()) return false;
      if (must_close_) return true;
    }
    std::string_view body;
    if (!take_body(body)) return must_close_;
    answer(body);
    return true;
  }

  bool take_head() {
    const wire::HeadResult result =
        wire::read_request_head(pending(), scanned_, server_->options.head, server_->head);
    if (result.kind == wire::HeadResult::Kind::incomplete) {
      wanted_ = 1;
      if (phase_ == Phase::idle) enter(Phase::head);
      return false;
    }
    scanned_ = 0;
    if (result.kind == wire::HeadResult::Kind::refused) {
      refuse_into(server_->out, result.status, result.reason);
      return true;
    }
    const wire::RequestHead& head = server_->head;
    if (head.body == wire::BodyKind::length && head.content_length > server_->options.body_max) {
      refuse_into(server_->out, 413, "the body is larger than this server accepts");
      return true;
    }
    head_size_ = result.size;
    head_is_current_ = true;
    if (head.body == wire::BodyKind::chunked) {
      chunked_.emplace(server_->options.body_max);
      chunk_body_.clear();
      chunk_used_ = 0;
    }
    return true;
  }

  // True when the body is complete (or there is none).
  bool take_body(std::string_view& body) {
    const wire::RequestHead& head = scratch_head();
    if (head.body == wire::BodyKind::none) return true;
    const std::string_view rest = pending().substr(head_size_);
    if (head.body == wire::BodyKind::length) {
      const auto length = static_cast<std::size_t>(head.content_length);
      if (rest.size() >= length) {
        body = rest.substr(0, length);
        body_size_ = length;
        return true;
      }
      return await_body(length - rest.size());
    }
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
        refuse_into(server_->out, 400, "malformed chunked body");
        return false;
      case wire::ChunkedDecoder::Status::too_large:
        refuse_into(server_->out, 413, "the body is larger than this server accepts");
        return false;
    }
    return false;
  }

  // Decoded chunks need not stay in the input; the head in front of them must.
  void compact_chunks() {
    if (chunk_used_ == 0) return;
    char* at = input() + begin_ + head_size_;
    const std::size_t rest = end_ - begin_ - head_size_ - chunk_used_;
    std::memmove(at, at + chunk_used_, rest);
    end_ -= chunk_used_;
    chunk_used_ = 0;
  }

  bool await_body(std::size_t missing) {
    wanted_ = missing;
    if (phase_ != Phase::body) enter_at(Phase::body, arrived_);
    if (scratch_head().expects_continue && !continued_) {
      continued_ = true;
      server_->out += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    return false;
  }

  // The server's scratch head may have served another connection since the last read, and our input
  // may have moved: then read ours again.
  const wire::RequestHead& scratch_head() {
    if (!head_is_current_) {
      std::size_t scanned = 0;
      wire::read_request_head(pending().substr(0, head_size_), scanned, server_->options.head,
                              server_->head);
      head_is_current_ = true;
    }
    return server_->head;
  }

  void answer(std::string_view body) {
    const wire::RequestHead& head = server_->head;
    HttpResponse& response = server_->response;
    response.clear();
    const HttpRequest request{
        .head = head, .body = body, .peer_address = peer_, .tls = kTls, .received = received_};
    if (server_->handler.handle_now(request, response)) {
      return finish(head, response, server_->out);
    }
    suspend(request);
  }

  // Ends the request at the front of the input with `response`.
  void finish(const wire::RequestHead& head, const HttpResponse& response, std::string& out) {
    const bool keep = head.keep_alive && !response.close && !server_->draining;
    append_response(out, response, server_->date_line, keep, head.minor_version == 0,
                    head.method == wire::HttpMethod::head);
    begin_ += head_size_ + body_size_;
    head_size_ = body_size_ = wanted_ = 0;
    continued_ = false;
    chunked_.reset();
    if (!keep) must_close_ = true;
  }

  void suspend(const HttpRequest& request) {
    waiting_ = true;
    enter(Phase::handling);
    ++server_->counters.in_flight;
    auto self = this->shared_from_this();
    auto suspended = std::make_shared<Suspended>();
    copy_head(request.head, suspended->head);
    auto work = run(server_, suspended, request.body, peer_, request.received);
    asio::co_spawn(server_->io, std::move(work),
                   [self, suspended](std::exception_ptr e) { self->resume(*suspended, e); });
  }

  static void copy_head(const wire::RequestHead& from, wire::RequestHead& to) {
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
    for (std::size_t i = 0; i < from.field_count; ++i) to.fields[i] = from.fields[i];
  }

  static asio::awaitable<void> run(std::shared_ptr<ServerState> server,
                                   std::shared_ptr<Suspended> suspended, std::string_view body,
                                   std::string_view peer, BootTime received) {
    const HttpRequest request{.head = suspended->head,
                              .body = body,
                              .peer_address = peer,
                              .tls = kTls,
                              .received = received};
    co_await server->handler.handle(request, suspended->response);
  }

  void resume(Suspended& suspended, std::exception_ptr e) {
    --server_->counters.in_flight;
    waiting_ = false;
    if (phase_ == Phase::closed) return;
    if (e) fail_with(e, suspended.response);
    enter(Phase::head);
    std::string& out = server_->out;
    out.clear();
    finish(suspended.head, suspended.response, out);
    while (!must_close_ && !waiting_ && out.size() < kFlushBytes) {
      received_ = server_->clock.boot();
      if (!next_request()) break;
    }
    flush();
  }

  void fail_with(std::exception_ptr e, HttpResponse& response) {
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(e);
    } catch (const std::exception& x) {
      what = x.what();
    } catch (...) {
      what = "an exception of unknown type";
    }
    server_->log.error("http.handler_failed", {{"cause", what}});
    response.clear();
    server_->handler.refuse(500, "internal error", response);
  }

  // ---- Refusing ----

  void refuse_into(std::string& out, int status, std::string_view reason) {
    HttpResponse& response = server_->response;
    response.clear();
    server_->handler.refuse(status, reason, response);
    append_response(out, response, server_->date_line, false, false, false);
    must_close_ = true;
  }

  // ---- Writing ----

  void flush() {
    std::string& out = server_->out;
    if (writing_) {
      queued_ += out;
      return;
    }
    if constexpr (!kTls) {
      std::size_t sent = 0;
      if (!out.empty()) {
        const ssize_t n =
            ::send(stream_.native_handle(), out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return close();
        if (n > 0) sent = static_cast<std::size_t>(n);
      }
      if (sent == out.size()) return written();
      unsent_.assign(out, sent, std::string::npos);
    } else {
      if (out.empty()) return written();
      unsent_.assign(out);
    }
    write_rest();
  }

  void write_rest() {
    if (!waiting_) enter(Phase::writing);
    writing_ = true;
    auto self = this->shared_from_this();
    stream_.async_write_some(
        asio::buffer(unsent_),
        [self](boost::system::error_code ec, std::size_t n) { self->on_write(ec, n); });
  }

  void on_write(boost::system::error_code ec, std::size_t n) {
    writing_ = false;
    if (phase_ == Phase::closed) return;
    if (ec) return close();
    unsent_.erase(0, n);
    if (unsent_.empty()) unsent_.swap(queued_);
    if (!unsent_.empty()) return write_rest();
    std::string().swap(unsent_);
    written();
  }

  void written() {
    if (must_close_) return finish_and_close();
    if (waiting_) {
      if (phase_ != Phase::handling) enter(Phase::handling);
      return;
    }
    if (begin_ != end_ && wanted_ == 0) {
      // Stopped gathering at kFlushBytes: there may be whole requests left.
      if (phase_ == Phase::writing) enter(Phase::head);
      return process();
    }
    read_more();
  }

  // Sends FIN and reads until the peer's, so that a reset does not overtake the last answer.
  void finish_and_close() {
    if constexpr (kTls) {
      enter(Phase::closing);
      auto self = this->shared_from_this();
      stream_.async_shutdown([self](boost::system::error_code) { self->close(); });
    } else {
      boost::system::error_code ec;
      stream_.shutdown(tcp::socket::shutdown_send, ec);
      if (ec) return close();
      enter(Phase::closing);
      if (!reading_) discard();
    }
  }

  void discard() {
    release_input();
    read();
  }

  std::shared_ptr<ServerState> server_;
  std::shared_ptr<asio::ssl::context> tls_;  // Outlives the stream made from it.
  Stream stream_;
  std::string peer_;
  Phase phase_ = Phase::idle;
  bool waiting_ = false;     // A coroutine works on the request at the front.
  bool must_close_ = false;  // After what is written.
  bool continued_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool head_is_current_ = false;  // server_->head is the head at begin_.
  BootTime since_;
  BootTime received_;
  std::size_t arrived_ = 0;  // Bytes since the phase began.

  // [begin_, end_) of the input is unanswered; it starts with a head of head_size_ once that is
  // read.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t scanned_ = 0;
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  std::size_t wanted_ = 0;
  std::size_t chunk_used_ = 0;
  std::optional<wire::ChunkedDecoder> chunked_;
  std::string chunk_body_;
  std::string unsent_;  // Being written.
  std::string queued_;  // To be written after it.
  std::vector<char> large_;
  std::array<char, kInlineBytes> inline_;
};

}  // namespace

std::shared_ptr<HttpConnection> make_plain_connection(std::shared_ptr<ServerState> server,
                                                      tcp::socket socket) {
  return std::make_shared<Connection<tcp::socket>>(std::move(server), std::move(socket), nullptr);
}

std::shared_ptr<HttpConnection> make_tls_connection(std::shared_ptr<ServerState> server,
                                                    tcp::socket socket,
                                                    std::shared_ptr<asio::ssl::context> tls) {
  TlsStream stream(std::move(socket), *tls);
  return std::make_shared<Connection<TlsStream>>(std::move(server), std::move(stream),
                                                 std::move(tls));
}

}  // namespace redoubt::net
