// One connection of an HTTP server: the state machine between the bytes and the handler. How bytes
// come and go is left to two kinds of it: plain sockets (plain_connection.cpp) and TLS
// (tls_connection.cpp).
//
//   idle --bytes--> head --complete--> body --complete--> answered in place, or
//                                                         handling (a coroutine) --> answered
//   answered --written--> idle, or the next request that is already there
//   answered by a stream --> streaming --ended by either side--> closing
//   refused, told to close --last answer written--> closing --peer closed too--> closed
#pragma once

#include "net/carrier.hpp"
#include "net/http_server.hpp"
#include "net/readiness.hpp"
#include "wire/chunked.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::net {

using tcp = boost::asio::ip::tcp;

class HttpConnection;

// What the connections of one server share; lives as long as the last of them.
struct ServerState {
  ServerState(boost::asio::io_context& io_context, const Clock& the_clock, Log& the_log,
              HttpHandler& the_handler, HttpServerOptions the_options)
      : io(io_context),
        clock(the_clock),
        log(the_log),
        handler(the_handler),
        options(std::move(the_options)),
        readiness(io_context) {}

  boost::asio::io_context& io;
  const Clock& clock;
  Log& log;
  HttpHandler& handler;
  HttpServerOptions options;
  Readiness readiness;
  HttpServerCounters counters;
  std::string out;                                    // Scratch for the answers of one read.
  std::vector<std::string> spare;                     // For `out` while answers are gathered.
  Carriers carriers;
  HttpResponse response;                              // Scratch for answers that need no coroutine.
  wire::RequestHead head;                             // Scratch for heads that need no coroutine.
  std::string date_line;                              // "Date: ...\r\n", renewed by the tick.
  BootTime now;  // Renewed by the tick: what timeouts are measured with.
  bool draining = false;
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<ServerState> server, std::string peer, bool tls);
  virtual ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  virtual void start() = 0;
  // Applies the slow-peer rules; closes the connection that breaks one.
  void tick();
  void drain();
  void close();
  bool closed() const { return phase_ == Phase::closed; }
  // For what carries a request: `carrier` has its answer, or `thrown` why there is none.
  void resume(Carrier& carrier, std::exception_ptr thrown);
  boost::asio::io_context& io() { return server_->io; }

 protected:
  enum class Phase : std::uint8_t {
    handshake,
    idle,
    head,
    body,
    handling,
    writing,
    streaming,
    closing,
    closed,
  };

  // ---- What a kind of connection does ----

  // Reads at most `room` bytes to `at`; then on_read. At most one at a time.
  virtual void start_read(char* at, std::size_t room) = 0;
  // Takes as many bytes as it can at once: how many, or -1 when the connection is broken.
  virtual ssize_t write_now(std::string_view bytes) = 0;
  // Writes some of `bytes`, which stay where they are until on_write says how many.
  virtual void start_write(std::string_view bytes) = 0;
  // What has arrived and was not read yet is read now, as far as on_read wants it.
  virtual void read_what_is_there() {}
  // Everything is written: says so to the peer. True: core reads until the peer closes too. False:
  // the kind closes by itself.
  virtual bool say_goodbye() = 0;
  virtual void close_socket() = 0;
  // Whether an answer may be written while a read is pending.
  virtual bool may_write_while_reading() const = 0;

  // ---- And what it tells ----

  void begin();  // Ready for the first request.
  void on_read(bool failed, std::size_t n);
  void on_write(bool failed, std::size_t n);
  void enter(Phase phase);
  // Answers of the next on_read stay here until send_answers(), for a kind that works on many
  // connections at once.
  void gather_answers() { gathering_ = true; }
  void send_answers();

  ServerState& server() { return *server_; }
  bool reading() const { return reading_; }
  bool writing() const { return writing_; }

 private:
  class Stream;

  bool too_slow(std::chrono::nanoseconds spent) const;
  void give_up();
  void time_out();

  char* input() { return large_.empty() ? inline_.data() : large_.data(); }
  std::size_t capacity() const { return large_.empty() ? inline_.size() : large_.size(); }
  std::string_view pending() { return {input() + begin_, end_ - begin_}; }
  void read();
  void read_more();
  void make_room(std::size_t wanted);
  void release_input();

  void process();
  void process_later();
  std::size_t unwritten() const;
  void answer_what_is_there();
  bool next_request();
  bool take_head();
  bool take_body(std::string_view& body);
  bool take_chunks(std::string_view rest, std::string_view& body);
  void compact_chunks();
  bool await_body(std::size_t missing);
  const wire::RequestHead& current_head();

  void answer(std::string_view body);
  void finish(const wire::RequestHead& head, HttpResponse& response);
  void suspend(const HttpRequest& request);
  void put_failure(const wire::RequestHead& head, std::exception_ptr thrown,
                   HttpResponse& response);
  void refuse(int status, std::string_view reason);

  void start_stream(const wire::RequestHead& head, HttpResponse& response);
  void stream_written();

  void flush();
  std::string take_spare();
  // True: all of it is with the kernel.
  bool send_out(std::string_view bytes);
  void write_rest();
  void written();
  void finish_and_close();

  std::shared_ptr<ServerState> server_;
  std::string peer_;
  const bool tls_;
  Phase phase_ = Phase::idle;
  bool waiting_ = false;     // A coroutine works on the request at the front.
  bool starting_ = false;    // What carries its request has not come to a wait yet.
  bool must_close_ = false;  // After what is written.
  bool reading_ = false;
  bool writing_ = false;
  bool continue_expected_ = false;
  bool head_is_current_ = false;  // server_->head is the head at begin_.
  bool process_posted_ = false;
  bool gathering_ = false;
  bool flush_due_ = false;  // `gathered_` is to be sent, though it may be empty.
  wire::BodyKind body_kind_ = wire::BodyKind::none;
  BootTime since_;
  BootTime wrote_;  // When the write that is pending began.
  BootTime received_;
  std::size_t arrived_ = 0;  // Bytes since the phase began.

  // [begin_, end_) of the input is unanswered; it starts with a head of head_size_ once that is
  // read.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t scanned_ = 0;
  std::size_t head_size_ = 0;
  std::size_t body_size_ = 0;
  std::size_t body_length_ = 0;  // As announced.
  std::size_t wanted_ = 0;
  std::size_t chunk_used_ = 0;
  std::optional<wire::ChunkedDecoder> chunked_;
  std::string chunk_body_;
  std::string gathered_;
  std::string unsent_;  // Being written, from sent_ on.
  std::size_t sent_ = 0;
  std::string queued_;              // To be written after it.
  std::shared_ptr<Stream> stream_;  // Of the answer that goes on.
  std::vector<char> large_;
  std::array<char, 1024> inline_;  // What an idle connection keeps.
};

// Takes over the descriptor. Null when the kernel refuses to watch it.
std::shared_ptr<HttpConnection> make_plain_connection(std::shared_ptr<ServerState> server,
                                                      int descriptor, std::string peer);
std::shared_ptr<HttpConnection> make_tls_connection(std::shared_ptr<ServerState> server,
                                                    tcp::socket socket, std::string peer,
                                                    std::shared_ptr<boost::asio::ssl::context> tls);

// Renders status line, framing and fields of `response`; the body unless `head_only`.
void append_response(std::string& out, const HttpResponse& response, const std::string& date_line,
                     bool keep_alive, bool http10, bool head_only);
// The same of a response whose body goes on, and what there is of it already.
void append_stream_response(std::string& out, const HttpResponse& response,
                            const std::string& date_line, bool chunked);
void append_chunk(std::string& out, std::string_view bytes);  // REQUIRES: not empty.
std::string_view reason_phrase(int status);

}  // namespace redoubt::net
