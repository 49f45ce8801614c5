#include "net/http_stream.hpp"

#include "base/clock.hpp"
#include "net/http_server.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

// Answers everything with a stream and hands it to the test; /later by a coroutine.
class StreamHandler final : public HttpHandler {
 public:
  explicit StreamHandler(asio::io_context& io) : io_(io) {}

  bool handle_now(const HttpRequest& request, HttpResponse& response) override {
    if (request.head.path == "/later") return false;
    answer(response);
    return true;
  }
  asio::awaitable<void> handle(const HttpRequest&, HttpResponse& response) override {
    co_await asio::post(io_, asio::use_awaitable);
    answer(response);
  }
  void refuse(int status, std::string_view, HttpResponse& response) override {
    response.status = status;
  }

  std::shared_ptr<ResponseStream> stream;
  std::promise<void> started;
  std::promise<void> closed;
  std::promise<void> drained;

 private:
  void answer(HttpResponse& response) {
    response.content_type = "text/event-stream";
    response.body = ": hello\n\n";
    response.stream = [this](std::shared_ptr<ResponseStream> given) {
      stream = std::move(given);
      stream->on_closed = [this] { closed.set_value(); };
      stream->on_drained = [this] { drained.set_value(); };
      started.set_value();
    };
  }
  asio::io_context& io_;
};

constexpr std::chrono::seconds kPatience{30};

class HttpStream : public ::testing::Test {
 protected:
  void SetUp() override {
    HttpServerOptions options;
    options.port = 0;
    options.stream_queue_max = 8 << 20;
    server_ = make_http_server(io_, clock_, null_log(), handler_, options);
    ASSERT_TRUE(server_->listen());
    thread_ = std::thread([this] { io_.run(); });
    connect();
  }
  void TearDown() override {
    run([this] { server_->close_all(); });
    guard_.reset();
    thread_.join();
    ::close(fd_);
    EXPECT_EQ(server_->counters().streams, 0);
  }

  void connect() {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  void ask(std::string_view head) {
    ASSERT_EQ(::send(fd_, head.data(), head.size(), 0), static_cast<ssize_t>(head.size()));
  }
  void ask_and_start(std::string_view head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n") {
    ask(head);
    ASSERT_EQ(handler_.started.get_future().wait_for(kPatience), std::future_status::ready);
  }

  // On the server's thread, to its end.
  template <class Work>
  void run(Work work) {
    std::promise<void> done;
    asio::post(io_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  bool send(std::string_view bytes) {
    bool sent = false;
    run([&] { sent = handler_.stream->send(bytes); });
    return sent;
  }

  std::string read_until(std::string_view end) {
    std::string text;
    char buffer[4096];
    while (!text.ends_with(end)) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
  std::string read_all() { return read_until("\x01never\x01"); }
  bool closed() {
    return handler_.closed.get_future().wait_for(kPatience) == std::future_status::ready;
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
  ManualClock clock_;
  StreamHandler handler_{io_};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
  int fd_ = -1;
};

TEST_F(HttpStream, SendsItsHeadAtOnceAndThenWhatComes) {
  ask_and_start();
  const std::string head = read_until("\r\n9\r\n: hello\n\n\r\n");
  EXPECT_TRUE(
      head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                       "Transfer-Encoding: chunked\r\n"))
      << head;
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);

  EXPECT_TRUE(send("data: 1\n\n"));
  EXPECT_EQ(read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
  EXPECT_EQ(server_->counters().streams, 1);

  run([this] {
    handler_.stream->send("a");
    handler_.stream->send("b");
    handler_.stream->end();
    EXPECT_FALSE(handler_.stream->open());
    EXPECT_FALSE(handler_.stream->send("c"));
  });
  EXPECT_EQ(read_all(), "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  EXPECT_TRUE(closed());
}

TEST_F(HttpStream, ComesFromACoroutineToo) {
  ask_and_start("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  run([this] { handler_.stream->end(); });
  EXPECT_TRUE(read_all().ends_with(": hello\n\n\r\n0\r\n\r\n"));
}

TEST_F(HttpStream, IsPlainForHttp10AndNotThereForHead) {
  ask_and_start("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
  run([this] {
    handler_.stream->send("data: 1\n\n");
    handler_.stream->end();
  });
  const std::string text = read_all();
  EXPECT_TRUE(text.ends_with("\r\n\r\n: hello\n\ndata: 1\n\n")) << text;
  EXPECT_EQ(text.find("chunked"), std::string::npos);

  ::close(fd_);
  connect();
  ask("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(read_all().ends_with("\r\n\r\n"));
}

TEST_F(HttpStream, EndsWhenThePeerGoes) {
  ask_and_start();
  ::shutdown(fd_, SHUT_RDWR);
  EXPECT_TRUE(closed());
  EXPECT_FALSE(send("x"));
}

// What arrives after the request is neither an answer's due nor a reason to end.
TEST_F(HttpStream, IgnoresWhatElseThePeerSends) {
  ask_and_start("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ask("more");
  read_until("\r\n9\r\n: hello\n\n\r\n");
  EXPECT_TRUE(send("x"));
  EXPECT_EQ(read_until("x\r\n"), "1\r\nx\r\n");
}

TEST_F(HttpStream, EndsWithADrain) {
  ask_and_start();
  run([this] { server_->drain(); });
  EXPECT_TRUE(closed());
  EXPECT_TRUE(read_all().ends_with("0\r\n\r\n"));
}

TEST_F(HttpStream, WaitsForASlowPeerUpToABound) {
  ask_and_start();
  const std::string megabyte(1 << 20, 'x');
  while (send(megabyte)) {
  }
  EXPECT_TRUE(closed());
  EXPECT_EQ(server_->counters().timed_out, 1);
}

TEST_F(HttpStream, TellsASourceThatWaitsWhenToGoOn) {
  ask_and_start();
  std::size_t sent = 0;
  std::size_t queued = 0;
  const std::string part(256 << 10, 'x');
  while (queued == 0) {
    ASSERT_TRUE(send(part));
    sent += part.size();
    run([&] { queued = handler_.stream->queued(); });
  }
  std::size_t read = 0;
  std::vector<char> buffer(1 << 20);
  while (read < sent) {
    const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
    ASSERT_GT(n, 0);
    read += static_cast<std::size_t>(n);
  }
  EXPECT_EQ(handler_.drained.get_future().wait_for(kPatience), std::future_status::ready);
}

}  // namespace
}  // namespace redoubt::net
