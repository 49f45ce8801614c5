#include "redis/rest_protocol.hpp"

#include "redis/script.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::redis {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kUnknown = "redis_unknown_outcome";

// What became of each command: the reply's text, or the slug of the error.
std::vector<std::string> outcomes(RestShape shape, std::size_t count, int status,
                                  std::string_view body) {
  std::vector<std::string> texts;
  for (const Result<Value>& outcome : rest_outcomes(shape, count, status, body)) {
    texts.push_back(outcome ? std::string(outcome->text()) : outcome.error().slug);
  }
  return texts;
}
std::string outcome(int status, std::string_view body) {
  return outcomes(RestShape::single, 1, status, body).at(0);
}

TEST(RestUrl, IsHostPortAndBase) {
  const auto plain = read_rest_url("http://127.0.0.1:8079/redis/");
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->tls);
  EXPECT_EQ(plain->endpoint.host, "127.0.0.1");
  EXPECT_EQ(plain->endpoint.port, 8079);
  EXPECT_EQ(plain->base, "/redis");
  const auto secure = read_rest_url("https://eu1-x.example.com");
  ASSERT_TRUE(secure);
  EXPECT_TRUE(secure->tls);
  EXPECT_EQ(secure->endpoint.port, 443);
  EXPECT_EQ(secure->base, "");
}

TEST(RestUrl, IsRefusedWithoutBeingRepeated) {
  for (const char* url :
       {"redis://h", "https://", "https://user:secret@h", "https://h?_token=secret",
        "https://h#secret", "https://h:0", "secret", ""}) {
    const auto target = read_rest_url(url);
    ASSERT_FALSE(target) << url;
    EXPECT_EQ(target.error().message.find("secret"), std::string::npos);
  }
}

TEST(RestRequestText, CarriesTokenLengthAndBase) {
  const RestTarget target = read_rest_url("http://h:80/base").value();
  const std::string text = to_http(target, "secret", {.path = {}, .body = R"(["PING"])"});
  EXPECT_THAT(text, StartsWith("POST /base/ HTTP/1.1\r\nHost: h:80\r\n"));
  EXPECT_THAT(text, HasSubstr("Authorization: Bearer secret\r\n"));
  EXPECT_THAT(text, EndsWith("Content-Length: 8\r\n\r\n[\"PING\"]"));
  EXPECT_THAT(to_http_stream(target, "secret", "/subscribe/a"),
              StartsWith("POST /base/subscribe/a HTTP/1.1\r\n"));
}

TEST(RestArguments, AreThoseOfTheCommand) {
  EXPECT_THAT(arguments_of(Command("SET").key("k").arg(5), false), ElementsAre("SET", "k", "5"));
  const Script script("return 1");
  const Command command = script.command({}, {});
  EXPECT_THAT(arguments_of(command, false), ElementsAre("EVALSHA", script.sha(), "0"));
  EXPECT_THAT(arguments_of(command, true), ElementsAre("EVAL", "return 1", "0"));
}

TEST(RestOutcomes, OfASingleCommand) {
  EXPECT_EQ(outcome(200, R"({"result":"YmFy"})"), "bar");
  EXPECT_EQ(outcome(400, R"({"error":"ERR wrong"})"), "ERR wrong");
  EXPECT_EQ(outcome(400, "<html>"), "ERR the REST service answered 400");
  EXPECT_EQ(outcome(401, R"({"error":"WRONGPASS invalid"})"), "redis_denied");
  EXPECT_EQ(outcome(401, "Unauthorized"), "redis_denied");
  EXPECT_EQ(outcome(403, R"({"error":"NOPERM no"})"), "redis_denied");
  EXPECT_EQ(outcome(429, R"({"error":"ERR max requests limit exceeded"})"), "redis_refused");
  EXPECT_EQ(outcome(413, R"({"error":"ERR max request size exceeded"})"), "redis_error");
  EXPECT_EQ(outcome(302, ""), "redis_error");
}

TEST(RestOutcomes, AreUnknownWhenNobodyCanTell) {
  for (const int status : {408, 500, 502, 503, 504, 599, 206, 418}) {
    EXPECT_EQ(outcome(status, R"({"error":"ERR x"})"), kUnknown) << status;
  }
  EXPECT_EQ(outcome(200, R"({"result":"Ym)"), kUnknown);
  EXPECT_EQ(outcome(200, "<html>"), kUnknown);
  EXPECT_THAT(outcomes(RestShape::pipeline, 2, 200, R"([{"result":1}])"),
              ElementsAre(kUnknown, kUnknown));
}

TEST(RestOutcomes, OfPipelinesAndTransactions) {
  EXPECT_THAT(outcomes(RestShape::pipeline, 2, 200, R"([{"result":"YQ=="},{"error":"ERR x"}])"),
              ElementsAre("a", "ERR x"));
  EXPECT_THAT(outcomes(RestShape::pipeline, 2, 400, R"({"error":"ERR bad"})"),
              ElementsAre("ERR bad", "ERR bad"));
  const auto discarded = rest_outcomes(RestShape::transaction, 1, 400, R"({"error":"ERR bad"})");
  ASSERT_FALSE(discarded.at(0));
  EXPECT_EQ(discarded[0].error().slug, "redis_exec_abort");
  EXPECT_EQ(discarded[0].error().message, "ERR bad");
}

}  // namespace
}  // namespace redoubt::redis
