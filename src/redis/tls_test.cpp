// rediss:// against a real server with certificates good and bad.
#include "redis/client.hpp"

#include "tests/support/certificates.hpp"
#include "tests/support/redis_loop.hpp"
#include "tests/support/redis_server.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::redis {
namespace {

using test::Certificates;
using test::RedisLoop;
using test::RedisServer;
using test::standalone;

class RedisTls : public testing::Test {
 protected:
  std::unique_ptr<RedisServer> server(const std::string& certificate, const char* clients = "no") {
    const std::string port = std::to_string(port_);
    return std::make_unique<RedisServer>(std::vector<std::string>{
        "port 0", "tls-port " + port, "tls-cert-file " + files_.file(certificate + ".crt"),
        "tls-key-file " + files_.file(certificate + ".key"),
        "tls-ca-cert-file " + files_.file("ca.crt"), std::string("tls-auth-clients ") + clients});
  }

  Options options(const std::string& host = "localhost") {
    Options options = standalone(port_);
    std::get<Standalone>(options.topology).endpoint.host = host;
    options.tls.enabled = true;
    options.tls.ca_file = files_.file("ca.crt");
    return options;
  }

  // "" when a command goes through, else why there is no connection.
  std::string outcome(const Options& options) {
    const auto client = loop_.client(options);
    const auto reply = loop_.run(client->run(Command("SET").key("a").arg("1")));
    return reply ? "" : client->status().last_error;
  }

  static const Certificates files_;
  const std::uint16_t port_ = test::free_port();
  RedisLoop loop_;
};
const Certificates RedisTls::files_;

TEST_F(RedisTls, VerifiesTheAuthorityAndTheName) {
  const auto redis = server("good");
  EXPECT_EQ(outcome(options()), "");
  EXPECT_EQ(outcome(options("127.0.0.1")), "");  // An address in the certificate.

  Options renamed = options();
  renamed.tls.server_name = "other.example";
  EXPECT_TRUE(outcome(renamed).contains("hostname mismatch")) << outcome(renamed);
  Options unknown = options();
  unknown.tls.ca_file.clear();  // The system's authorities do not know ours.
  EXPECT_TRUE(outcome(unknown).contains("certificate in certificate chain")) << outcome(unknown);
}

// A server with two certificates shows the right one only to those who name it. It speaks no Redis,
// so the connection fails, but after TLS.
TEST_F(RedisTls, NamesTheHostItWants) {
  const std::string port = std::to_string(port_);
  const pid_t server = ::fork();
  if (server == 0) {
    ::close(STDERR_FILENO);
    ::execlp("openssl", "openssl", "s_server", "-quiet", "-accept", port.c_str(), "-cert",
             files_.file("other.crt").c_str(), "-key", files_.file("other.key").c_str(),
             "-servername", "localhost", "-cert2", files_.file("good.crt").c_str(), "-key2",
             files_.file("good.key").c_str(), nullptr);
    ::_exit(127);
  }
  Options named = options();
  named.timeouts.connect = Duration(200);
  const auto reached = [&] { return !outcome(named).contains("connecting"); };
  const auto none = [] {};
  ASSERT_TRUE(test::poll_until(reached, none, std::chrono::milliseconds(20), 200));

  EXPECT_FALSE(outcome(named).contains("TLS:")) << outcome(named);
  Options address = named;
  std::get<Standalone>(address.topology).endpoint.host = "127.0.0.1";
  EXPECT_TRUE(outcome(address).contains("IP address mismatch")) << outcome(address);
  ::kill(server, SIGKILL);
  ::waitpid(server, nullptr, 0);
}

TEST_F(RedisTls, CarriesLargeValues) {
  const auto redis = server("good");
  const auto client = loop_.client(options());
  const std::string value(5 * 1024 * 1024, 'y');
  ASSERT_TRUE(loop_.run(client->run(Command("SET").key("a").arg(value))));
  EXPECT_EQ(loop_.run(client->run(Command("GET").key("a").read_only()))->text(), value);
}

TEST_F(RedisTls, RefusesAnotherHostsCertificate) {
  const auto redis = server("other");
  EXPECT_TRUE(outcome(options()).contains("hostname mismatch")) << outcome(options());
  EXPECT_TRUE(outcome(options("127.0.0.1")).contains("IP address mismatch"))
      << outcome(options("127.0.0.1"));
}

TEST_F(RedisTls, RefusesAnExpiredCertificate) {
  const auto redis = server("expired");
  EXPECT_TRUE(outcome(options()).contains("certificate has expired")) << outcome(options());
}

TEST_F(RedisTls, RefusesASelfSignedCertificateUnlessVerificationIsTurnedOff) {
  const auto redis = server("self");
  EXPECT_TRUE(outcome(options()).contains("self-signed certificate")) << outcome(options());
  Options careless = options();
  careless.tls.verify = false;
  EXPECT_EQ(outcome(careless), "");
}

TEST_F(RedisTls, ShowsACertificateOfItsOwnWhereOneIsAsked) {
  const auto redis = server("good", "yes");
  EXPECT_NE(outcome(options()), "");
  Options known = options();
  known.tls.certificate_file = files_.file("client.crt");
  known.tls.key_file = files_.file("client.key");
  EXPECT_EQ(outcome(known), "");
}

TEST_F(RedisTls, PlainTcpIsNoTls) {
  RedisServer redis;
  Options options = this->options();
  std::get<Standalone>(options.topology).endpoint.port = redis.port();
  EXPECT_NE(outcome(options), "");
}

TEST_F(RedisTls, FilesThatCannotBeUsedStopTheStart) {
  Options missing = options();
  missing.tls.ca_file = "/nonexistent/ca.crt";
  const auto client = make_client(loop_.io.get_executor(), missing, loop_.parts());
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().slug, "redis_options");
  EXPECT_TRUE(client.error().message.contains("/nonexistent/ca.crt"));
}

}  // namespace
}  // namespace redoubt::redis
