#include "wire/upstash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace redoubt::wire::upstash {
namespace {

using resp::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Words = std::vector<std::string>;

struct Read {
  Kind kind = Kind::command;
  std::vector<Words> commands;
  std::string error;
};

Read read(std::string_view path, std::string_view query, std::string_view body,
          const Limits& limits = {}) {
  Request request;
  Read result;
  const auto outcome = read_request(path, query, body, limits, request);
  if (!outcome) {
    result.error = outcome.error();
    return result;
  }
  result.kind = request.kind;
  for (std::size_t i = 0; i < request.size(); ++i) {
    const auto command = request.command(i);
    result.commands.emplace_back(command.begin(), command.end());
  }
  return result;
}

Words one(std::string_view path, std::string_view query = {}, std::string_view body = {}) {
  const Read result = read(path, query, body);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.kind, Kind::command);
  return result.commands.size() == 1 ? result.commands.front() : Words{};
}
Words body(std::string_view text) {
  return one("/", "", text);
}
std::string refusal(std::string_view text, std::string_view path = "/") {
  return read(path, "", text).error;
}

std::string reply(const Value& value, Format format = Format::json) {
  std::string out;
  append_reply(out, value, format);
  return out;
}
std::string event(std::string_view text) {
  std::string out;
  append_event(out, text);
  return out;
}

Value texts(std::initializer_list<std::string> items) {
  std::vector<Value> values;
  for (const std::string& item : items) values.push_back(Value::bulk(item));
  return Value::array(std::move(values));
}

TEST(UpstashPath, IsACommand) {
  EXPECT_THAT(one("/set/foo/bar"), ElementsAre("set", "foo", "bar"));
  EXPECT_THAT(one("/get/foo/"), ElementsAre("get", "foo"));
  EXPECT_THAT(one("/set/a%2Fb/%00%FF"), ElementsAre("set", "a/b", std::string("\0\xFF", 2)));
  EXPECT_THAT(one("/set/foo//EX/5"), ElementsAre("set", "foo", "", "EX", "5"));
  EXPECT_THAT(one("/set/a+b/c"), ElementsAre("set", "a+b", "c"));
  EXPECT_EQ(refusal("", "/get/%zz"), "ERR a bad percent-escape in the path");
  EXPECT_EQ(refusal("", "/"), "ERR empty command");
  EXPECT_EQ(refusal("", "///"), "ERR empty command");
}

TEST(UpstashPath, IsFollowedByTheBodyAndThenTheQuery) {
  EXPECT_THAT(one("/set/foo", "EX=100", "V"), ElementsAre("set", "foo", "V", "EX", "100"));
  EXPECT_THAT(one("/set/foo/V", "EX=100&NX"), ElementsAre("set", "foo", "V", "EX", "100", "NX"));
  EXPECT_THAT(one("/set/foo/V", "_token=secret&GET"), ElementsAre("set", "foo", "V", "GET"));
  EXPECT_THAT(one("/scan/0", "MATCH=a%2A+b&_token=x"), ElementsAre("scan", "0", "MATCH", "a* b"));
  const std::string bytes("\x00\xFF{\"\n", 5);
  EXPECT_THAT(one("/set/foo", "", bytes), ElementsAre("set", "foo", bytes));
  EXPECT_EQ(read("/get/a", "x=%1", "").error, "ERR a bad percent-escape in the query");
}

TEST(UpstashPath, NamesStreamsWhoseBodyIsIgnored) {
  const Read subscribed = read("/subscribe/chat/news", "_token=x", "[]");
  EXPECT_EQ(subscribed.kind, Kind::subscribe);
  EXPECT_THAT(subscribed.commands.at(0), ElementsAre("subscribe", "chat", "news"));
  EXPECT_EQ(read("/PSUBSCRIBE/user:*", "", "[]").kind, Kind::psubscribe);
  EXPECT_EQ(read("/monitor", "", "[]").kind, Kind::monitor);
  EXPECT_THAT(one("/publish/chat/hello"), ElementsAre("publish", "chat", "hello"));
}

