#include "faces/rest/request_facts.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace redoubt::faces {
namespace {

struct Read {
  std::string input;
  wire::RequestHead head;
};

std::unique_ptr<Read> read(const std::string& fields) {
  auto out = std::make_unique<Read>();
  out->input = "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
  std::size_t scanned = 0;
  const auto result = wire::read_request_head(out->input, scanned, {}, out->head);
  EXPECT_EQ(result.kind, wire::HeadResult::Kind::complete) << result.reason;
  return out;
}

TEST(RequestFacts, TakesTheCredentialFromOnePlaceOnly) {
  const auto bearer = read("Authorization: BEARER  abc \r\nX-API-Key: key\r\n");
  const auto key = read("X-API-Key: key\r\n");
  const auto basic = read("Authorization: Basic YTpi\r\nX-API-Key: key\r\n");

  EXPECT_EQ(credential_of(read_facts(bearer->head)), "abc");
  EXPECT_EQ(credential_of(read_facts(key->head)), "key");
  EXPECT_EQ(credential_of(read_facts(basic->head)), "");
}

TEST(RequestFacts, DoubtsAnIdempotencyKeyThatIsNotOne) {
  const auto one = read("Idempotency-Key: \"k1\"\r\n");
  EXPECT_EQ(read_facts(one->head).idempotency_key, "\"k1\"");
  EXPECT_FALSE(read_facts(one->head).doubtful_key);
  EXPECT_TRUE(read_facts(read("Idempotency-Key: a\r\nidempotency-key: a\r\n")->head).doubtful_key);
  EXPECT_TRUE(read_facts(read("Idempotency-Key:\r\n")->head).doubtful_key);
}

TEST(RequestFacts, AcceptsOnlyRequestIdsThatCannotForgeALogLine) {
  const std::string longest(128, 'a');
  EXPECT_EQ(read_facts(read("X-Request-ID: a.B_9-\r\n")->head).request_id, "a.B_9-");
  EXPECT_EQ(read_facts(read("X-Request-ID: " + longest + "\r\n")->head).request_id, longest);
  EXPECT_EQ(read_facts(read("X-Request-ID: " + longest + "a\r\n")->head).request_id, "");
  EXPECT_EQ(read_facts(read("X-Request-ID: a b\r\n")->head).request_id, "");
  EXPECT_EQ(read_facts(read("X-Request-ID: a\"b\r\n")->head).request_id, "");
}

TEST(RequestFacts, KnowsAGoodTraceparent) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string span = "00f067aa0ba902b7";
  EXPECT_TRUE(is_traceparent("00-" + trace + "-" + span + "-01"));
  EXPECT_TRUE(is_traceparent("01-" + trace + "-" + span + "-01-more"));
  EXPECT_FALSE(is_traceparent("00-" + trace + "-" + span + "-01-more"));
  EXPECT_FALSE(is_traceparent("ff-" + trace + "-" + span + "-01"));
  EXPECT_FALSE(is_traceparent("00-" + std::string(32, '0') + "-" + span + "-01"));
  EXPECT_FALSE(is_traceparent("00-" + trace + "-" + std::string(16, '0') + "-01"));
  EXPECT_FALSE(is_traceparent("00-" + trace + "-00F067AA0BA902B7-01"));
  EXPECT_FALSE(is_traceparent("00-" + trace + "-" + span + "-0"));
  EXPECT_FALSE(is_traceparent(""));
}

TEST(RequestFacts, ReadsOneCookie) {
  EXPECT_EQ(cookie_value("a=1; __Host-redoubt-session=tok; b=2", "__Host-redoubt-session"), "tok");
  EXPECT_EQ(cookie_value("x__Host-redoubt-session=no", "__Host-redoubt-session"), "");
  EXPECT_EQ(cookie_value("__Host-redoubt-session", "__Host-redoubt-session"), "");
  EXPECT_EQ(cookie_value("", "a"), "");
}

TEST(TrustedProxies, BelieveOnlyThoseWhoAreTrusted) {
  const auto proxies = TrustedProxies::parse({"10.0.0.0/8", "::1/128"});
  ASSERT_TRUE(proxies);

  const auto client = [&proxies](std::string_view peer, const std::string& fields) {
    const auto request = read(fields);
    return std::string(proxies->client_address(peer, request->head));
  };
  EXPECT_EQ(client("203.0.113.9", "X-Forwarded-For: 1.2.3.4\r\n"), "203.0.113.9");
  EXPECT_EQ(client("10.1.1.1", "X-Forwarded-For: 1.2.3.4\r\n"), "1.2.3.4");
  EXPECT_EQ(client("10.1.1.1", "X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.2.2.2\r\n"), "1.2.3.4");
  EXPECT_EQ(client("10.1.1.1", ""), "10.1.1.1");
  EXPECT_EQ(client("10.1.1.1", "X-Forwarded-For: evil, 10.2.2.2\r\n"), "10.2.2.2");
  EXPECT_EQ(client("10.1.1.1", "X-Forwarded-For: evil\r\n"), "10.1.1.1");
  EXPECT_EQ(client("::1", "X-Forwarded-For: 2001:db8::7\r\n"), "2001:db8::7");
}

TEST(TrustedProxies, ReadSeveralFieldsAsOneList) {
  const auto proxies = TrustedProxies::parse({"10.0.0.0/8"});
  ASSERT_TRUE(proxies);
  const auto request =
      read("X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\nVia: x\r\nX-Forwarded-For: 10.2.2.2\r\n");

  EXPECT_EQ(proxies->client_address("10.1.1.1", request->head), "1.2.3.4");
}

TEST(RequestFacts, NoticesASecondCredential) {
  EXPECT_TRUE(read_facts(read("Authorization: Bearer a\r\nauthorization: Bearer b\r\n")->head)
                  .repeated_credential);
  EXPECT_TRUE(read_facts(read("X-API-Key: a\r\nX-Api-Key: a\r\n")->head).repeated_credential);
  EXPECT_FALSE(
      read_facts(read("Authorization: Bearer a\r\nX-API-Key: b\r\n")->head).repeated_credential);
}

TEST(TrustedProxies, NameTheEntryThatIsWrong) {
  const auto proxies = TrustedProxies::parse({"10.0.0.0/8", "example.com"});

  ASSERT_FALSE(proxies);
  EXPECT_NE(proxies.error().message.find("example.com"), std::string::npos);
}

}  // namespace
}  // namespace redoubt::faces
