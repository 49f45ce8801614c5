#include "base/json.hpp"

#include "base/append.hpp"
#include "base/bytes.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>

#include <limits>

namespace redoubt {
namespace {

using namespace std::string_literals;

// After JSONTestSuite (Seriot, "Parsing JSON is a minefield"): must be read, and what it means
// written compactly; empty: the text itself.
struct Accepted {
  std::string text;
  std::string compact;
};

const Accepted kAccepted[] = {
    {"[]", ""},
    {"{}", ""},
    {"[[]]", ""},
    {"[[]   ]", "[[]]"},
    {"[\"\"]", ""},
    {"[false]", ""},
    {"[null, 1, \"1\", {}]", "[null,1,\"1\",{}]"},
    {"[1\n]", "[1]"},
    {" [1]", "[1]"},
    {"[2] ", "[2]"},
    {"\t\n\r [] \t\n\r", "[]"},
    {"[1,null,null,null,2]", ""},
    {"[123e65]", "[1.23e+67]"},
    {"[0e+1]", "[0.0]"},
    {"[0e1]", "[0.0]"},
    {"[ 4]", "[4]"},
    {"[-0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
     "[-1e-78]"},
    {"[20e1]", "[200.0]"},
    {"[-0]", "[0]"},
    {"[-0.0]", ""},
    {"[-123]", ""},
    {"[1E22]", "[1e+22]"},
    {"[1E-2]", "[0.01]"},
    {"[1E+2]", "[100.0]"},
    {"[123e45]", "[1.23e+47]"},
    {"[123.456e78]", "[1.23456e+80]"},
    {"[0.1]", ""},
    {"[9007199254740992]", ""},
    {"[-9007199254740992]", ""},
    {"[1e308]", "[1e+308]"},
    {"[1.7976931348623157e308]", "[1.7976931348623157e+308]"},
    {"[5e-324]", ""},
    {"{\"asd\":\"sdf\", \"dfg\":\"fgh\"}", "{\"asd\":\"sdf\",\"dfg\":\"fgh\"}"},
    {"{\"\":0}", ""},
    {"{\"foo\\u0000bar\": 42}", "{\"foo\\u0000bar\":42}"},
    {"{\"min\": -1.0e+28, \"max\": 1.0e+28}", "{\"min\":-1e+28,\"max\":1e+28}"},
    {"{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}", ""},
    {"[\"\\u0060\\u012a\\u12AB\"]", "[\"`\u012a\u12ab\"]"},
    {"[\"\\uD801\\udc37\"]", "[\"\U00010437\"]"},
    {"[\"\\ud83d\\ude39\\ud83d\\udc8d\"]", "[\"\U0001f639\U0001f48d\"]"},
    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"},
    {"[\"\\\\u0000\"]", ""},
    {"[\"\\u0012\"]", ""},
    {"[\"\\u0000\"]", ""},
    {"[\"\\uFFFF\"]", "[\"\uffff\"]"},
    {"[\"\\uDBFF\\uDFFF\"]", "[\"\U0010ffff\"]"},
    {"[\"\x7f\"]", ""},
    {"[\"a/*b*/c/*d//e\"]", ""},
    {"[\"\\u2028\\u2029\"]", "[\"\u2028\u2029\"]"},
    {"[\"π€𝄞\"]", ""},
    {"[\"\uFEFF\"]", ""},
    {"\"\"", ""},
    {"42", ""},
    {"-0.1", ""},
    {"null", ""},
    {"true", ""},
    {"\"asd\"", ""},
    {std::string(64, '[') + std::string(64, ']'), ""},
};

TEST(ParseJson, ReadsWhatItMust) {
  for (const Accepted& c : kAccepted) {
    const Result<json::value> value = parse_json(c.text);
    ASSERT_TRUE(value) << c.text << ": " << value.error().message;
    EXPECT_EQ(to_json(*value), c.compact.empty() ? c.text : c.compact) << c.text;
  }
}

const std::string kRefused[] = {
    "",
    " ",
    "[",
    "]",
    "[[]",
    "[]]",
    "[1 true]",
    "[a]",
    "[\"\": 1]",
    "[\"\"],",
    "[,1]",
    "[1,,2]",
    "[\"x\",,]",
    "[\"x\"]]",
    "[\"\",]",
    "[\"x\"",
    "[x",
    "[3[4]]",
    "[1:2]",
    "[,]",
    "[-]",
    "[   , \"\"]",
    "[1,]",
    "[1,,]",
    "[*]",
    "[\"\",\n4\n,1",
    "[fals]",
    "[nul]",
    "[tru]",
    "[True]",
    "[NaN]",
    "[-NaN]",
    "[Infinity]",
    "[-Infinity]",
    "[+1]",
    "[++1234]",
    "[+Inf]",
    "[-01]",
    "[-1.0.]",
    "[-2.]",
    "[.-1]",
    "[.2e-3]",
    "[0.1.2]",
    "[0.3e+]",
    "[0.3e]",
    "[0.e1]",
    "[0E+]",
    "[0e]",
    "[1.0e+]",
    "[1.0e-]",
    "[1 000.0]",
    "[1eE2]",
    "[2.e+3]",
    "[2.e3]",
    "[9.e+]",
    "[0x1]",
    "[0x42]",
    "[1+2]",
    "[012]",
    "[-012]",
    "[1a]",
    "[1.2a-3]",
    "[1.8011670033376514H-308]",
    "[\uff11]",
    "[- 1]",
    "[--1]",
    "{\"x\"::\"b\"}",
    "{\"x\", null}",
    "{[: \"x\"}",
    "{key: 'value'}",
    "{'a':0}",
    "{\"a\":\"a\" 123}",
    "{\"a\" b}",
    "{:\"b\"}",
    "{\"a\" \"b\"}",
    "{\"a\":",
    "{\"a\"",
    "{1:1}",
    "{null:null,null:null}",
    "{\"id\":0,,,,,}",
    "{\"id\":0,}",
    "{\"a\":\"b\"}/**/",
    "{\"a\":\"b\"}//",
    "/* */ {}",
    "{\"a\":\"b\"}#",
    "{\"a\":\"b\",,\"c\":\"d\"}",
    "{a: \"b\"}",
    "{\"a\":\"a",
    "{ \"foo\" : \"bar\", \"a\" }",
    "{\"a\":true} \"x\"",
    "[\"\\uD800\\\"]",
    "[\"\\uD800\\u\"]",
    "[\"\\uD800\\u1\"]",
    "[\"\\uD800\\u1x\"]",
    "[\"\\uD800\"]",
    "[\"\\uDC00\"]",
    "[\"\\uD800\\uD800\"]",
    "[\"\\uD800abc\"]",
    "[\"\\uDc37\\uD801\"]",
    "[\"\\x00\"]",
    "[\"\\\\\\\"]",
    "[\"\\\t\"]",
    "[\"\\a\"]",
    "[\"\\\xf0\x9f\x8c\x80\"]",
    "[\"\\u00A\"]",
    "[\"\\u\xc3\xa5\"]",
    "[\"\\'\"]",
    "[\"\\U0041\"]",
    "[\\u0020\"asd\"]",
    "[\"",
    "[\"\\",
    "[\"a\nb\"]",
    "[\"\t\"]",
    "[\"a\0b\"]"s,
    "['single']",
    "abc",
    "\"x\"x",
    "\"",
    "<.>",
    "[<null>]",
    "[1]x",
    "2@",
    "1]",
    "{}}",
    "{\"\":",
    "[\f]",
    "[\v1]",
    "[\u2060]",
    "\xef\xbb\xbf{}",
    "\xef\xbb\xbf",
    "[\"\xff\"]",
    "[\"\xe9\"]",
    "[\"\xc0\xaf\"]",
    "[\"\xe0\x80\x80\"]",
    "[\"\xed\xa0\x80\"]",
    "[\"\xf4\x90\x80\x80\"]",
    "[\"\x81\"]",
    "{\"\xb9\":\"0\"}",
    "[\xff]",
    "[1,\n\"\xe5\"]",
    "\xff\xfe[\0\"\0\xe9\0\"\0]\0"s,
    "\0"s,
    "[1]\0"s,
    "nan",
    "[1]//",
    std::string(65, '[') + std::string(65, ']'),
    std::string(100'000, '['),
};

TEST(ParseJson, RefusesWhatItMust) {
  for (const std::string& text : kRefused) {
    const Result<json::value> value = parse_json(text);
    ASSERT_FALSE(value) << text.substr(0, 100);
    EXPECT_EQ(value.error().code, Errc::invalid_argument);
    EXPECT_EQ(value.error().slug, "json_invalid");
    EXPECT_TRUE(value.error().message.starts_with("invalid JSON at byte "))
        << value.error().message;
  }
}

TEST(ParseJson, RefusesNumbersThatWouldChange) {
  for (const std::string_view text :
       {"9007199254740993", "-9007199254740993", "9223372036854775807", "9223372036854775808",
        "18446744073709551615", "18446744073709551616", "-9223372036854775809",
        "100000000000000000000000000000", "[1,9007199254740993]"}) {
    const Result<json::value> value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.error().message.find("string"), std::string::npos) << value.error().message;
  }
  for (const std::string_view text :
       {"1e400", "-1e400", "1.8e308", "1e99999999999999999999", "1e-400", "123.456e-789"}) {
    const Result<json::value> value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.error().message.find("range"), std::string::npos) << value.error().message;
  }
}

TEST(ParseJson, ReadsDoublesToTheLastBit) {
  for (const double expected :
       {0.1, 1.0 / 3.0, 2.2250738585072014e-308, 5e-324, 8.41e21, 9007199254740993.5,
        1.7976931348623157e308, 123456789.123456789, 3.0e-5, 7.2057594037927933e16}) {
    const std::string text = to_json(json::value(expected));
    const Result<json::value> value = parse_json(text);
    ASSERT_TRUE(value) << text;
    EXPECT_EQ(value->as_double(), expected) << text;
  }
}

TEST(ParseJson, TellsDuplicateKeysFromEqualKeysOfDifferentObjects) {
  EXPECT_TRUE(parse_json(R"({"a":{"a":1,"b":2},"b":[{"a":1},{"a":1}]})"));
  for (const std::string_view text :
       {R"({"a":1,"a":1})", R"({"a":1,"b":2,"a":3})", R"([{"x":{"k":1,"k":2}}])",
        R"({"a":1,"\u0061":2})", R"({"":1,"":2})", R"({"a":{"b":1},"a":2})",
        R"({"a":1,"x":{"a":1},"a":2})", R"({"\ud83d\ude00":1,"😀":2})"}) {
    const Result<json::value> value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.error().message.find("twice"), std::string::npos) << value.error().message;
  }
}

TEST(ParseJson, KnowsALongKeyFromItsPrefix) {
  const std::string key(5000, 'k');
  EXPECT_TRUE(parse_json("{\"" + key + "\":1,\"" + key + "k\":2}"));
  EXPECT_FALSE(parse_json("{\"" + key + "\":1,\"" + key + "\":2}"));
  EXPECT_TRUE(parse_json(R"({"ab":1,"c":2,"a":3,"bc":4})"));
}

TEST(ParseJson, BoundsTheMembersOfAnObject) {
  const auto object_of = [](std::size_t members) {
    std::string text = "{";
    for (std::size_t i = 0; i < members; ++i) text += "\"" + std::to_string(i) + "\":0,";
    text.back() = '}';
    return text;
  };
  EXPECT_TRUE(parse_json(object_of(kJsonMembersMax)));
  EXPECT_FALSE(parse_json(object_of(kJsonMembersMax + 1)));
}

TEST(ParseJson, SaysAtWhichByteItStopped) {
  EXPECT_TRUE(parse_json("[1,2,x]").error().message.starts_with("invalid JSON at byte 5:"));
  EXPECT_TRUE(parse_json("{} x").error().message.starts_with("invalid JSON at byte 3:"));
  EXPECT_EQ(parse_json("[1,").error().message, "invalid JSON at byte 3: the text ends too early");
}

TEST(ParseJson, HonoursTheCallersLimitAndItsOwn) {
  EXPECT_TRUE(parse_json("[1,2]", 5));
  EXPECT_FALSE(parse_json("[1,2]", 4));
  const std::string longest = "\"" + std::string(kJsonBytesMax - 2, 'x') + "\"";
  EXPECT_TRUE(parse_json(longest));
  EXPECT_FALSE(parse_json(longest + " ", std::numeric_limits<std::size_t>::max()));
}

json::value random_value(SeededRandom& random, int depth) {
  switch (random.below(depth > 0 ? 8 : 6)) {
    case 0:
      return nullptr;
    case 1:
      return random.below(2) == 1;
    case 2:
      return static_cast<std::int64_t>(random.below(1ull << 53)) - (1ll << 52);
    case 3:
      return static_cast<double>(random.next_u64()) / 1e9;
    case 4:
    case 5: {
      std::string text;
      for (std::uint64_t n = random.below(8); n > 0; --n) {
        constexpr std::string_view kPieces[] = {"a", "\"", "\\", "\n", "\x01", "ä", "😀", "/"};
        text += kPieces[random.below(std::size(kPieces))];
      }
      return json::string(text);
    }
    case 6: {
      json::array array;
      for (std::uint64_t n = random.below(4); n > 0; --n) {
        array.push_back(random_value(random, depth - 1));
      }
      return array;
    }
    default: {
      json::object object;
      for (std::uint64_t n = random.below(30); n > 0; --n) {
        object["k" + std::to_string(random.below(40))] = random_value(random, depth - 1);
      }
      return object;
    }
  }
}

TEST(ToJson, RoundTripsRandomValues) {
  SeededRandom random(1);
  for (int i = 0; i < 2000; ++i) {
    const json::value value = random_value(random, 4);
    const std::string text = to_json(value);
    const Result<json::value> parsed = parse_json(text);
    ASSERT_TRUE(parsed) << text << parsed.error().message;
    ASSERT_EQ(*parsed, value) << text;
    ASSERT_EQ(to_json(*parsed), text);
  }
}

TEST(ToJson, WritesWhatJsonCannotSayAsNull) {
  EXPECT_EQ(to_json(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(to_json(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(ToJson, WritesIntegersOfEverySize) {
  EXPECT_EQ(to_json(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(to_json(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  std::string text = "x";
  append_int(text, -12);
  EXPECT_EQ(text, "x-12");
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(AppendJsonString, EscapesWhatItMustAndNothingElse) {
  EXPECT_EQ(json_string(""), "\"\"");
  EXPECT_EQ(json_string("plain / text \x7f ü 😀"), "\"plain / text \x7f ü 😀\"");
  EXPECT_EQ(json_string("\"\\\b\f\n\r\t\x01\x1f"), R"("\"\\\b\f\n\r\t\u0001\u001f")");
  EXPECT_EQ(json_string("a\0b"s), R"("a\u0000b")");
}

TEST(AppendJsonString, SeesEveryByteAtEveryPlace) {
  for (int c = 0; c < 0x80; ++c) {
    const std::string byte(1, static_cast<char>(c));
    const std::string alone = json_string(byte);
    const std::string escaped = alone.substr(1, alone.size() - 2);
    for (std::size_t before = 0; before < 20; ++before) {
      const std::string a(before, 'a');
      ASSERT_EQ(json_string(a + byte + "zzzzzzzzz"), "\"" + a + escaped + "zzzzzzzzz\"") << c;
    }
  }
}

TEST(PutPlainJsonString, DoesAsAppendUnlessMoreThanCopyingIsNeeded) {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string text(size, 'a');
    std::string out(size + 2, '?');
    ASSERT_EQ(put_plain_json_string(out.data(), text), out.data() + out.size());
    EXPECT_EQ(out, json_string(text));
    for (std::size_t at = 0; at < size; ++at) {
      for (const char c : {'"', '\\', '\n', '\x80', '\0'}) {
        std::string other = text;
        other[at] = c;
        ASSERT_EQ(put_plain_json_string(out.data(), other), nullptr) << size << " " << at;
      }
    }
  }
}

TEST(AppendJsonString, ReplacesEachByteThatIsNotUtf8) {
  EXPECT_EQ(json_string("a\xff"
                        "b"),
            "\"a\uFFFDb\"");
  EXPECT_EQ(json_string("\xe2\x82"), "\"\uFFFD\uFFFD\"");
  EXPECT_EQ(json_string("\xed\xa0\x80"), "\"\uFFFD\uFFFD\uFFFD\"");
}

TEST(AppendJsonString, IsReadableWhateverTheBytes) {
  SeededRandom random(1);
  for (int i = 0; i < 5000; ++i) {
    std::string text(random.below(20), '\0');
    for (char& c : text) c = static_cast<char>(random.next_u64());
    const Result<json::value> parsed = parse_json(json_string(text));
    ASSERT_TRUE(parsed);
    if (is_utf8(text)) {
      ASSERT_EQ(parsed->as_string(), text);
    }
  }
}

TEST(MergePatch, FollowsTheTableOfRfc7396) {
  constexpr std::string_view kTable[][3] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
  };
  for (const auto& row : kTable) {
    json::value target = *parse_json(row[0]);
    merge_patch(target, *parse_json(row[1]));
    EXPECT_EQ(target, *parse_json(row[2])) << row[0] << " with " << row[1];
  }
}

}  // namespace
}  // namespace redoubt