TEST(UpstashBody, IsACommand) {
  EXPECT_THAT(body(R"(["SET","foo","bar","EX",100])"),
              ElementsAre("SET", "foo", "bar", "EX", "100"));
  EXPECT_THAT(body(R"( [ "a" , true , false , null , -1.5e+3 , 0 ] )"),
              ElementsAre("a", "true", "false", "", "-1.5e+3", "0"));
  EXPECT_THAT(body(R"(["a",{"b" : [1, {"c":"d e"}], "x":null},[ ],{ }])"),
              ElementsAre("a", R"({"b":[1,{"c":"d e"}],"x":null})", "[]", "{}"));
  EXPECT_THAT(body("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"), ElementsAre("\"\\/\b\f\n\r\t"));
  EXPECT_THAT(body(R"(["\u0041\u00e9\u20AC\ud83d\ude00"])"),
              ElementsAre("A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
  EXPECT_THAT(body(R"(["x\ud83dy\ude00\ud800\u0041"])"),
              ElementsAre("x\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD"
                          "A"));
  EXPECT_THAT(body(R"(["a\u0000b"])"), ElementsAre(std::string("a\0b", 3)));
}

TEST(UpstashBody, ThatIsNotACommandIsRefused) {
  for (const char* text : {"[",
                           "[\"a\"",
                           "[\"a\",]",
                           "[,]",
                           "[\"a\"]x",
                           "[\"a\" \"b\"]",
                           "[01]",
                           "[+1]",
                           "[1.]",
                           "[.5]",
                           "[1e]",
                           "[tru]",
                           "[\"\\x\"]",
                           "[\"\\u12g4\"]",
                           "[\"a\nb\"]",
                           "[{\"a\":1,}]",
                           "[{a:1}]",
                           "[{\"a\"}]",
                           "[[1 2]]",
                           "[\"abc",
                           "[\"\\",
                           "[\"\\u00",
                           "[-]",
                           "[nul",
                           "[{\"a\nb\":1}]"}) {
    EXPECT_EQ(refusal(text), "ERR failed to parse the body: it is not valid JSON") << text;
  }
  EXPECT_THAT(refusal("{\"a\":1}"), HasSubstr("a JSON array is expected"));
  EXPECT_THAT(refusal("[\"\xFF\"]"), HasSubstr("not valid UTF-8"));
  EXPECT_EQ(refusal("[]"), "ERR empty command");
}

TEST(UpstashBody, IsBounded) {
  const std::string deep = "[" + std::string(100, '[') + std::string(100, ']') + "]";
  EXPECT_THAT(refusal(deep), HasSubstr("not valid JSON"));
  const Limits small{.commands = 2, .arguments = 4, .depth = 8};
  EXPECT_EQ(read("/", "", "[1,2,3,4,5]", small).error, "ERR max request size exceeded");
  EXPECT_EQ(read("/pipeline", "", "[[1],[2]]", small).error, "");
  EXPECT_EQ(read("/pipeline", "", "[[1],[2],[3]]", small).error,
            "ERR too many commands in a pipeline (2)");
  EXPECT_EQ(read("/a/b/c/d/e/f", "", "", small).error, "ERR max request size exceeded");
}

TEST(UpstashPipeline, IsSeveralCommands) {
  const Read pipeline = read("/pipeline", "", R"([["SET","foo","b\u00e4r"],["GET","f\noo"]])");
  EXPECT_EQ(pipeline.error.substr(0, 30), "");
  EXPECT_EQ(pipeline.kind, Kind::pipeline);
  EXPECT_THAT(pipeline.commands,
              ElementsAre(ElementsAre("SET", "foo", "b\xC3\xA4r"), ElementsAre("GET", "f\noo")));
  EXPECT_EQ(read("/multi-exec/", "", R"([["PING"]])").kind, Kind::transaction);
  EXPECT_EQ(refusal("[]", "/pipeline"), "ERR empty pipeline request");
  EXPECT_EQ(refusal("[[]]", "/pipeline"), "ERR empty command");
  EXPECT_THAT(refusal("[\"PING\"]", "/pipeline"), HasSubstr("array of arrays"));
  EXPECT_THAT(refusal("", "/pipeline"), HasSubstr("empty command"));
}

TEST(UpstashQuery, MayCarryTheToken) {
  EXPECT_EQ(token_in_query("EX=1&_token=a%2Bb"), "a+b");
  EXPECT_EQ(token_in_query("EX=1&token=a"), std::nullopt);
  EXPECT_EQ(token_in_query(""), std::nullopt);
}

TEST(UpstashFormat, IsJsonUnlessAskedFor) {
  EXPECT_EQ(read_format("", "", Kind::command), Format::json);
  EXPECT_EQ(read_format("base64", "", Kind::pipeline), Format::base64);
  EXPECT_EQ(read_format("base64", "json", Kind::transaction), Format::base64);
  EXPECT_EQ(read_format("", "resp2", Kind::pipeline), Format::resp2);
  EXPECT_FALSE(read_format("base64", "resp2", Kind::command));
  EXPECT_FALSE(read_format("", "resp2", Kind::transaction));
  EXPECT_FALSE(read_format("", "resp3", Kind::command));
}

TEST(UpstashReply, IsJson) {
  EXPECT_EQ(reply(Value()), R"({"result":null})");
  EXPECT_EQ(reply(Value::integer(-42)), R"({"result":-42})");
  EXPECT_EQ(reply(Value::bulk("b\"ar\xFF")), "{\"result\":\"b\\\"ar\xEF\xBF\xBD\"}");
  EXPECT_EQ(reply(Value::simple("OK")), R"({"result":"OK"})");
  EXPECT_EQ(reply(Value::error("ERR wrong \"x\"")), R"({"error":"ERR wrong \"x\""})");
  EXPECT_EQ(reply(Value::boolean(true)), R"({"result":1})");
  EXPECT_EQ(reply(Value::real(0.1)), R"({"result":"0.1"})");
  EXPECT_EQ(reply(Value::array({})), R"({"result":[]})");
  EXPECT_EQ(reply(Value::array({Value(), texts({"a"}), Value::error("ERR x")})),
            R"({"result":[null,["a"],"ERR x"]})");
  EXPECT_EQ(reply(Value::aggregate(resp::Kind::map, {Value::bulk("k"), Value::integer(1)})),
            R"({"result":["k",1]})");
}

TEST(UpstashReply, InBase64SparesOkNumbersAndErrors) {
  EXPECT_EQ(reply(Value::bulk("bar"), Format::base64), R"({"result":"YmFy"})");
  EXPECT_EQ(reply(Value::simple("OK"), Format::base64), R"({"result":"OK"})");
  EXPECT_EQ(reply(Value::simple("PONG"), Format::base64), R"({"result":"UE9ORw=="})");
  EXPECT_EQ(reply(Value::integer(1), Format::base64), R"({"result":1})");
  EXPECT_EQ(reply(Value::error("ERR x"), Format::base64), R"({"error":"ERR x"})");
  EXPECT_EQ(
      reply(Value::array({Value::bulk("\xFF\x00"), Value(), texts({"OK", ""})}), Format::base64),
      R"({"result":["/w==",null,["OK",""]]})");
  EXPECT_EQ(reply(Value::real(1.5), Format::base64), R"({"result":"MS41"})");
}

TEST(UpstashReply, InResp2IsWhatARedisSends) {
  EXPECT_EQ(reply(Value::bulk("bar"), Format::resp2), "$3\r\nbar\r\n");
  EXPECT_EQ(reply(Value::simple("OK"), Format::resp2), "+OK\r\n");
  EXPECT_EQ(reply(Value(), Format::resp2), "$-1\r\n");
  std::string both;
  begin_replies(both, 2, Format::resp2);
  append_reply(both, Value::integer(1), Format::resp2);
  separate_replies(both, Format::resp2);
  append_reply(both, Value::error("ERR x"), Format::resp2);
  end_replies(both, Format::resp2);
  EXPECT_EQ(both, "*2\r\n:1\r\n-ERR x\r\n");
}

TEST(UpstashReply, HasTheShapesOfResp2) {
  const Value scored = Value::array({Value::array({Value::bulk("a"), Value::real(1)}),
                                     Value::array({Value::bulk("b"), Value::real(2.5)})});
  EXPECT_EQ(reply(as_resp2(scored, true, false)), R"({"result":["a","1","b","2.5"]})");
  EXPECT_EQ(reply(as_resp2(texts({"a", "b"}), true, false)), R"({"result":["a","b"]})");
  const Value streams = Value::aggregate(resp::Kind::map, {Value::bulk("s"), texts({"1-1"})});
  EXPECT_EQ(reply(as_resp2(streams, false, true)), R"({"result":[["s",["1-1"]]]})");
}

TEST(UpstashReply, WritesDoublesShortAndExact) {
  const auto real = [](double value) {
    std::string out;
    append_real(out, value);
    return out;
  };
  EXPECT_EQ(real(0), "0");
  EXPECT_EQ(real(-0.1), "-0.1");
  EXPECT_EQ(real(100000), "100000");
  EXPECT_EQ(real(1234567.5), "1234567.5");
  EXPECT_EQ(real(1e20), "1e+20");
  EXPECT_EQ(real(1e-7), "1e-07");
  EXPECT_EQ(real(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(real(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(real(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(UpstashEvent, IsOneLineAndAnEmptyOne) {
  EXPECT_EQ(event("subscribe,chat,1"), "data: subscribe,chat,1\n\n");
  EXPECT_EQ(event("\"OK\""), "data: \"OK\"\n\n");
}

// Goal: what somebody publishes cannot pose as another event to a client that looks at every line
// which begins with "data: ".
TEST(UpstashEvent, OfSeveralLinesHasOneThatBeginsLikeAnEvent) {
  EXPECT_EQ(event("message,chat,a\nmessage,admin,b"),
            "data: message,chat,a\ndata:message,admin,b\n\n");
  EXPECT_EQ(event("a\r\n b\rc\n"), "data: a\ndata:  b\ndata:c\ndata:\n\n");
}

}  // namespace
}  // namespace redoubt::wire::upstash
