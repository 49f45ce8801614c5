#include "net/http_server.hpp"

#include "base/clock.hpp"
#include "net/http_client.hpp"

#include "tests/support/real_time.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace redoubt::net {
namespace {

namespace asio = boost::asio;

// Answers with what it was asked; /later/... by a coroutine that really suspends.
class EchoHandler final : public HttpHandler {
 public:
  explicit EchoHandler(asio::io_context& io) : io_(io) {}

  bool handle_now(const HttpRequest& request, HttpResponse& response) override {
    if (request.head.path.starts_with("/later")) return false;
    echo(request, response);
    return true;
  }
  asio::awaitable<void> handle(const HttpRequest& request, HttpResponse& response) override {
    if (request.head.path == "/later/throw") throw std::runtime_error("a bug");
    co_await asio::post(io_, asio::use_awaitable);
    echo(request, response);
  }
  void refuse(int status, std::string_view reason, HttpResponse& response) override {
    response.status = status;
    response.content_type = "text/plain";
    response.body = reason;
  }

 private:
  void echo(const HttpRequest& request, HttpResponse& response) {
    response.content_type = "text/plain";
    response.body = std::string(request.head.method_text) + " " + std::string(request.head.path) +
                    " [" + std::string(request.body) + "]";
    if (request.head.path.ends_with("large")) response.body.assign(12'000'000, 'x');
    ++answered;
  }

 public:
  std::atomic<int> answered{0};

 private:
  asio::io_context& io_;
};

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { ::close(fd_); }

  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // Everything until the peer closes, or until `count` bodies have ended with `mark`.
  std::string read_until_closed() {
    return read_while([](const std::string&) { return true; });
  }
  std::string read_until(std::string_view mark, std::size_t count = 1) {
    return read_while([&](const std::string& text) {
      std::size_t found = 0;
      for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1))
        ++found;
      return found < count;
    });
  }

 private:
  template <class More>
  std::string read_while(More more) {
    std::string text;
    char buffer[65536];
    while (more(text)) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
  int fd_;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override { start({}); }

  void start(HttpServerOptions options) {
    options.port = 0;
    server_ = make_http_server(io_, clock_, null_log(), handler_, options);
    ASSERT_TRUE(server_->listen());
    thread_ = std::thread([this] { io_.run(); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    asio::post(io_, [this] {
      server_->close_all();
      guard_.reset();
    });
    thread_.join();
  }
  void TearDown() override { stop(); }

  std::string exchange(std::string_view bytes) {
    Client client(server_->port());
    client.send(bytes);
    return client.read_until_closed();
  }

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
  ManualClock clock_;
  EchoHandler handler_{io_};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

constexpr std::string_view kClose = "Host: x\r\nConnection: close\r\n";

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Client client(server_->port());

  client.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_until("GET /a []").find("HTTP/1.1 200 OK\r\n"), std::string::npos);
  client.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_until("GET /b []").find("Date: "), std::string::npos);
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderWhateverTheirKind) {
  const std::string text = exchange(
      "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /later/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
      "\r\nabcGET /later/3 HTTP/1.1\r\nHost: x\r\n\r\nGET /4 HTTP/1.1\r\n" +
      std::string(kClose) + "\r\n");

  const auto first = text.find("GET /1 []");
  const auto second = text.find("POST /later/2 [abc]");
  const auto third = text.find("GET /later/3 []");
  const auto fourth = text.find("GET /4 []");
  ASSERT_NE(fourth, std::string::npos) << text;
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_LT(third, fourth);
}

