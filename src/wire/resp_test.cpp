#include "wire/resp.hpp"

#include "base/random.hpp"
#include "tests/support/resp_reference.hpp"
#include "wire/redis_slot.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::wire::resp {
namespace {

using Status = Decoder::Status;
using test::RespReference;

// Feeds `text` in pieces that end at `cuts`, passing again what was not consumed, as a connection
// does.
std::vector<Value> decode_in_pieces(std::string_view text, std::vector<std::size_t> cuts,
                                    Status& last) {
  Decoder decoder;
  std::vector<Value> values;
  std::string buffer;
  std::size_t start = 0;
  cuts.push_back(text.size());
  for (const std::size_t end : cuts) {
    buffer.append(text.substr(start, end - start));
    start = end;
    do {
      Value value;
      std::size_t used = 0;
      last = decoder.decode(buffer, used, value);
      buffer.erase(0, used);
      if (last == Status::value) values.push_back(std::move(value));
    } while (last == Status::value);
    if (last == Status::malformed) break;
  }
  return values;
}

std::optional<Value> decode_one(std::string_view text) {
  Status last = Status::more;
  auto values = decode_in_pieces(text, {}, last);
  if (last != Status::more || values.size() != 1) return std::nullopt;
  return std::move(values[0]);
}

Status verdict_of(std::string_view text, Limits limits = {}) {
  Decoder decoder(limits);
  Value value;
  std::size_t used = 0;
  return decoder.decode(text, used, value);
}

const std::vector<std::string>& samples() {
  static const std::vector<std::string> all{"+OK\r\n",
                                            "+\r\n",
                                            "-ERR unknown command 'x'\r\n",
                                            ":0\r\n",
                                            ":-42\r\n",
                                            ":+7\r\n",
                                            ":9223372036854775807\r\n",
                                            "$5\r\nhello\r\n",
                                            "$0\r\n\r\n",
                                            "$-1\r\n",
                                            "*-1\r\n",
                                            "*0\r\n",
                                            std::string("$4\r\n\0\r\n\xff\r\n", 10),
                                            "*3\r\n:1\r\n$1\r\na\r\n*1\r\n+x\r\n",
                                            "_\r\n",
                                            "#t\r\n",
                                            "#f\r\n",
                                            ",1.5\r\n",
                                            ",inf\r\n",
                                            ",-inf\r\n",
                                            ",nan\r\n",
                                            ",1e300\r\n",
                                            "(3492890328409238509324850943850943825024385\r\n",
                                            "!21\r\nSYNTAX invalid syntax\r\n",
                                            "=15\r\ntxt:Some string\r\n",
                                            "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
                                            "~2\r\n+a\r\n+b\r\n",
                                            ">3\r\n+message\r\n+channel\r\n$2\r\nhi\r\n",
                                            "|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n",
                                            "*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n",
                                            "$32\r\nlonger than a small string holds\r\n"};
  return all;
}

TEST(RespDecoder, ReadsEveryKind) {
  EXPECT_TRUE(decode_one("+OK\r\n")->is_ok());
  EXPECT_EQ(decode_one("-ERR no\r\n"), Value::error("ERR no"));
  EXPECT_EQ(decode_one(":-42\r\n"), Value::integer(-42));
  EXPECT_EQ(decode_one("$5\r\nhello\r\n"), Value::bulk("hello"));
  EXPECT_TRUE(decode_one("$-1\r\n")->is_null());
  EXPECT_TRUE(decode_one("*-1\r\n")->is_null());
  EXPECT_TRUE(decode_one("_\r\n")->is_null());
  EXPECT_EQ(decode_one("#t\r\n"), Value::boolean(true));
  EXPECT_EQ(decode_one(",2.5\r\n"), Value::real(2.5));
  EXPECT_TRUE(std::isnan(decode_one(",nan\r\n")->as_real()));
  EXPECT_EQ(decode_one("(-12345678901234567890\r\n"), Value::big_number("-12345678901234567890"));
  EXPECT_EQ(decode_one("!5\r\nE\r\nbc\r\n"), Value::error("E\r\nbc"));
  EXPECT_EQ(decode_one("=6\r\ntxt:hi\r\n"), Value::verbatim("hi"));
  EXPECT_EQ(decode_one("%1\r\n+a\r\n:1\r\n"),
            Value::aggregate(Kind::map, {Value::simple("a"), Value::integer(1)}));
  EXPECT_EQ(decode_one("~1\r\n:1\r\n"), Value::aggregate(Kind::set, {Value::integer(1)}));
  EXPECT_EQ(decode_one(">1\r\n+a\r\n"), Value::aggregate(Kind::push, {Value::simple("a")}));
}

TEST(RespDecoder, DropsAttributes) {
  EXPECT_EQ(decode_one("|1\r\n+ttl\r\n:3600\r\n$1\r\nx\r\n"), Value::bulk("x"));
  EXPECT_EQ(decode_one("*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n"),
            Value::array({Value::integer(5), Value::integer(6)}));
}

TEST(RespDecoder, IsTheSameForEveryCutOfEveryReply) {
  for (const std::string& sample : samples()) {
    const std::string text = sample + "+NEXT\r\n";
    Status last = Status::more;
    const std::vector<Value> whole = decode_in_pieces(text, {}, last);
    ASSERT_EQ(last, Status::more) << text;
    ASSERT_EQ(whole.size(), 2U) << text;
    for (std::size_t first = 0; first <= text.size(); ++first) {
      for (std::size_t second = first; second <= text.size(); ++second) {
        ASSERT_EQ(decode_in_pieces(text, {first, second}, last), whole) << text << first << second;
      }
    }
    std::vector<std::size_t> every;
    for (std::size_t i = 0; i < text.size(); ++i) every.push_back(i);
    EXPECT_EQ(decode_in_pieces(text, every, last), whole) << text;
  }
}

TEST(RespDecoder, RefusesWhatIsNotTheProtocol) {
  for (const std::string_view bad : {"HTTP/1.1 400\r\n",
                                     "\r\n",
                                     ":\r\n",
                                     ":1x\r\n",
                                     ":9223372036854775808\r\n",
                                     ":+-1\r\n",
                                     "$x\r\n",
                                     "$-2\r\n",
                                     "$+1\r\n",
                                     "$1\r\nab\r\n",
                                     "$1\r\na\nx",
                                     "$?\r\n",
                                     "*?\r\n",
                                     "*-2\r\n",
                                     "%-1\r\n",
                                     "!-1\r\n",
                                     "=3\r\ntxt\r\n",
                                     "=4\r\ntxt;\r\n",
                                     "#x\r\n",
                                     "_x\r\n",
                                     ",\r\n",
                                     ",1.5.2\r\n",
                                     "(\r\n",
                                     "(12a\r\n",
                                     "+a\rb\r\n",
                                     "+a\nb\r\n",
                                     "*1\r\n>1\r\n+x\r\n"}) {
    EXPECT_EQ(verdict_of(bad), Status::malformed) << bad;
  }
}

TEST(RespDecoder, StaysMalformed) {
  Decoder decoder;
  Value value;
  std::size_t used = 0;
  EXPECT_EQ(decoder.decode("?", used, value), Status::malformed);
  EXPECT_EQ(decoder.decode("+OK\r\n", used, value), Status::malformed);
  EXPECT_FALSE(decoder.problem().empty());
}

TEST(RespDecoder, MakesNoRoomForWhatIsOnlyPromised) {
  EXPECT_EQ(verdict_of("$200000000\r\n"),
            Status::more);  // Under the limit: waits, without the memory.
  EXPECT_EQ(verdict_of("$300000000\r\n"), Status::malformed);
  EXPECT_EQ(verdict_of("$99999999999999999999\r\n"), Status::malformed);
  EXPECT_EQ(verdict_of("*1000000000\r\n"), Status::malformed);
  EXPECT_EQ(verdict_of("%4000000\r\n"), Status::malformed);
}

TEST(RespDecoder, BoundsDepthElementsBytesAndLines) {
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "*1\r\n";
  EXPECT_EQ(verdict_of(deep), Status::malformed);
  EXPECT_EQ(verdict_of(deep.substr(4) + "+x\r\n"), Status::value);

  const Limits three{.depth = 8, .elements = 3, .bytes = 1000};
  EXPECT_EQ(verdict_of("*2\r\n:1\r\n:2\r\n", three), Status::value);
  EXPECT_EQ(verdict_of("*3\r\n", three), Status::malformed);
  EXPECT_EQ(verdict_of("*2\r\n*2\r\n:1\r\n:2\r\n", three), Status::malformed);
  EXPECT_EQ(verdict_of("|0\r\n|0\r\n|0\r\n|0\r\n", three), Status::malformed);

  const Limits small{.depth = 8, .elements = 100, .bytes = 150};
  EXPECT_EQ(verdict_of("$100\r\n", small), Status::more);
  EXPECT_EQ(verdict_of("$110\r\n", small), Status::malformed);
  EXPECT_EQ(verdict_of("*9\r\n:1\r\n:1\r\n:1\r\n:1\r\n", small), Status::malformed);

  EXPECT_EQ(verdict_of("+" + std::string(65536, 'a')), Status::more);
  EXPECT_EQ(verdict_of("+" + std::string(65537, 'a')), Status::malformed);
}

TEST(RespDecoder, CountsEachReplyAnew) {
  Decoder decoder(Limits{.depth = 8, .elements = 3, .bytes = 200});
  const std::string one = "*2\r\n:1\r\n$20\r\n01234567890123456789\r\n";
  Value value;
  std::size_t used = 0;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(decoder.decode(one, used, value), Status::value);
}

// Goal: the decoder says what a second, simple one says, for sound and for damaged replies.
TEST(RespDecoder, AgreesWithASimplerDecoder) {
  FastRandom random(7);
  const auto below = [&random](std::size_t bound) { return random.next() % bound; };
  for (int round = 0; round < 100'000; ++round) {
    std::string text;
    for (std::size_t i = 0, n = 1 + below(3); i < n; ++i)
      text += samples()[below(samples().size())];
    for (std::size_t i = 0, n = below(4); i < n; ++i) {
      text[below(text.size())] = "+-:$*_#,(!=%~>|\r\n0123a"[below(22)];
    }
    Decoder decoder;
    RespReference reference(text);
    std::size_t at = 0;
    for (;;) {
      Value value;
      std::size_t used = 0;
      const Status status = decoder.decode(std::string_view(text).substr(at), used, value);
      at += used;
      Value expected;
      const auto verdict = reference.read(expected);
      // A reply may be refused before it is complete, when its announced size is over a limit.
      if (verdict == RespReference::Verdict::incomplete && status == Status::malformed) break;
      ASSERT_EQ(status == Status::value, verdict == RespReference::Verdict::value) << text;
      ASSERT_EQ(status == Status::malformed, verdict == RespReference::Verdict::malformed) << text;
      if (status != Status::value) break;
      ASSERT_EQ(value, expected) << text;
      ASSERT_EQ(at, reference.position()) << text;
    }
  }
}

TEST(RespEncoder, WritesWhatTheDecoderReads) {
  for (const std::string& sample : samples()) {
    const auto value = decode_one(sample);
    ASSERT_TRUE(value) << sample;
    std::string written;
    append_value(written, *value);
    EXPECT_EQ(decode_one(written), value) << sample;
  }
}

TEST(RespEncoder, WritesForAClientOfResp2) {
  std::string out;
  append_value_resp2(out, Value::aggregate(Kind::map, {Value::simple("a"), Value::real(1.5)}));
  append_value_resp2(out, Value());
  append_value_resp2(out, Value::boolean(true));
  append_value_resp2(out, Value::error("ERR a\r\nb"));
  EXPECT_EQ(out, "*2\r\n+a\r\n$3\r\n1.5\r\n$-1\r\n:1\r\n-ERR a  b\r\n");
}

TEST(RespEncoder, WritesCommandsAsBulkStrings) {
  std::string out;
  const std::vector<std::string_view> arguments{"SET", "a b", ""};
  append_command(out, arguments);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n");
}

// The specification's own example, and what redis-cli CLUSTER KEYSLOT says.
TEST(RedisSlot, IsThatOfTheSpecification) {
  EXPECT_EQ(slot_of("123456789"), 0x31C3);
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of(""), 0);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("{user1000}.followers"));
  EXPECT_EQ(slot_of("foo{}{bar}"), 8363);
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
}

}  // namespace
}  // namespace redoubt::wire::resp
