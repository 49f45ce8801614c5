#include "operations/plain_json.hpp"

#include "base/json.hpp"
#include "base/random.hpp"
#include "operations/describe_types.hpp"
#include "tests/support/example_operations.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace redoubt::operations {
namespace {

struct Order {
  std::string name;
  std::int64_t count = 1;
  bool urgent = false;
  test::Shape shape = test::Shape::square;
  std::optional<std::int64_t> version;
  std::vector<std::string> tags;
  std::vector<test::Part> parts;
  Json data{"{}"};
  static constexpr std::string_view schema_name = "Order";
  static constexpr auto fields =
      describe(field<&Order::name>("name", "", required, length(1, 16)),
               field<&Order::count>("count", "", between(-5, 1000)),
               field<&Order::urgent>("urgent", ""), field<&Order::shape>("shape", ""),
               field<&Order::version>("version", ""), field<&Order::tags>("tags", "", items(0, 4)),
               field<&Order::parts>("parts", ""), field<&Order::data>("data", ""));
};

std::string written(const Order& order) {
  std::string out;
  write_object(out, fields_of<Order>(), &order);
  return out;
}

bool is_plain(std::string_view text) {
  Order order;
  return read_plain_body(text, fields_of<Order>(), &order);
}

// What the document says; empty: it is refused.
std::string by_document(std::string_view text) {
  const auto value = parse_json(text);
  if (!value) return {};
  Order order;
  Path path;
  FieldErrors errors;
  read_object(*value, fields_of<Order>(), &order, path, errors);
  return errors.empty() ? written(order) : std::string();
}

TEST(PlainJson, ReadsWhatClientsSend) {
  Order order;
  ASSERT_TRUE(read_plain_body(R"( {"name" : "gear","count":-5, "urgent":true,"shape":"round",
      "version":7,"tags":["a","b"],"parts":[{"name":"tooth","count":32},{"name":"hub"}],
      "data": { "k" : [1, true, null, {"x":"y z"}], "e":{ }, "a":[ ] }} )",
                              fields_of<Order>(), &order));

  EXPECT_EQ(written(order),
            R"({"name":"gear","count":-5,"urgent":true,"shape":"round","version":7,)"
            R"("tags":["a","b"],"parts":[{"name":"tooth","count":32},{"name":"hub","count":1}],)"
            R"("data":{"k":[1,true,null,{"x":"y z"}],"e":{},"a":[]}})");
  EXPECT_TRUE(is_plain(R"({"name":"a name of 16 b","tags":[],"parts":[]})"));
}

TEST(PlainJson, LeavesTheRestToTheDocument) {
  for (const std::string_view text : {R"({"name":"a\u0062"})",
                                      R"({"name":"ä"})",
                                      "{\"name\":\"a\x7f\"}",
                                      "{\"name\":\"a\tb\"}",
                                      R"({"name":"a","name":"b"})",
                                      R"({"name":"a","nmae":"b"})",
                                      R"({"count":1})",
                                      R"({})",
                                      R"({"name":""})",
                                      R"({"name":"more than sixteen"})",
                                      R"({"name":1})",
                                      R"({"name":null})",
                                      R"({"name":"a","count":1001})",
                                      R"({"name":"a","count":-6})",
                                      R"({"name":"a","count":1.0})",
                                      R"({"name":"a","count":1e2})",
                                      R"({"name":"a","count":01})",
                                      R"({"name":"a","count":-0})",
                                      R"({"name":"a","count":-})",
                                      R"({"name":"a","count":+1})",
                                      R"({"name":"a","count":"1"})",
                                      R"({"name":"a","version":1234567890123456})",
                                      R"({"name":"a","version":null})",
                                      R"({"name":"a","urgent":1})",
                                      R"({"name":"a","urgent":truefalse})",
                                      R"({"name":"a","shape":"oval"})",
                                      R"({"name":"a","tags":["1","2","3","4","5"]})",
                                      R"({"name":"a","tags":"x"})",
                                      R"({"name":"a","tags":["x",]})",
                                      R"({"name":"a",})",
                                      R"({"name":"a","parts":[{"count":1}]})",
                                      R"({"name":"a","data":{"k":1,"k":2}})",
                                      R"({"name":"a","data":{"k":1.5}})",
                                      R"({"name":"a","data":{"k":"\n"}})",
                                      R"({"name":"a","data":{"k":1,}})",
                                      R"({"name":"a","data":[1,]})",
                                      R"({"name":"a","data":[[[[[[[[[]]]]]]]]]})",
                                      R"({"name":"a","data":nul})",
                                      R"({"name":"a"} x)",
                                      R"({"name":"a")",
                                      R"({"name":"a)",
                                      R"({"name")",
                                      R"(["name"])",
                                      "",
                                      " "}) {
    EXPECT_FALSE(is_plain(text)) << text;
  }
  std::string many = R"({"name":"a","data":{"m0":0)";
  for (std::size_t i = 1; i < PlainJson::kMembersMax; ++i) many += fmt::format(",\"m{}\":0", i);
  EXPECT_TRUE(is_plain(many + "}}"));
  EXPECT_FALSE(is_plain(many + ",\"one more\":0}}"));
  EXPECT_FALSE(is_plain(R"({"name":"a"})" + std::string(PlainJson::kBytesMax, ' ')));
}

