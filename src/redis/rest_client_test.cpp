// The REST transport against a service that misbehaves as told. Against a real one:
// tests/upstash_rest_test.cpp.
#include "redis/client.hpp"

#include "tests/support/event_log.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace redoubt::redis {
namespace {

using test::RedisLoop;
using ::testing::HasSubstr;

// Reads requests and answers the n-th as told: with bytes, or by hanging up. One thread for all.
class ScriptedService {
 public:
  static constexpr std::string_view kHangUp = "(hang up)";
  static constexpr std::string_view kSilence = "(silence)";
  using Answer = std::function<std::string(int number, const std::string& request)>;

  explicit ScriptedService(Answer answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = test::loopback(0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~ScriptedService() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (const int one : open_) ::shutdown(one, SHUT_RDWR);
    for (std::thread& served : serving_) served.join();
    for (const int one : open_) ::close(one);
    ::close(listener_);
  }

  std::uint16_t port() const { return port_; }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int most_at_once() const { return most_; }

 private:
  void accept_all() {
    for (int one; (one = ::accept(listener_, nullptr, nullptr)) >= 0;) {
      most_ = std::max<int>(most_, ++connections_);
      open_.push_back(one);
      serving_.emplace_back([this, one] { serve(one); });
    }
  }
  void serve(int one) {
    std::string input;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(one, buffer, sizeof buffer, 0)) > 0;) {
      input.append(buffer, static_cast<std::size_t>(n));
      const std::size_t head = input.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const std::size_t at = input.find("Content-Length: ") + 16;
      const std::size_t whole = head + 4 + std::stoul(input.substr(at));
      if (input.size() < whole) continue;
      const std::string request = input.substr(0, whole);
      input.erase(0, whole);
      const std::string answer = note(request);
      if (answer == kHangUp) break;
      if (answer == kSilence) continue;
      ::send(one, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    --connections_;
    ::shutdown(one, SHUT_RDWR);
  }
  std::string note(const std::string& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    return answer_(static_cast<int>(requests_.size()), request);
  }

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<int> most_{0};
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<int> open_;
  std::vector<std::thread> serving_;
  std::thread thread_;
};

std::string http(int status, std::string_view body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

Options rest(std::uint16_t port) {
  Options options;
  options.topology =
      Rest{.url = "http://127.0.0.1:" + std::to_string(port), .token = Secret("a-secret-token")};
  options.timeouts.operation = Duration(5000);
  options.timeouts.connect = Duration(5000);
  options.backoff = {.first = Duration(5), .max = Duration(20), .refused = Duration(20)};
  return options;
}

Command get() {
  return Command("GET").key("k").read_only();
}
Command incr() {
  return Command("INCR").key("k");
}

// Goal: a command is executed twice only if that is the same as once.
TEST(RestClient, RepeatsOnlyWhatMayBeRepeatedWhenTheConnectionIsLost) {
  ScriptedService service([](int number, const std::string&) {
    return number == 1 || number == 3 ? std::string(ScriptedService::kHangUp)
                                      : http(200, R"({"result":7})");
  });
  RedisLoop loop;
  const auto client = loop.client(rest(service.port()));
  const auto read = loop.run(client->run(get()));
  ASSERT_TRUE(read) << read.error().cause;
  EXPECT_EQ(read->as_integer(), 7);
  EXPECT_EQ(service.requests().size(), 2U);

  const auto written = loop.run(client->run(incr()));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().slug, "redis_unknown_outcome");
  EXPECT_EQ(service.requests().size(), 3U);
  EXPECT_EQ(client->status().unknown_outcomes, 2U);
}

TEST(RestClient, DoesNotKnowTheOutcomeOfAServerErrorOrHalfAnAnswer) {
  for (const std::string& answer :
       {http(502, "bad gateway"), std::string("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
        http(200, "not json"), std::string("not http\r\n\r\n")}) {
    ScriptedService service([&](int, const std::string&) { return answer; });
    RedisLoop loop;
    Options options = rest(service.port());
    options.timeouts.operation = Duration(500);
    const auto client = loop.client(options);
    const auto result = loop.run(client->run(incr()));
    ASSERT_FALSE(result) << answer;
    EXPECT_EQ(result.error().slug, "redis_unknown_outcome") << answer;
    EXPECT_EQ(service.requests().size(), 1U) << answer;
  }
}

TEST(RestClient, KnowsWhatWasRefused) {
  const auto slug_of_status = [](int status, std::string_view body) {
    ScriptedService service([&](int, const std::string&) { return http(status, body); });
    RedisLoop loop;
    const auto client = loop.client(rest(service.port()));
    const auto result = loop.run(client->run(incr()));
    EXPECT_FALSE(result);
    return result ? std::string() : result.error().slug;
  };
  EXPECT_EQ(slug_of_status(401, R"({"error":"WRONGPASS x"})"), "redis_denied");
  EXPECT_EQ(slug_of_status(429, R"({"error":"ERR max requests limit exceeded"})"), "redis_refused");
  EXPECT_EQ(slug_of_status(400, R"({"error":"OOM command not allowed"})"), "redis_full");
  EXPECT_EQ(slug_of_status(302, ""), "redis_error");
}

TEST(RestClient, GivesUpAtTheDeadlineAndDropsTheConnection) {
  ScriptedService service(
      [](int, const std::string&) { return std::string(ScriptedService::kSilence); });
  RedisLoop loop;
  Options options = rest(service.port());
  options.timeouts.operation = Duration(50);
  const auto client = loop.client(options);
  const BootTime begun = loop.clock.boot();
  const auto result = loop.run(client->run(incr()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().slug, "redis_unknown_outcome");
  EXPECT_LT(loop.clock.boot() - begun, std::chrono::seconds(5));
  EXPECT_TRUE(loop.until([&] { return client->status().in_flight == 0; }));
}

// Says in a log what an operator must mend.
struct Logging {
  explicit Logging(ScriptedService& service)
      : client(*make_client(loop.io.get_executor(), rest(service.port()),
                            {loop.clock, *loop.timers, loop.random, log, loop.metrics, {}})) {}
  ~Logging() { client->stop(); }
  bool increments() { return loop.run(client->run(incr())).has_value(); }
  std::ptrdiff_t errors(std::string_view event) const {
    return log.count(LogLevel::error, event);
  }

  RedisLoop loop;
  test::EventLog log;
  std::unique_ptr<Client> client;
};

TEST(RestClient, SaysLoudlyAndOnlyNowAndThenThatRedisRefuses) {
  for (const std::string_view words : {"NOPERM this user has no permissions", "OOM not allowed"}) {
    const std::string body = R"({"error":")" + std::string(words) + R"("})";
    ScriptedService service([&](int, const std::string&) { return http(400, body); });
    Logging logging(service);

    for (int i = 0; i < 5; ++i) EXPECT_FALSE(logging.increments());

    EXPECT_EQ(service.requests().size(), 5U) << words;
    EXPECT_EQ(logging.errors("redis.refuses"), 1) << words;
  }
}

TEST(RestClient, SaysLoudlyOnceThatItsTokenIsNone) {
  ScriptedService service([](int number, const std::string&) {
    return number == 6 ? http(200, R"({"result":7})") : http(401, R"({"error":"WRONGPASS"})");
  });
  Logging logging(service);

  for (int i = 0; i < 5; ++i) EXPECT_FALSE(logging.increments());
  EXPECT_EQ(logging.errors("redis.denied"), 1);
  EXPECT_TRUE(logging.increments());
  EXPECT_FALSE(logging.increments());
  EXPECT_EQ(logging.errors("redis.denied"), 2) << "it was taken in between";
}

TEST(RestClient, SaysAtOnceThatNobodyIsThere) {
  const std::uint16_t nobody = test::free_port();
  RedisLoop loop;
  const auto client = loop.client(rest(nobody));
  const auto result = loop.run(client->run(incr()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().slug, "redis_unavailable");
  EXPECT_FALSE(client->status().connected);
  EXPECT_FALSE(loop.run(client->connected(Duration(100))));
}

TEST(RestClient, ComesBackByItself) {
  const std::uint16_t port = test::free_port();
  RedisLoop loop;
  const auto client = loop.client(rest(port));
  EXPECT_FALSE(loop.run(client->run(get())));
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = test::loopback(port);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 8), 0);
  EXPECT_TRUE(loop.until([&] { return client->status().connected; }));
  ::close(listener);
}

TEST(RestClient, SendsWhatIsIssuedTogetherInOneRequest) {
  ScriptedService service([](int, const std::string& request) {
    return request.find("/pipeline") != std::string::npos
               ? http(200, R"([{"result":1},{"result":2},{"error":"ERR x"}])")
               : http(200, R"({"result":"UE9ORw=="})");
  });
  RedisLoop loop;
  const auto client = loop.client(rest(service.port()));
  ASSERT_TRUE(loop.run(client->connected(Duration(5000))));
  std::vector<std::string> answers;
  boost::asio::post(loop.io, [&] {  // One turn of the loop, with nothing of the client's in between.
    for (int i = 0; i < 3; ++i) {
      boost::asio::co_spawn(loop.io, client->run(incr().raw()),
                            [&](std::exception_ptr, Result<Value> reply) {
                              answers.push_back(reply ? std::to_string(reply->as_integer()) : "-");
                            });
    }
  });
  EXPECT_TRUE(loop.until([&] { return answers.size() == 3; }));
  EXPECT_EQ(service.requests().size(), 2U);
  EXPECT_THAT(service.requests()[1], HasSubstr(R"([["INCR","k"],["INCR","k"],["INCR","k"]])"));
  EXPECT_THAT(service.requests()[1], HasSubstr("Upstash-Encoding: base64"));
}

TEST(RestClient, SendsBytesAsTheBodyOfAPath) {
  ScriptedService service([](int, const std::string&) { return http(200, R"({"result":"OK"})"); });
  RedisLoop loop;
  const auto client = loop.client(rest(service.port()));
  EXPECT_TRUE(loop.run(client->run(Command("SET").key("k/\xFF").arg("\xFE\xFD"))));
  EXPECT_THAT(service.requests().at(0), HasSubstr("POST /SET/k%2F%FF HTTP/1.1"));
  EXPECT_TRUE(service.requests().at(0).ends_with("\r\n\r\n\xFE\xFD"));
  std::vector<Command> commands;
  commands.push_back(Command("SET").key("k").arg("\xFF"));
  const auto refused = loop.run(client->transaction(std::move(commands)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().slug, "redis_not_supported");
}

TEST(RestClient, OpensABoundedNumberOfConnections) {
  ScriptedService service(
      [](int, const std::string&) { return std::string(ScriptedService::kSilence); });
  RedisLoop loop;
  Options options = rest(service.port());
  options.timeouts.operation = Duration(2000);
  const auto client = loop.client(options);
  int over = 0;
  for (int i = 0; i < 50; ++i) {
    std::vector<Command> commands;
    commands.push_back(incr());
    boost::asio::co_spawn(loop.io, client->run_all(std::move(commands)),
                          [&](std::exception_ptr, std::vector<Result<Value>>) { ++over; });
  }
  EXPECT_TRUE(loop.until([&] { return service.requests().size() == 8; }));
  loop.pass(std::chrono::milliseconds(100));  // For those that should not come.
  EXPECT_EQ(service.requests().size(), 8U);
  client->stop();
  EXPECT_TRUE(loop.until([&] { return over == 50; }));
  EXPECT_GE(service.most_at_once(), 1);
  EXPECT_LE(service.most_at_once(), 8);
}

TEST(RestClient, EndsEverythingWhenItIsStopped) {
  ScriptedService service(
      [](int, const std::string&) { return std::string(ScriptedService::kSilence); });
  RedisLoop loop;
  const auto client = loop.client(rest(service.port()));
  std::optional<Result<Value>> reply;
  boost::asio::co_spawn(loop.io, client->run(incr()),
                        [&](std::exception_ptr, Result<Value> given) { reply = std::move(given); });
  EXPECT_TRUE(loop.until([&] { return service.requests().size() == 1; }));
  client->stop();
  EXPECT_TRUE(loop.until([&] { return reply.has_value(); }));
  EXPECT_EQ(reply->error().slug, "redis_unknown_outcome");
  EXPECT_EQ(loop.run(client->run(incr())).error().slug, "redis_unavailable");
}

}  // namespace
}  // namespace redoubt::redis
