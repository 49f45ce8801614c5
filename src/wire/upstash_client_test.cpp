#include "wire/upstash_client.hpp"

#include "wire/upstash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::wire::upstash {
namespace {

using resp::Value;
using ::testing::ElementsAre;
using Words = std::vector<std::string_view>;

std::string json(const Words& words) {
  std::string out;
  append_command(out, words);
  return out;
}

std::vector<std::string> events(EventReader& reader, std::string_view bytes) {
  std::vector<std::string> found;
  EXPECT_TRUE(reader.feed(bytes, [&](std::string_view event) { found.emplace_back(event); }));
  return found;
}

TEST(UpstashClientRequest, IsJsonWhereJsonCanSayIt) {
  EXPECT_EQ(json({"SET", "k\"", "v\n"}), R"(["SET","k\"","v\n"])");
  EXPECT_TRUE(is_text(Words{"SET", "k\xC3\xA4"}));
  EXPECT_FALSE(is_text(Words{"SET", "\xFF"}));
}

TEST(UpstashClientRequest, IsAPathForBytes) {
  EXPECT_EQ(path_of(Words{"SET", "a/b\xFF", "value"}), "/SET/a%2Fb%FF");
  EXPECT_EQ(path_of(Words{"SET", "k", ""}), "");
  EXPECT_EQ(path_of(Words{"SET", "", "\xFF"}), "");
  EXPECT_EQ(path_of(Words{"Subscribe", "\xFF"}), "");
  EXPECT_EQ(path_of(Words{"PING"}), "");
}

// Goal: what a client writes is what a server reads.
TEST(UpstashClientRequest, ReadsAsItWasMeant) {
  const std::string bytes("\x00/?%\xFF", 5);
  const Words words{"SET", bytes, "EX", bytes};
  const std::string path = path_of(words);
  Request request;
  ASSERT_TRUE(read_request(path, "", words.back(), {}, request));
  EXPECT_THAT(request.command(0), ::testing::ElementsAreArray(words));
}

TEST(UpstashClientReply, IsAValue) {
  EXPECT_EQ(read_reply(R"({"result":null})"), Value());
  EXPECT_EQ(read_reply(R"({"result":"OK"})"), Value::simple("OK"));
  EXPECT_EQ(read_reply(R"({"result":"YmFy"})"), Value::bulk("bar"));
  EXPECT_EQ(read_reply(R"( { "result" : 9223372036854775807 } )"),
            Value::integer(9223372036854775807));
  EXPECT_EQ(read_reply(R"({"result":1.5})"), Value::real(1.5));
  EXPECT_EQ(read_reply(R"({"error":"WRONGTYPE x"})"), Value::error("WRONGTYPE x"));
  EXPECT_EQ(read_reply(R"({"result":["YQ==",1,null,[],"ERR x y"]})"),
            Value::array({Value::bulk("a"), Value::integer(1), Value(), Value::array({}),
                          Value::error("ERR x y")}));
  EXPECT_EQ(read_reply(R"({"error":null,"more":{"a":[1]},"result":1})"), Value::integer(1));
}

TEST(UpstashClientReply, IsRefusedWhenItIsNone) {
  for (const char* text : {"", "{}", "[]", "null", R"({"result":"YmFy")", R"({"result":{}})",
                           R"({"result":1}x)", R"({"error":1})", R"({"result":1,"result":2})",
                           R"({"result":1,"error":"x"})", "{\"result\":\"\xFF\"}", "<html>"}) {
    EXPECT_FALSE(read_reply(text)) << text;
  }
  const std::string deep = R"({"result":)" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_FALSE(read_reply(deep));
}

TEST(UpstashClientReply, ComesInArrays) {
  const auto replies = read_replies(R"([{"result":1},{"error":"ERR x"}])");
  ASSERT_TRUE(replies);
  EXPECT_THAT(*replies, ElementsAre(Value::integer(1), Value::error("ERR x")));
  EXPECT_EQ(read_replies("[]")->size(), 0U);
  EXPECT_FALSE(read_replies(R"([{"result":1})"));
  EXPECT_FALSE(read_replies(R"({"result":1})"));
}

TEST(UpstashClientEvents, ComeWholeHoweverTheyAreCut) {
  const std::string stream = "data: a,b,1\n\n: ping\n\ndata: x\ndata:y\ndata:  z\n\nevent: e\n\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    EventReader reader(1000);
    auto found = events(reader, stream.substr(0, cut));
    for (auto& event : events(reader, stream.substr(cut))) found.push_back(event);
    EXPECT_THAT(found, ElementsAre("a,b,1", "x\ny\n z"));
  }
}

TEST(UpstashClientEvents, ReadWhatAFaceWrites) {
  std::string stream;
  append_event(stream, "message,c,one\n two\r\nthree");
  EventReader reader(1000);
  EXPECT_THAT(events(reader, stream), ElementsAre("message,c,one\n two\nthree"));
}

TEST(UpstashClientEvents, AreBounded) {
  EventReader reader(100);
  EXPECT_FALSE(reader.feed("data: " + std::string(200, 'x'), [](std::string_view) {}));
}

TEST(UpstashClientEvents, SaysWhatStandsInComments) {
  EventReader reader(100);
  std::vector<std::string> comments;
  const auto on_event = [](std::string_view) {};
  const auto on_comment = [&](std::string_view text) { comments.emplace_back(text); };
  EXPECT_TRUE(reader.feed(": gap\n\n:lost\r\ndata: a:b\n\n: pi", on_event, on_comment));
  EXPECT_TRUE(reader.feed("ng\n:\n", on_event, on_comment));
  EXPECT_THAT(comments, ElementsAre("gap", "lost", "ping", ""));
}

}  // namespace
}  // namespace redoubt::wire::upstash