// Whatever a text is made of: when it is plain, the document says the same.
TEST(PlainJson, AgreesWithTheDocument) {
  constexpr std::array kPieces = std::to_array<std::string_view>({"{",
                                                                  "}",
                                                                  "[",
                                                                  "]",
                                                                  ",",
                                                                  ":",
                                                                  "\"name\":",
                                                                  "\"count\":",
                                                                  "\"a\"",
                                                                  "\"tags\":",
                                                                  "\"parts\":",
                                                                  "true",
                                                                  "false",
                                                                  "null",
                                                                  "0",
                                                                  "-7",
                                                                  "12",
                                                                  "1.5",
                                                                  "1e2",
                                                                  "01",
                                                                  " ",
                                                                  "\n",
                                                                  "\"round\"",
                                                                  "\"shape\":",
                                                                  "\"b c\"",
                                                                  "\"urgent\":",
                                                                  "\"version\":",
                                                                  "\"\\n\"",
                                                                  "\"\"",
                                                                  "{\"name\":\"x\"}",
                                                                  "\"ü\"",
                                                                  "9007199254740993",
                                                                  "123456789012345",
                                                                  "-",
                                                                  "\"unknown\":",
                                                                  "\"a longer text of many bytes\"",
                                                                  "\"data\":",
                                                                  "\"data\":{",
                                                                  "\"k\":",
                                                                  "[1, 2]",
                                                                  "{ }"});
  FastRandom random(1);
  int plain = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = "{\"name\":\"a\"";
    const std::uint64_t count = random.next() % 7;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (random.next() % 2 == 0) text += ',';
      text += kPieces[random.next() % kPieces.size()];
      text += kPieces[random.next() % kPieces.size()];
    }
    if (random.next() % 8 != 0) text += '}';
    Order order;
    if (!read_plain_body(text, fields_of<Order>(), &order)) continue;
    ++plain;
    ASSERT_EQ(written(order), by_document(text)) << text;
  }
  EXPECT_GT(plain, 1'000);
}

// The document decides as if nothing had been read before it.
TEST(PlainJson, LeavesNothingBehindWhenItGivesUp) {
  const std::string_view text =
      R"({"name":"b","tags":["x","y"],"parts":[{"name":"p","count":9},{"name":"q"}],"version":3,)"
      R"("data":{"k":1.5}})";
  Order order;
  ASSERT_FALSE(read_plain_body(text, fields_of<Order>(), &order));
  const auto value = parse_json(text);
  ASSERT_TRUE(value);
  Path path;
  FieldErrors errors;
  ASSERT_TRUE(read_object(*value, fields_of<Order>(), &order, path, errors));

  EXPECT_EQ(written(order), by_document(text));
}

}  // namespace
}  // namespace redoubt::operations
