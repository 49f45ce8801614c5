// The Upstash face behind a real HTTP server and in front of a real Redis.
#include "faces/upstash/face.hpp"

#include "base/text.hpp"
#include "faces/mount.hpp"
#include "net/http_client.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <boost/asio/post.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace redoubt::faces {
namespace {

namespace asio = boost::asio;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kWriter = "a-token-that-may-write";
constexpr std::string_view kReader = "a-token-that-may-read";
constexpr std::string_view kAdmin = "a-token-that-may-all";

// Says that it is the REST face.
class OtherHandler final : public net::HttpHandler {
 public:
  bool handle_now(const net::HttpRequest&, net::HttpResponse& response) override {
    response.content_type = "text/plain";
    response.body = "REST";
    return true;
  }
  asio::awaitable<void> handle(const net::HttpRequest&, net::HttpResponse&) override { co_return; }
  void refuse(int status, std::string_view, net::HttpResponse& response) override {
    response.status = status;
  }
};

// A face with its own loop in a thread: what one worker has.
class Running {
 public:
  Running(ApiKeys& keys, UpstashOptions options, std::optional<std::uint16_t> redis_port) {
    if (redis_port) {
      redis::Options wanted = test::standalone(*redis_port);
      wanted.allow_resp3 = resp3;
      client_ = loop_.client(wanted);
    }
    face_ = std::make_unique<UpstashFace>(UpstashParts{.executor = loop_.io.get_executor(),
                                                       .client = client_.get(),
                                                       .keys = keys,
                                                       .clock = loop_.clock,
                                                       .random = loop_.random,
                                                       .log = null_log(),
                                                       .metrics = loop_.metrics},
                                          std::move(options));
    own_ = std::make_unique<UpstashHandler>(*face_, "");
    below_ = std::make_unique<UpstashHandler>(*face_, "/redis");
    mount_ = std::make_unique<Mount>(other_, "/redis", *below_);
    own_server_ = listen(*own_);
    main_server_ = listen(*mount_);
    if (client_) {
      auto connected = loop_.run(client_->connected(Duration(10'000)));
      EXPECT_TRUE(connected) << connected.error().cause;
    }
    loop_.io.restart();
    thread_ = std::thread([this] { loop_.io.run(); });
  }
  ~Running() {
    run([this] {
      own_server_->close_all();
      main_server_->close_all();
      face_.reset();
      if (client_) client_->stop();
    });
    guard_.reset();
    thread_.join();
  }

  // On the loop, to its end.
  template <class Work>
  void run(Work work) {
    std::promise<void> done;
    asio::post(loop_.io, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  void drop_connections() {
    run([this] { main_server_->close_all(); });
  }
  UpstashFace& face() { return *face_; }
  std::uint16_t port() const { return own_server_->port(); }
  std::uint16_t main_port() const { return main_server_->port(); }

  static inline bool resp3 = false;

 private:
  std::unique_ptr<net::HttpServer> listen(net::HttpHandler& handler) {
    net::HttpServerOptions options;
    options.port = 0;
    auto server =
        net::make_http_server(loop_.io, loop_.clock, null_log(), handler, std::move(options));
    EXPECT_TRUE(server->listen());
    return server;
  }

  test::RedisLoop loop_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{loop_.io.get_executor()};
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<UpstashFace> face_;
  OtherHandler other_;
  std::unique_ptr<UpstashHandler> own_;
  std::unique_ptr<UpstashHandler> below_;
  std::unique_ptr<Mount> mount_;
  std::unique_ptr<net::HttpServer> own_server_;
  std::unique_ptr<net::HttpServer> main_server_;
  std::thread thread_;
};

struct Reply {
  int status = 0;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;

  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (iequals(key, name)) return value;
    }
    return "(none)";
  }
};

class UpstashFaceTest : public tenants::TenantsTest {
 protected:
  static UpstashOptions options() {
    UpstashOptions options;
    options.tokens.push_back({Secret(std::string(kWriter)), UpstashAccess::read_write});
    options.tokens.push_back({Secret(std::string(kReader)), UpstashAccess::read_only});
    options.tokens.push_back({Secret(std::string(kAdmin)), UpstashAccess::admin});
    return options;
  }
  void start(UpstashOptions wanted = options(), bool with_redis = true) {
    running_ = std::make_unique<Running>(*keys, std::move(wanted),
                                         with_redis ? std::optional(redis_.port()) : std::nullopt);
  }
  void TearDown() override {
    running_.reset();
    Running::resp3 = false;
    TenantsTest::TearDown();
  }

  struct Ask {
    std::string method = "POST";
    std::string path = "/";
    std::string body = {};
    std::string_view token = kWriter;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::uint16_t port = 0;
  };
  Reply ask(Ask wanted) {
    net::ClientRequest request;
    request.method = wanted.method;
    request.url =
        "http://127.0.0.1:" + std::to_string(wanted.port != 0 ? wanted.port : running_->port()) +
        wanted.path;
    request.body = wanted.body;
    request.headers = wanted.headers;
    request.timeout = Duration(30'000);
    if (!wanted.token.empty()) {
      request.headers.emplace_back("Authorization", "Bearer " + std::string(wanted.token));
    }
    auto response = net::fetch(request);
    EXPECT_TRUE(response) << response.error().message;
    if (!response) return {};
    return {response->status, std::move(response->body), std::move(response->headers)};
  }
  std::string command(std::string body, std::string_view token = kWriter) {
    return ask({.body = std::move(body), .token = token}).body;
  }
  std::string path(std::string path) {
    return ask({.method = "GET", .path = std::move(path)}).body;
  }

  test::RedisServer redis_;
  std::unique_ptr<Running> running_;
};

TEST_F(UpstashFaceTest, RunsCommandsFromPathsAndBodies) {
  start();
  EXPECT_EQ(command(R"(["SET","foo","bar","EX",100])"), R"({"result":"OK"})");
  EXPECT_EQ(path("/get/foo"), R"({"result":"bar"})");
  EXPECT_EQ(path("/get/none/"), R"({"result":null})");
  EXPECT_EQ(ask({.method = "PUT", .path = "/set/raw?EX=100", .body = "a/b \"c\""}).body,
            R"({"result":"OK"})");
  EXPECT_EQ(path("/get/raw"), R"({"result":"a/b \"c\""})");
  EXPECT_EQ(path("/ttl/raw"), R"({"result":100})");
  EXPECT_EQ(path("/incr/foo"), R"({"error":"ERR value is not an integer or out of range"})");
  EXPECT_EQ(command(R"(["hset","h","a",1,"b",2])"), R"({"result":2})");
  EXPECT_EQ(path("/hgetall/h"), R"({"result":["a","1","b","2"]})");
}

TEST_F(UpstashFaceTest, AnswersInJsonWhateverIsWrong) {
  start();
  const auto expect = [&](Ask wanted, int status, std::string_view error) {
    const Reply reply = ask(std::move(wanted));
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_THAT(reply.body, StartsWith(R"({"error":")" + std::string(error)));
    EXPECT_EQ(reply.header("Content-Type"), "application/json");
  };
  expect({.path = "/incr"}, 400, "ERR wrong number of arguments");
  expect({.body = "[\"GET\""}, 400, "ERR failed to parse");
  expect({.body = "[\"NOSUCH\"]"}, 400, "ERR unknown command");
  expect({.method = "GET", .path = "/get/a", .token = "wrong"}, 401,
         "WRONGPASS invalid or missing auth token\"}");
  expect({.method = "GET", .path = "/get/a", .token = ""}, 401, "WRONGPASS");
  expect({.method = "DELETE", .path = "/get/a"}, 405, "ERR method not allowed");
  expect({.method = "GET", .path = "/blpop/a/0"}, 400, "ERR Command is not available: 'blpop'.");
  expect({.method = "GET", .path = "/keys/*"}, 400, "NOPERM");
  expect({.body = std::string(2 << 20, 'x')}, 413, "ERR max request size exceeded");
  expect({.path = "/get/a", .headers = {{"Upstash-Response-Format", "xml"}}}, 400, "ERR unknown");
}

TEST_F(UpstashFaceTest, TakesTheTokenFromTheQueryToo) {
  start();
  EXPECT_EQ(ask({.path = "/set/k/v?_token=" + std::string(kWriter), .token = ""}).status, 200);
  EXPECT_EQ(ask({.path = "/get/k?_token=wrong", .token = ""}).status, 401);
  EXPECT_EQ(ask({.path = "/get/k", .token = ""}).status, 401);
}

TEST_F(UpstashFaceTest, GivesEachTokenItsRights) {
  start();
  EXPECT_EQ(command(R"(["GET","a"])", kReader), R"({"result":null})");
  EXPECT_EQ(command(R"(["SET","a","1"])", kReader),
            R"({"error":"NOPERM this user has no permissions to run the 'set' command"})");
  EXPECT_THAT(command(R"(["CONFIG","GET","port"])"), HasSubstr("NOPERM"));
  EXPECT_THAT(command(R"(["CONFIG","GET","port"])", kAdmin), StartsWith(R"({"result":["port",)"));
}

TEST_F(UpstashFaceTest, TakesApiKeysOfTheHomeTenant) {
  start();
  NewApiKey reader;
  reader.role = Role::read_only;
  const std::string reading = make_key(reader).token;
  NewApiKey narrow;
  narrow.areas = static_cast<AreaSet>(Area::cache);
  const std::string narrow_token = make_key(narrow).token;
  EXPECT_EQ(command(R"(["SET","a","1"])", first.token), R"({"result":"OK"})");
  EXPECT_THAT(command(R"(["INFO"])", first.token), HasSubstr("redis_version"));
  EXPECT_EQ(command(R"(["GET","a"])", reading), R"({"result":"1"})");
  EXPECT_THAT(command(R"(["SET","a","1"])", reading), HasSubstr("NOPERM"));
  EXPECT_EQ(ask({.path = "/get/a", .token = narrow_token}).status, 403);

  make_tenant("acme");
  NewApiKey foreign;
  foreign.tenant = "acme";
  EXPECT_EQ(ask({.path = "/get/a", .token = make_key(foreign).token}).status, 403);
}

TEST_F(UpstashFaceTest, KeepsTenantsApartBehindAPrefix) {
  UpstashOptions wanted = options();
  wanted.rules.tenant_prefix = true;
  start(std::move(wanted));
  make_tenant("acme");
  make_tenant("globex");
  const auto key_of = [&](std::string tenant) {
    NewApiKey request;
    request.tenant = std::move(tenant);
    return make_key(request).token;
  };
  const std::string acme = key_of("acme");
  const std::string globex = key_of("globex");
  EXPECT_EQ(command(R"(["SET","k","of acme"])", acme), R"({"result":"OK"})");
  EXPECT_EQ(command(R"(["GET","k"])", globex), R"({"result":null})");
  EXPECT_EQ(command(R"(["GET","k"])", acme), R"({"result":"of acme"})");
  EXPECT_EQ(command(R"(["SCAN","0"])", acme), R"({"result":["0",["k"]]})");
  EXPECT_EQ(command(R"(["SCAN","0"])", globex), R"({"result":["0",[]]})");
  EXPECT_THAT(command(R"~(["EVAL","return redis.call('GET','tenant:acme:k')","0"])~", globex),
              HasSubstr("ERR Command is not available"));
  EXPECT_THAT(redis_.cli("--raw keys '*'"), HasSubstr("tenant:acme:k"));
}

TEST_F(UpstashFaceTest, AnswersPipelinesInOrderWhateverFails) {
  start();
  const Reply reply =
      ask({.path = "/pipeline", .body = R"([["SET","a","x"],["INCR","a"],["BLPOP","l","0"],
                                       ["GET","a"],["CONFIG","GET","*"]])"});
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, StartsWith(R"~([{"result":"OK"},{"error":"ERR value is not)~"));
  EXPECT_THAT(reply.body, HasSubstr(R"({"error":"ERR Command is not available: 'blpop'.)"));
  EXPECT_THAT(reply.body, HasSubstr(R"({"result":"x"},{"error":"NOPERM)"));
}

TEST_F(UpstashFaceTest, RunsTransactionsWholeOrNotAtAll) {
  start();
  const auto transaction = [&](std::string body) {
    return ask({.path = "/multi-exec", .body = std::move(body)});
  };
  EXPECT_EQ(transaction(R"([["SET","a","x"],["GET","a"]])").body,
            R"([{"result":"OK"},{"result":"x"}])");
  const Reply failing = transaction(R"([["SET","a","y"],["INCR","a"],["GET","a"]])");
  EXPECT_EQ(failing.status, 200);
  EXPECT_EQ(failing.body, R"([{"result":"OK"},{"error":"ERR value is not an integer or out of )"
                          R"(range"},{"result":"y"}])");
  const Reply discarded = transaction(R"([["SET","a","z"],["NOSUCH"]])");
  EXPECT_EQ(discarded.status, 400);
  EXPECT_THAT(discarded.body, StartsWith(R"({"error":"ERR unknown command)"));
  const Reply refused = transaction(R"([["SET","a","z"],["BLPOP","l","0"]])");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(path("/get/a"), R"({"result":"y"})");
}

TEST_F(UpstashFaceTest, SpeaksBase64AndResp2) {
  start();
  const auto as = [](std::string name, std::string value) {
    return std::vector<std::pair<std::string, std::string>>{{std::move(name), std::move(value)}};
  };
  command(R"(["SET","a","bar"])");
  EXPECT_EQ(ask({.path = "/get/a", .headers = as("Upstash-Encoding", "base64")}).body,
            R"({"result":"YmFy"})");
  const Reply raw = ask({.path = "/get/a", .headers = as("Upstash-Response-Format", "resp2")});
  EXPECT_EQ(raw.body, "$3\r\nbar\r\n");
  EXPECT_EQ(raw.header("Content-Type"), "application/octet-stream");
  EXPECT_EQ(ask({.path = "/multi-exec",
                 .body = R"([["PING"]])",
                 .headers = as("Upstash-Response-Format", "resp2")})
                .status,
            400);
}

TEST_F(UpstashFaceTest, GivesEveryAnswerAnotherSyncToken) {
  start();
  const std::string one = ask({.path = "/get/a"}).header("Upstash-Sync-Token");
  const std::string two = ask({.path = "/get/a"}).header("Upstash-Sync-Token");
  EXPECT_NE(one, "(none)");
  EXPECT_NE(one, two);
}

TEST_F(UpstashFaceTest, RunsScriptsWrittenForUpstash) {
  start();
  const std::string script = R"(#!lua flags=allow-key-locking\nreturn {KEYS[1], 7})";
  const std::string sha(redis::Script("#!lua flags=allow-key-locking\nreturn {KEYS[1], 7}").sha());
  const std::string by_sha = R"(["EVALSHA",")" + sha + R"(","1","k"])";
  EXPECT_THAT(command(by_sha), HasSubstr("NOSCRIPT No matching script. Please use EVAL."));
  EXPECT_EQ(command(R"(["EVAL",")" + script + R"(","1","k"])"), R"({"result":["k",7]})");
  EXPECT_EQ(command(by_sha), R"({"result":["k",7]})");
  EXPECT_EQ(command(R"(["SCRIPT","LOAD",")" + script + R"("])", kAdmin),
            R"({"result":")" + sha + R"("})");
}

// Goal: clients see the shapes of RESP2 whatever the connection to Redis speaks.
TEST_F(UpstashFaceTest, GivesTheSameRepliesOverResp3) {
  const std::string questions =
      R"([["ZADD","z","1","a","2.5","b"],["ZRANGE","z","0","-1","WITHSCORES"],["ZSCORE","z","b"],
          ["HSET","h","f","v"],["HGETALL","h"],["HRANDFIELD","h","1","WITHVALUES"],
          ["XADD","s","1-1","k","v"],["XREAD","STREAMS","s","0"],["SADD","m","x"],["SMEMBERS","m"],
          ["ZPOPMIN","z"],["ZADD","z","3","c"],["ZMPOP","1","z","MIN"],["GEOADD","g","1","2","p"],
          ["LCS","h1","h2"],["XRANGE","s","-","+"],["ZRANGEBYSCORE","z","0","5","WITHSCORES"]])";
  start();
  const std::string by_resp2 = ask({.path = "/pipeline", .body = questions}).body;
  running_.reset();
  redis_.cli("flushall");
  Running::resp3 = true;
  start();
  EXPECT_EQ(ask({.path = "/pipeline", .body = questions}).body, by_resp2);
  EXPECT_THAT(by_resp2, HasSubstr(R"({"result":["a","1","b","2.5"]})"));
  EXPECT_THAT(by_resp2, HasSubstr(R"({"result":[["s",[["1-1",["k","v"]]]]]})"));
}

TEST_F(UpstashFaceTest, SaysClearlyThatThereIsNoRedis) {
  start(options(), false);
  const Reply reply = ask({.path = "/get/a"});
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, R"({"error":"ERR Redis is not available: none is configured"})");
  EXPECT_EQ(reply.header("Retry-After"), "1");
  EXPECT_EQ(ask({.path = "/get/a", .token = "x"}).status, 401);
}

TEST_F(UpstashFaceTest, SaysSoWhenRedisIsAwayOrSilent) {
  UpstashOptions wanted = options();
  wanted.rules.deadline = Duration(200);
  start(std::move(wanted));
  redis_.pause();
  const Reply silent = ask({.path = "/incr/a"});
  EXPECT_EQ(silent.status, 504);
  EXPECT_THAT(silent.body, HasSubstr("the command may have been executed"));
  redis_.resume();
  redis_.kill();
  const auto away = [&] {
    return ask({.path = "/get/a"}).status == 503 &&
           ask({.path = "/pipeline", .body = R"([["GET","a"]])"}).status == 503;
  };
  EXPECT_TRUE(test::poll_until(
      away, [] {}, std::chrono::milliseconds(20), 500));
}

TEST_F(UpstashFaceTest, LivesBelowAPathOfAnotherFace) {
  start();
  const auto port = running_->main_port();
  EXPECT_EQ(ask({.path = "/redis", .body = R"(["SET","k","v"])", .port = port}).status, 200);
  EXPECT_EQ(ask({.path = "/redis/get/k", .port = port}).body, R"({"result":"v"})");
  EXPECT_EQ(ask({.path = "/redis/pipeline", .body = R"([["GET","k"]])", .port = port}).body,
            R"([{"result":"v"}])");
  EXPECT_EQ(ask({.path = "/rediscover", .port = port}).body, "REST");
}

// A client of an event stream.
class Listener {
 public:
  Listener(std::uint16_t port, std::string_view path, std::string_view token)
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 30, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address = test::loopback(port);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "POST " + std::string(path) +
                                " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                                "Authorization: Bearer " +
                                std::string(token) + "\r\nContent-Length: 2\r\n\r\n[]";
    EXPECT_EQ(::send(fd_, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  }
  ~Listener() { ::close(fd_); }

  // True when `text` comes.
  bool hears(std::string_view text) {
    char buffer[4096];
    while (heard_.find(text) == std::string::npos) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) return false;
      heard_.append(buffer, static_cast<std::size_t>(n));
    }
    return true;
  }
  const std::string& heard() const { return heard_; }

