// Our own REST transport against our own Upstash face and a real Redis.
#include "shared/journal_hints.hpp"
#include "tests/support/upstash_fixture.hpp"

#include <boost/asio/co_spawn.hpp>

namespace redoubt::faces {
namespace {

class RestTransport : public UpstashFaceTest {
 protected:
  void SetUp() override {
    UpstashFaceTest::SetUp();
    UpstashOptions wanted = options();
    wanted.deadline = Duration(10'000);
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

TEST_F(RestTransport, CarriesHints) {
  shared::SharedState state(loop_.clock, loop_.metrics);
  state.learned(1, loop_.clock.boot() + std::chrono::hours(1));
  state.canary_answered(true, {});
  int hurried = 0;
  shared::JournalHintsParts parts{.client = *client_,
                                  .state = state,
                                  .clock = loop_.clock,
                                  .timers = *loop_.timers,
                                  .log = null_log(),
                                  .metrics = loop_.metrics,
                                  .hurry = [&] { ++hurried; }};
  shared::JournalHints hints(std::move(parts), "rec_ours", "a");
  bool over = false;
  boost::asio::co_spawn(loop_.io, hints.run(), [&](std::exception_ptr) { over = true; });
  ASSERT_TRUE(loop_.until([&] { return hurried == 1; })) << "it listens";

  redis_.cli("publish rd:1:journal:rec_ours b");
  EXPECT_TRUE(loop_.until([&] { return hurried == 2; }));
  hints.announced();
  EXPECT_TRUE(loop_.until(
      [&] { return redis_.cli("info commandstats").contains("cmdstat_publish:calls=2,"); }));

  hints.stop();
  EXPECT_TRUE(loop_.until([&] { return over; }));
}

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

class RestTransportOverTls : public RestTransport {
 protected:
  // A client of a service with that certificate, which trusts the authority.
  std::unique_ptr<redis::Client> client_of(const std::string& certificate) {
    redis::Options rest;
    const std::uint16_t port = running_->listen_with(certificates_, certificate);
    rest.topology = redis::Rest{.url = "https://localhost:" + std::to_string(port),
                                .token = Secret(std::string(kAdmin))};
    rest.tls.ca_file = certificates_.file("ca.crt");
    rest.timeouts.operation = Duration(10'000);
    rest.timeouts.connect = Duration(10'000);
    rest.timeouts.tls = Duration(10'000);
    return loop_.client(rest);
  }
  test::Certificates certificates_;
};

TEST_F(RestTransportOverTls, RunsCommandsAndStreams) {
  const auto client = client_of("good");
  ASSERT_TRUE(loop_.run(client->connected(Duration(10'000))));
  Notes notes;
  redis::SubscribeRequest request;
  request.channels = {"c"};
  auto subscription = client->subscribe(request, notes);
  ASSERT_TRUE(subscription);
  ASSERT_TRUE(loop_.until([&] { return notes.told == "subscribed;"; }));
  const std::string large(100'000, 'x');
  EXPECT_TRUE(loop_.run(client->run(redis::Command("PUBLISH").arg("c").arg(large))));
  EXPECT_TRUE(loop_.until([&] { return notes.told == "subscribed;c=" + large + ";"; }));
}

TEST_F(RestTransportOverTls, TellsTheTokenToNobodyElse) {
  for (const char* certificate : {"other", "self", "expired"}) {
    const auto client = client_of(certificate);
    const auto reply = loop_.run(client->run(redis::Command("PING")));
    ASSERT_FALSE(reply) << certificate;
    EXPECT_EQ(reply.error().slug, "redis_unavailable") << certificate;
    EXPECT_EQ(client->status().sent, 0U);
  }
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
