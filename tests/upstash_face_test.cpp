// The Upstash face behind a real HTTP server and in front of a real Redis.
#include "tests/support/upstash_fixture.hpp"

namespace redoubt::faces {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

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
  expect({.body = "[\"NOSUCH\"]", .token = kAdmin}, 400, "ERR unknown command");
  expect({.body = "[\"NOSUCH\"]"}, 400, "NOPERM");
  expect({.method = "GET", .path = "/get/a", .token = "wrong"}, 401,
         "WRONGPASS invalid or missing auth token\"}");
  expect({.method = "GET", .path = "/get/a", .token = ""}, 401, "WRONGPASS");
  expect({.method = "DELETE", .path = "/get/a"}, 405, "ERR method not allowed");
  expect({.method = "GET", .path = "/blpop/a/0"}, 400, "ERR Command is not available: 'blpop'.");
  expect({.method = "GET", .path = "/keys/*"}, 400, "NOPERM");
  expect({.body = std::string(2 << 20, 'x')}, 413, "ERR max request size exceeded");
  expect({.path = "/get/a", .headers = {{"Upstash-Response-Format", "xml"}}}, 400, "ERR unknown");
}

TEST_F(UpstashFaceTest, UnderLoadWhatMattersLeastIsRefusedFirst) {
  start();
  ASSERT_EQ(command(R"(["SET","a","1"])"), R"({"result":"OK"})");
  const auto refused = [&](const Ask& wanted) {
    const Reply reply = ask(wanted);
    EXPECT_TRUE(reply.status == 200 || reply.status == 503) << reply.body;
    if (reply.status == 200) return false;
    EXPECT_THAT(reply.body, StartsWith(R"({"error":"ERR max concurrent requests exceeded)"));
    EXPECT_EQ(reply.header("Retry-After"), "1");
    return true;
  };
  const std::string admin(kAdmin);
  const Ask keys{.path = "/keys/*", .token = admin};
  const Ask publish{.path = "/publish/c/m"};
  const Ask get{.path = "/get/a"};
  const Ask pipeline{.path = "/pipeline", .body = R"([["GET","a"]])"};

  running_->fill_queue(0.55);
  EXPECT_TRUE(refused(keys));
  EXPECT_FALSE(refused(publish));
  running_->fill_queue(0.7);
  EXPECT_TRUE(refused(publish));
  EXPECT_FALSE(refused(get));
  EXPECT_FALSE(refused(pipeline));
  running_->fill_queue(0.85);
  EXPECT_TRUE(refused(get));
  EXPECT_TRUE(refused(pipeline));
  running_->fill_queue(0);
  EXPECT_FALSE(refused(keys));
}

// What is refused before its body was read is answered by whoever it was for.
TEST_F(UpstashFaceTest, RefusesInItsOwnWordsBelowAPathToo) {
  start();
  const Ask large{
      .path = "/redis", .body = std::string(2 << 20, 'x'), .port = running_->main_port()};
  const Reply reply = ask(large);
  EXPECT_EQ(reply.status, 413);
  EXPECT_EQ(reply.body, R"({"error":"ERR max request size exceeded"})");
  EXPECT_NE(reply.header("Upstash-Sync-Token"), "(none)");
  EXPECT_EQ(reply.header("Content-Type"), "application/json");

  Ask elsewhere = large;
  elsewhere.path = "/rediscover";
  EXPECT_EQ(ask(elsewhere).body, "") << "that is the other handler's to refuse";
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
  EXPECT_EQ(command(R"~(["EVAL_RO","return redis.call('KEYS','*')","0"])~", kReader),
            R"({"error":"NOPERM this user has no permissions to run the 'eval_ro' command"})");
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
  const Reply discarded = transaction(R"([["SET","a","z"],["SET","a"]])");
  EXPECT_EQ(discarded.status, 400);
  EXPECT_THAT(discarded.body, StartsWith(R"({"error":"ERR wrong number of arguments)"));
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
  const Reply refused =
      ask({.path = "/blpop/l/0", .headers = as("Upstash-Response-Format", "resp2")});
  EXPECT_EQ(refused.status, 200) << "as an error of Redis is";
  EXPECT_EQ(refused.header("Content-Type"), "application/octet-stream");
  EXPECT_THAT(refused.body, StartsWith("-ERR Command is not available: 'blpop'."));
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
  RunningFace::resp3 = true;
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
  wanted.deadline = Duration(200);
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

TEST_F(UpstashFaceTest, DoesNotAskARedisThatIsMissing) {
  start();
  ASSERT_EQ(command(R"(["SET","a","1"])"), R"({"result":"OK"})");
  running_->miss_redis("it is down");
  redis_.pause();  // Who asks it waits for ever.
  for (const Ask& wanted :
       {Ask{.path = "/get/a"}, Ask{.path = "/pipeline", .body = "[[\"GET\",1]]"},
        Ask{.path = "/multi-exec", .body = "[[\"GET\",1]]"}, Ask{.path = "/subscribe/chat"}}) {
    const Reply reply = ask(wanted);
    EXPECT_EQ(reply.status, 503) << wanted.path;
    EXPECT_EQ(reply.body, R"({"error":"ERR Redis is not available: it is down"})");
    EXPECT_EQ(reply.header("Retry-After"), "1");
  }
  redis_.resume();
  running_->miss_redis("");
  EXPECT_EQ(path("/get/a"), R"({"result":"1"})");
}

TEST_F(UpstashFaceTest, WaitsNoLongerThanTheCallerSays) {
  UpstashOptions wanted = options();
  wanted.deadline = Duration(3'600'000);  // Longer than anybody waits here.
  start(std::move(wanted));
  const auto within = [&](std::string limit, std::string path, std::string body) {
    return ask({.path = std::move(path),
                .body = std::move(body),
                .headers = {{"Redoubt-Timeout-Ms", std::move(limit)}}});
  };
  EXPECT_EQ(within("60000", "/", R"(["SET","a","1"])").body, R"({"result":"OK"})");
  for (const std::string limit : {"0", "-1", "soon", "3600001"}) {
    const Reply reply = within(limit, "/get/a", "");
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.body, R"({"error":"ERR Redoubt-Timeout-Ms must be a whole number of )"
                          R"(milliseconds from 1 to 3600000"})");
  }
  redis_.pause();
  EXPECT_EQ(within("50", "/", R"(["GET","a"])").status, 504);
  EXPECT_THAT(within("50", "/pipeline", R"([["GET","a"]])").body,
              HasSubstr("ERR no answer from Redis in time"));
  EXPECT_EQ(within("50", "/multi-exec", R"([["GET","a"]])").status, 504);
  redis_.resume();
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

}  // namespace
}  // namespace redoubt::faces