 private:
  int fd_;
  std::string heard_;
};

TEST_F(UpstashFaceTest, StreamsWhatIsPublished) {
  start();
  Listener chat(running_->port(), "/subscribe/chat/news", kReader);
  EXPECT_TRUE(chat.hears("data: subscribe,chat,1\n\n"));
  EXPECT_TRUE(chat.hears("data: subscribe,news,2\n\n"));
  EXPECT_THAT(chat.heard(), HasSubstr("Content-Type: text/event-stream"));
  Listener users(running_->port(), "/psubscribe/user:*", kReader);
  EXPECT_TRUE(users.hears("data: psubscribe,user:*,1\n\n"));
  Listener again(running_->port(), "/subscribe/chat", kReader);
  EXPECT_TRUE(again.hears("data: subscribe,chat,1\n\n"));

  EXPECT_EQ(path("/publish/chat/hello"), R"({"result":1})");
  EXPECT_TRUE(chat.hears("data: message,chat,hello\n\n"));
  EXPECT_TRUE(again.hears("data: message,chat,hello\n\n"));
  EXPECT_EQ(command(R"(["PUBLISH","user:123","a,b\ndata: x"])"), R"({"result":1})");
  EXPECT_TRUE(users.hears("data: pmessage,user:*,user:123,a,b\ndata:data: x\n\n"));
  running_->run([this] { running_->face().ping(); });
  EXPECT_TRUE(users.hears(": ping\n\n"));
  EXPECT_EQ(chat.heard().find("user:"), std::string::npos);
}

TEST_F(UpstashFaceTest, LeavesChannelsThatNobodyHears) {
  start();
  const auto heard_by = [&](std::string_view channel, std::string_view count) {
    const auto now = [&] {
      return path("/publish/" + std::string(channel) + "/x") ==
             R"({"result":)" + std::string(count) + "}";
    };
    return test::poll_until(
        now, [] {}, std::chrono::milliseconds(10), 1000);
  };
  auto one = std::make_unique<Listener>(running_->port(), "/subscribe/one", kReader);
  EXPECT_TRUE(one->hears("subscribe,one,1"));
  auto two = std::make_unique<Listener>(running_->port(), "/subscribe/two", kReader);
  EXPECT_TRUE(two->hears("subscribe,two,1"));
  one.reset();
  EXPECT_TRUE(heard_by("one", "0"));
  EXPECT_TRUE(heard_by("two", "1"));
  two.reset();
  EXPECT_TRUE(heard_by("two", "0"));
  Listener later(running_->port(), "/subscribe/one", kReader);
  EXPECT_TRUE(later.hears("subscribe,one,1"));
}

TEST_F(UpstashFaceTest, SaysThatMessagesMayHaveBeenMissed) {
  start();
  Listener chat(running_->port(), "/subscribe/chat", kReader);
  EXPECT_TRUE(chat.hears("data: subscribe,chat,1\n\n"));
  redis_.restart();
  EXPECT_TRUE(chat.hears(": lost\n\n"));
  EXPECT_TRUE(chat.hears(": gap\n\n"));
  EXPECT_EQ(redis_.cli("publish chat back"), "1\n");
  EXPECT_TRUE(chat.hears("data: message,chat,back\n\n"));
}

TEST_F(UpstashFaceTest, LetsAnAdminMonitor) {
  start();
  EXPECT_THAT(ask({.path = "/monitor", .body = "[]"}).body, HasSubstr("NOPERM"));
  Listener monitor(running_->port(), "/monitor", kAdmin);
  EXPECT_TRUE(monitor.hears("data: \"OK\"\n\n"));
  Listener second(running_->port(), "/monitor", kAdmin);
  EXPECT_TRUE(second.hears("data: \"OK\"\n\n"));
  path("/get/watched");
  EXPECT_TRUE(monitor.hears("\"get\" \"watched\"\n\n"));
  EXPECT_TRUE(second.hears("\"get\" \"watched\"\n\n"));
}

TEST_F(UpstashFaceTest, BoundsItsStreams) {
  UpstashOptions wanted = options();
  wanted.streams_max = 1;
  start(std::move(wanted));
  Listener first_one(running_->port(), "/subscribe/chat", kReader);
  EXPECT_TRUE(first_one.hears("subscribe,chat,1"));
  EXPECT_EQ(ask({.path = "/subscribe/chat"}).status, 503);
  EXPECT_EQ(ask({.path = "/subscribe"}).status, 400);
}

// ---- Our own REST transport in front of it ----

class RestTransport : public UpstashFaceTest {
 protected:
  void SetUp() override {
    UpstashFaceTest::SetUp();
    UpstashOptions wanted = options();
    wanted.rules.deadline = Duration(10'000);
    start(std::move(wanted));
    redis::Options rest;
    rest.topology =
        redis::Rest{.url = "http://127.0.0.1:" + std::to_string(running_->main_port()) + "/redis",
                    .token = Secret(std::string(kAdmin))};
    rest.timeouts.operation = Duration(10'000);
    rest.backoff.max = Duration(50);
    client_ = loop_.client(rest);
  }
  void TearDown() override {
    client_.reset();
    UpstashFaceTest::TearDown();
  }
  Result<redis::Value> run(redis::Command command) {
    return loop_.run(client_->run(std::move(command)));
  }

  test::RedisLoop loop_;
  std::unique_ptr<redis::Client> client_;
};

TEST_F(RestTransport, RunsCommandsOfWhateverBytes) {
  ASSERT_TRUE(loop_.run(client_->connected(Duration(10'000))));
  const std::string bytes("\x00\xFF\"\\\n\xC3", 6);
  EXPECT_TRUE(run(redis::Command("SET").key("k").arg(bytes))->is_ok());
  EXPECT_EQ(run(redis::Command("GET").key("k"))->text(), bytes);
  EXPECT_TRUE(run(redis::Command("SET").key("t").arg("text \"\n\xC3\xA4"))->is_ok());
  EXPECT_EQ(run(redis::Command("GET").key("t"))->text(), "text \"\n\xC3\xA4");
  EXPECT_TRUE(run(redis::Command("GET").key("none"))->is_null());
  EXPECT_EQ(run(redis::Command("STRLEN").key("k"))->as_integer(), 6);
  EXPECT_EQ(run(redis::Command("INCR").key("t")).error().slug, "redis_error");
}

TEST_F(RestTransport, KeepsTheOrderOfMany) {
  std::vector<redis::Command> commands;
  for (int i = 0; i < 2500; ++i) commands.push_back(redis::Command("RPUSH").key("l").arg(i));
  commands.push_back(redis::Command("SET").key("b").arg("\xFF"));
  commands.push_back(redis::Command("LRANGE").key("l").arg(2400).arg(2400));
  const auto replies = loop_.run(client_->run_all(std::move(commands)));
  ASSERT_EQ(replies.size(), 2502U);
  for (int i = 0; i < 2500; ++i) {
    ASSERT_TRUE(replies[static_cast<std::size_t>(i)]);
    ASSERT_EQ(replies[static_cast<std::size_t>(i)]->as_integer(), i + 1);
  }
  EXPECT_EQ(replies.back()->items()[0].text(), "2400");
}

TEST_F(RestTransport, RunsTransactionsAndScripts) {
  const auto transact = [&](std::string_view last) {
    std::vector<redis::Command> commands;
    commands.push_back(redis::Command("SET").key("a").arg("x"));
    commands.push_back(redis::Command(last).key("a"));
    return loop_.run(client_->transaction(std::move(commands)));
  };
  EXPECT_EQ(transact("GET")->at(1).text(), "x");
  EXPECT_TRUE(transact("INCR")->at(1).is_error());
  EXPECT_EQ(transact("NOSUCH").error().slug, "redis_exec_abort");

  const redis::Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  const std::array<std::string_view, 1> names{"n"};
  const std::array<std::string_view, 1> values{"5"};
  for (const int expected : {5, 10}) {
    const auto reply = loop_.run(client_->script(script, names, values));
    ASSERT_TRUE(reply) << reply.error().cause;
    EXPECT_EQ(reply->as_integer(), expected);
  }
}

// Remembers what it was told.
class Notes final : public redis::SubscriptionHandler {
 public:
  void subscribed(bool gap) override { told += gap ? "gap;" : "subscribed;"; }
  void message(std::string_view channel, std::string_view payload,
               std::string_view pattern) override {
    told.append(channel).append("=").append(payload);
    if (!pattern.empty()) told.append(" by ").append(pattern);
    told += ";";
  }
  void lost(const Error&) override { told += "lost;"; }
  std::string told;
};

TEST_F(RestTransport, HearsWhatIsPublished) {
  Notes notes;
  const auto told = [&](std::string_view text) {
    return loop_.until([&] { return notes.told.find(text) != std::string::npos; });
  };
  redis::SubscribeRequest request;
  request.channels = {"a,b", "c"};
  request.patterns = {"user:*"};
  auto subscription = client_->subscribe(request, notes);
  ASSERT_TRUE(subscription);
  ASSERT_TRUE(told("subscribed;"));
  redis_.cli("publish a,b x,y");
  ASSERT_TRUE(told("a,b=x,y;"));
  redis_.cli("publish user:1 hi");
  ASSERT_TRUE(told("user:1=hi by user:*;"));
  EXPECT_TRUE(run(redis::Command("PUBLISH").arg("c").arg("one\ntwo")));
  ASSERT_TRUE(told("c=one\ntwo;"));

  redis::SubscribeRequest more;
  more.channels = {"d"};
  (*subscription)->add(more);
  ASSERT_TRUE(loop_.until([&] { return notes.told.ends_with("subscribed;"); }));
  redis_.cli("publish d new");
  ASSERT_TRUE(told("d=new;"));
  (*subscription)->remove(more);
  EXPECT_TRUE(loop_.until([&] { return redis_.cli("publish d x") == "0\n"; }));
  subscription->reset();
  EXPECT_TRUE(loop_.until([&] { return redis_.cli("publish c x") == "0\n"; }));
}

TEST_F(RestTransport, SaysThatMessagesMayHaveBeenMissed) {
  Notes notes;
  redis::SubscribeRequest request;
  request.channels = {"c"};
  auto subscription = client_->subscribe(request, notes);
  ASSERT_TRUE(subscription);
  ASSERT_TRUE(loop_.until([&] { return notes.told == "subscribed;"; }));
  running_->drop_connections();
  EXPECT_TRUE(loop_.until([&] { return notes.told.starts_with("subscribed;lost;"); }));
}

}  // namespace
}  // namespace redoubt::faces