TEST_F(HttpServerTest, ReadsBodiesHoweverTheyAreCut) {
  const std::string body(100'000, 'b');
  const std::string request =
      "POST /p HTTP/1.1\r\nContent-Length: 100000\r\n" + std::string(kClose) + "\r\n" + body;
  for (const std::size_t cut : {1u, 20u, 70u, 71u, 90u, 5000u, 100'050u}) {
    Client client(server_->port());
    client.send(std::string_view(request).substr(0, cut));
    client.send(std::string_view(request).substr(cut));
    const std::string text = client.read_until_closed();
    EXPECT_NE(text.find("[" + body + "]"), std::string::npos) << cut;
  }
}

TEST_F(HttpServerTest, ReadsChunkedBodiesByteByByte) {
  const std::string request = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" +
                              std::string(kClose) + "\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
  Client client(server_->port());
  for (const char c : request) client.send(std::string_view(&c, 1));

  EXPECT_NE(client.read_until_closed().find("POST /p [abcdefg]"), std::string::npos);
}

TEST_F(HttpServerTest, TellsAPatientClientToGoOn) {
  Client client(server_->port());
  client.send("POST /p HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n" +
              std::string(kClose) + "\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");

  EXPECT_NE(client.read_until_closed().find("POST /p [ok]"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesAndClosesAfterWhatItCannotRead) {
  const std::string text =
      exchange("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");

  EXPECT_TRUE(text.starts_with("HTTP/1.1 400 ")) << text;
  EXPECT_EQ(text.find("/2"), std::string::npos);
  EXPECT_NE(text.find("Connection: close"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesBodiesOverTheLimitBeforeTheyArrive) {
  EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n")
                  .starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n")
                  .starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, WritesLargeAnswersToSlowReaders) {
  Client client(server_->port());
  client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\nGET /end HTTP/1.1\r\n" + std::string(kClose) +
              "\r\n");

  const std::string text = client.read_until_closed();
  EXPECT_GT(text.size(), 3'000'000u);
  EXPECT_NE(text.find("GET /end []"), std::string::npos);
}

// A peer that does not read must not make the server work ahead of it.
TEST_F(HttpServerTest, StopsAnsweringWhileItsAnswersAreNotTaken) {
  Client deaf(server_->port());
  std::string requests;
  for (int i = 0; i < 30; ++i) requests += "GET /later/large HTTP/1.1\r\nHost: x\r\n\r\n";
  deaf.send(requests);
  Client witness(server_->port());
  for (int i = 0; i < 100; ++i) {  // So the loop has turned often enough to answer them all.
    witness.send("GET /later/w HTTP/1.1\r\nHost: x\r\n\r\n");
    witness.read_until("[]");
  }

  EXPECT_LE(handler_.answered - 100, 3);
}

TEST_F(HttpServerTest, ClosesAPeerThatDoesNotTakeItsAnswerWhateverElseItAsked) {
  Client deaf(server_->port());
  deaf.send(
      "GET /large HTTP/1.1\r\nHost: x\r\n\r\nGET /later/x HTTP/1.1\r\nHost: x\r\n\r\n"
      "GET /later/y HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto closed = [this] { return server_->counters().timed_out > 0; };
  const auto pass_time = [this] { clock_.advance(std::chrono::seconds(5)); };

  EXPECT_TRUE(test::poll_until(closed, pass_time, std::chrono::milliseconds(100), 200));
}

TEST_F(HttpServerTest, AnswersHeadWithoutABody) {
  const std::string text = exchange("HEAD /a HTTP/1.1\r\n" + std::string(kClose) + "\r\n");

  EXPECT_NE(text.find("Content-Length: 10\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, TurnsAnExceptionIntoOneAnswer) {
  const std::string text = exchange("GET /later/throw HTTP/1.1\r\n" + std::string(kClose) + "\r\n");

  EXPECT_TRUE(text.starts_with("HTTP/1.1 500 ")) << text;
  EXPECT_EQ(text.find("a bug"), std::string::npos);
}

TEST_F(HttpServerTest, AnswersHundredsOfPipelinedRequests) {
  std::string requests;
  for (int i = 0; i < 10'000; ++i) requests += "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
  Client client(server_->port());
  std::thread writer([&] { client.send(requests); });

  const std::string text = client.read_until("GET /x []", 10'000);
  writer.join();
  EXPECT_EQ(text.find("HTTP/1.1 4"), std::string::npos);
}

TEST_F(HttpServerTest, ClosesSlowHeadsSlowBodiesAndIdleConnections) {
  Client idle(server_->port());
  Client head(server_->port());
  Client body(server_->port());
  head.send("GET / HTTP/1.1\r\nHo");
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc");
  Client witness(server_->port());
  witness.send("GET /w HTTP/1.1\r\nHost: x\r\n\r\n");
  witness.read_until("[]");  // Now the server has read the others too, or will within a tick.

  std::thread time([this] {
    // Time passes only here; each step is seen by a tick of the server.
    const auto all_closed = [this] { return server_->counters().open == 0; };
    const auto pass = [this] { clock_.advance(std::chrono::seconds(5)); };
    test::poll_until(all_closed, pass, std::chrono::milliseconds(100), 200);
  });
  EXPECT_TRUE(head.read_until_closed().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read_until_closed().starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_until_closed(), "");
  time.join();
  EXPECT_GE(server_->counters().timed_out, 2);
}

TEST_F(HttpServerTest, DrainsByClosingIdleConnectionsAndFinishingOthers) {
  Client idle(server_->port());
  idle.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.read_until("GET /a []");
  Client busy(server_->port());
  busy.send("POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na");
  Client witness(server_->port());
  witness.send("GET /w HTTP/1.1\r\nHost: x\r\n\r\n");
  witness.read_until("[]");

  asio::post(io_, [this] { server_->drain(); });
  EXPECT_EQ(idle.read_until_closed(), "");
  busy.send("b");
  const std::string text = busy.read_until_closed();
  EXPECT_NE(text.find("Connection: close"), std::string::npos) << text;
  EXPECT_NE(text.find("[ab]"), std::string::npos);
}

TEST_F(HttpServerTest, SpeaksWithItsOwnClient) {
  ClientRequest request;
  request.method = "POST";
  request.url = "http://127.0.0.1:" + std::to_string(server_->port()) + "/x?y=1";
  request.body = "hello";

  const auto response = fetch(request);

  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "POST /x [hello]");
}

TEST_F(HttpServerTest, RefusesAPortThatIsTaken) {
  HttpServerOptions options;
  options.port = server_->port();
  asio::io_context other;
  const auto second = make_http_server(other, clock_, null_log(), handler_, options);

  const auto listened = second->listen();

  ASSERT_FALSE(listened);
  EXPECT_EQ(listened.error().slug, "listen_failed");
}

// The loop stands still while requests arrive, so that it meets all of them at once.
class StandStill {
 public:
  explicit StandStill(asio::io_context& io) {
    asio::post(io, [state = state_] {
      state->stands.set_value();
      state->over.get_future().wait();
    });
    state_->stands.get_future().wait();
  }
  ~StandStill() { state_->over.set_value(); }

 private:
  struct State {
    std::promise<void> stands;
    std::promise<void> over;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();  // The loop's, too: it wakes later.
};

TEST_F(HttpServerTest, AnswersEveryConnectionOfABatch) {
  constexpr int kClients = 100;
  const auto get = [](int i, std::string_view fields = "") {
    return fmt::format("GET /{} HTTP/1.1\r\nHost: x\r\n{}\r\n", i, fields);
  };
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>(server_->port()));
    clients.back()->send(get(i));
    clients.back()->read_until("[]");
  }
  {
    const StandStill still(io_);
    for (int i = 0; i < kClients; ++i) {
      Client& client = *clients[static_cast<std::size_t>(i)];
      if (i % 5 == 0) client.send(get(i) + get(i + 1'000));
      if (i % 5 == 1) client.send(get(i).substr(0, 10));
      if (i % 5 == 2) client.send(get(i, "Connection: close\r\n"));
      if (i % 5 == 3) client.send(fmt::format("GET /later/{} HTTP/1.1\r\nHost: x\r\n\r\n", i));
      if (i % 5 == 4) {
        client.send(fmt::format("POST /{} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n{}", i,
                                std::string(2'000, 'b')));
      }
    }
  }
  for (int i = 0; i < kClients; ++i) {
    Client& client = *clients[static_cast<std::size_t>(i)];
    std::string expected = fmt::format("GET /{} []", i);
    std::string answer;
    if (i % 5 == 0) {
      answer = client.read_until("[]", 2);
      EXPECT_LT(answer.find(expected), answer.find(fmt::format("GET /{} []", i + 1'000)));
    } else if (i % 5 == 1) {
      client.send(get(i).substr(10));
      answer = client.read_until("[]");
    } else if (i % 5 == 2) {
      answer = client.read_until_closed();
    } else if (i % 5 == 3) {
      expected = fmt::format("GET /later/{} []", i);
      answer = client.read_until("[]");
    } else {
      expected = fmt::format("POST /{} [{}]", i, std::string(2'000, 'b'));
      answer = client.read_until("b]");
    }
    EXPECT_NE(answer.find(expected), std::string::npos) << i << answer;
  }
}

TEST_F(HttpServerTest, APeerThatIsGoneTakesNobodyOfItsBatchAlong) {
  Client first(server_->port());
  auto gone = std::make_unique<Client>(server_->port());
  Client last(server_->port());
  for (Client* client : {&first, gone.get(), &last}) {
    client->send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    client->read_until("[]");
  }
  {
    const StandStill still(io_);
    first.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    gone->send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET");
    gone.reset();
    last.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  }

  EXPECT_NE(first.read_until("[]").find("GET /2 []"), std::string::npos);
  EXPECT_NE(last.read_until("[]").find("GET /2 []"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::net
