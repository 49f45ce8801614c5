// The Upstash face as a worker has it: on a loop in a thread, behind real HTTP servers (its own
// port, one below /redis, one with TLS), in front of a real Redis.
#pragma once

#include "base/text.hpp"
#include "faces/mount.hpp"
#include "faces/upstash/face.hpp"
#include "net/http_client.hpp"
#include "net/tls.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <boost/asio/post.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace redoubt::faces {

inline constexpr std::string_view kWriter = "a-token-that-may-write";
inline constexpr std::string_view kReader = "a-token-that-may-read";
inline constexpr std::string_view kAdmin = "a-token-that-may-all";

// Says that it is the REST face.
class OtherHandler final : public net::HttpHandler {
 public:
  bool handle_now(const net::HttpRequest&, net::HttpResponse& response) override {
    response.content_type = "text/plain";
    response.body = "REST";
    return true;
  }
  boost::asio::awaitable<void> handle(const net::HttpRequest&, net::HttpResponse&) override {
    co_return;
  }
  void refuse(int status, std::string_view, net::HttpResponse& response) override {
    response.status = status;
  }
};

// A face with its own loop in a thread: what one worker has.
class RunningFace {
 public:
  RunningFace(ApiKeys& keys, UpstashOptions options, std::optional<std::uint16_t> redis_port) {
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
                                                       .metrics = loop_.metrics,
                                                       .missing = [this] { return missing_; },
                                                       .admission = &admission_},
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
  ~RunningFace() {
    run([this] {
      own_server_->close_all();
      main_server_->close_all();
      if (tls_server_) tls_server_->close_all();
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
    boost::asio::post(loop_.io, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

  // A port with TLS.
  std::uint16_t listen_with(const test::Certificates& files, const std::string& name) {
    auto tls =
        std::make_shared<net::TlsContext>(files.file(name + ".crt"), files.file(name + ".key"));
    EXPECT_TRUE(tls->reload());
    run([&] {
      if (tls_server_) tls_server_->close_all();
      tls_server_ = listen(*own_, tls);
    });
    return tls_server_->port();
  }
  void drop_connections() {
    run([this] { main_server_->close_all(); });
  }
  // As if the record's queue were so full.
  void fill_queue(double fill) { queue_fill_ = fill; }
  // As if that were known of it; empty: nothing is.
  void miss_redis(std::string_view why) {
    run([&] { missing_ = why; });
  }
  UpstashFace& face() { return *face_; }
  std::uint16_t port() const { return own_server_->port(); }
  std::uint16_t main_port() const { return main_server_->port(); }

  static inline bool resp3 = false;

 private:
  std::unique_ptr<net::HttpServer> listen(net::HttpHandler& handler,
                                          std::shared_ptr<net::TlsContext> tls = nullptr) {
    net::HttpServerOptions options;
    options.port = 0;
    auto server = net::make_http_server(loop_.io, loop_.clock, null_log(), handler,
                                        std::move(options), std::move(tls));
    EXPECT_TRUE(server->listen());
    return server;
  }

  test::RedisLoop loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_{
      loop_.io.get_executor()};
  std::unique_ptr<redis::Client> client_;
  std::atomic<double> queue_fill_{0};
  std::string_view missing_;  // Of the loop.
  operations::Admission admission_{{}, [this] { return queue_fill_.load(); }, loop_.metrics};
  std::unique_ptr<UpstashFace> face_;
  OtherHandler other_;
  std::unique_ptr<UpstashHandler> own_;
  std::unique_ptr<UpstashHandler> below_;
  std::unique_ptr<Mount> mount_;
  std::unique_ptr<net::HttpServer> own_server_;
  std::unique_ptr<net::HttpServer> main_server_;
  std::unique_ptr<net::HttpServer> tls_server_;
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
    running_ = std::make_unique<RunningFace>(
        *keys, std::move(wanted), with_redis ? std::optional(redis_.port()) : std::nullopt);
  }
  void TearDown() override {
    running_.reset();
    RunningFace::resp3 = false;
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
  std::unique_ptr<RunningFace> running_;
};

}  // namespace redoubt::faces
