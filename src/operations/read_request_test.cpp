#include "operations/operation.hpp"
#include "tests/support/context.hpp"
#include "tests/support/example_operations.hpp"
#include "tests/support/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using test::PutWidget;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class OneHeader final : public HeaderSource {
 public:
  OneHeader(std::string_view name, std::string_view value) : name_(name), value_(value) {}
  std::string_view header(std::string_view name) const override {
    return name == name_ ? value_ : std::string_view{};
  }

 private:
  std::string_view name_;
  std::string_view value_;
};

// "location code detail" of every error; empty when it was read.
template <class T>
std::vector<std::string> problems(T& out, const OperationInput& input) {
  const auto read = read_request(fields_of<T>(), &out, input);
  if (read) return {};
  std::vector<std::string> lines;
  for (const FieldError& e : read.error().fields) {
    lines.push_back(e.location + " " + e.code + " " + e.detail);
  }
  if (lines.empty()) lines.push_back(read.error().slug);
  return lines;
}

std::vector<std::string> problems_of_body(PutWidget& out, std::string_view body) {
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  return problems(out, {.path = path, .body = body});
}
std::vector<std::string> problems_of_body(std::string_view body) {
  PutWidget widget;
  return problems_of_body(widget, body);
}
std::vector<std::string> problems_of_query(test::ListWidgets& out, std::string_view query) {
  return problems(out, {.query = query});
}
std::vector<std::string> problems_of_query(std::string_view query) {
  test::ListWidgets list;
  return problems_of_query(list, query);
}

TEST(ReadRequest, ReadsEveryTypeFromTheBody) {
  PutWidget w;
  ASSERT_THAT(problems_of_body(w, R"({"name":"gear","shape":"round","ttl":1.5,"weight":2.5,
      "made_at":"2026-01-31T12:00:00.250Z","data":{"a":[1, null]},
      "parts":[{"name":"a"},{"name":"b","count":7}],"tags":["x","y"],"sizes":{"w":3}})"),
              IsEmpty());
  EXPECT_EQ(w.id, "w1");
  EXPECT_EQ(w.name, "gear");
  EXPECT_EQ(w.shape, test::Shape::round);
  EXPECT_EQ(w.ttl, Duration(1500));
  EXPECT_EQ(w.weight, 2.5);
  EXPECT_EQ(w.made_at, WallTime{1'769'860'800'250});
  EXPECT_EQ(w.data.text, R"({"a":[1,null]})");
  ASSERT_EQ(w.parts.size(), 2u);
  EXPECT_EQ(w.parts[0].count, 1);
  EXPECT_EQ(w.parts[1].count, 7);
  EXPECT_THAT(w.tags, ElementsAre("x", "y"));
  EXPECT_EQ(w.sizes.at("w"), 3);
}

TEST(ReadRequest, KeepsDefaultsOfWhatIsAbsent) {
  PutWidget w;
  ASSERT_THAT(problems_of_body(w, R"({"name":"gear","weight":null})"), IsEmpty());
  EXPECT_EQ(w.ttl, Duration(30'000));
  EXPECT_EQ(w.shape, test::Shape::square);
  EXPECT_FALSE(w.weight.has_value());
  EXPECT_EQ(w.data.text, "{}");
}

TEST(ReadRequest, DurationsAreSecondsOrText) {
  PutWidget w;
  ASSERT_THAT(problems_of_body(w, R"({"name":"n","ttl":"1m30s"})"), IsEmpty());
  EXPECT_EQ(w.ttl, Duration(90'000));
  ASSERT_THAT(problems_of_body(w, R"({"name":"n","ttl":3600})"), IsEmpty());
  EXPECT_EQ(w.ttl, Duration(3'600'000));
  EXPECT_THAT(problems_of_body(R"({"name":"n","ttl":"soon"})"),
              ElementsAre("body.ttl format must be a number of seconds, or text such as 30s or "
                          "1h30m"));
  EXPECT_THAT(problems_of_body(R"({"name":"n","ttl":-1})"),
              ElementsAre("body.ttl range must be between 1s and 1h"));
  EXPECT_THAT(problems_of_body(R"({"name":"n","ttl":1e300})"),
              ElementsAre("body.ttl range must be between 1s and 1h"));
}

TEST(ReadRequest, ReportsEveryProblemAtItsField) {
  EXPECT_THAT(
      problems_of_body(R"({"nme":"x","ttl":0,"shape":"sqare","weight":"2","made_at":"today",
          "parts":[{"name":"a","count":0},{"count":1.5},3],"tags":"x","sizes":{"w/h":true}})"),
      testing::UnorderedElementsAre(
          "body.nme unknown is not a field of this request; did you mean name?",
          "body.name required is required", "body.ttl range must be between 1s and 1h",
          "body.shape enum must be one of round, square; did you mean square?",
          "body.weight type must be a number",
          "body.made_at format must be a time such as 2026-01-31T12:00:00Z",
          "body.parts.0.count range must be between 1 and 100",
          "body.parts.1.count type must be a whole number",
          "body.parts.1.name required is required", "body.parts.2 type must be a JSON object",
          "body.tags type must be a list", "body.sizes.w/h type must be a whole number"));
}

TEST(ReadRequest, PointersAreRfc6901) {
  PutWidget w;
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const OperationInput input{.path = path, .body = R"({"name":"n","sizes":{"a/b~c":true}})"};
  const auto read = read_request(fields_of<PutWidget>(), &w, input);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().slug, "validation_failed");
  EXPECT_EQ(read.error().code, Errc::invalid_argument);
  EXPECT_EQ(read.error().fields.at(0).pointer, "/sizes/a~1b~0c");
  EXPECT_EQ(read.error().message, "body.sizes.a/b~c must be a whole number");
}

TEST(ReadRequest, StringsAreBoundedInBytesAndHoldNoNul) {
  EXPECT_THAT(problems_of_body(R"({"name":""})"),
              ElementsAre("body.name length must not be empty"));
  EXPECT_THAT(problems_of_body(R"({"name":"ääääääääa"})"),
              ElementsAre("body.name length must have 1 to 16 bytes"));
  EXPECT_THAT(problems_of_body(R"({"name":"ääääääää"})"), IsEmpty());
  EXPECT_THAT(problems_of_body(R"({"name":"a\u0000b"})"),
              ElementsAre("body.name format must not contain U+0000"));
  EXPECT_THAT(problems_of_body(R"({"name":"n","sizes":{"\u0000":1}})"),
              ElementsAre(testing::EndsWith("must not have U+0000 in its name")));
  EXPECT_THAT(problems_of_body(R"({"name":"n","data":"a\u0000b"})"), IsEmpty());
}

TEST(ReadRequest, ListsAndJsonAreBounded) {
  EXPECT_THAT(problems_of_body(R"({"name":"n","tags":["1","2","3","4","5"]})"),
              ElementsAre("body.tags length must have at most 4 items"));
  const std::string json = R"({"name":"n","data":")" + std::string(80, 'x') + "\"}";
  EXPECT_THAT(problems_of_body(json), ElementsAre("body.data length must have at most 64 bytes"));
}

TEST(ReadRequest, WholeNumbersMayBeWrittenWithAPoint) {
  PutWidget w;
  ASSERT_THAT(problems_of_body(w, R"({"name":"n","sizes":{"a":5.0,"b":1e3,"c":-7}})"), IsEmpty());
  EXPECT_EQ(w.sizes, (std::map<std::string, std::int64_t>{{"a", 5}, {"b", 1000}, {"c", -7}}));
}

TEST(ReadRequest, AnEmptyBodyIsAnEmptyObject) {
  EXPECT_THAT(problems_of_body(""), ElementsAre("body.name required is required"));
}

TEST(ReadRequest, ABodyThatIsNoObjectIsSaidToBeNone) {
  EXPECT_THAT(problems_of_body("[1]"), ElementsAre("body type must be a JSON object"));
  EXPECT_THAT(problems_of_body("{"), ElementsAre("json_invalid"));
}

TEST(ReadRequest, PathValuesAreChecked) {
  PutWidget w;
  const std::array<PathParam, 1> too_long{{{"id", "123456789"}}};
  EXPECT_THAT(problems(w, {.path = too_long, .body = R"({"name":"n"})"}),
              ElementsAre("path.id length must have 1 to 8 bytes"));
  const std::array<PathParam, 1> not_utf8{{{"id", "\xff"}}};
  EXPECT_THAT(problems(w, {.path = not_utf8, .body = R"({"name":"n"})"}),
              ElementsAre("path.id format must be UTF-8"));
  EXPECT_THAT(problems(w, {.body = R"({"name":"n"})"}),
              ElementsAre("path.id required is required"));
}

TEST(ReadRequest, ReadsQueryParameters) {
  test::ListWidgets list;
  EXPECT_THAT(problems_of_query(list, "limit=7&cursor=a%2Bb+c&shapes=round,square"), IsEmpty());
  EXPECT_EQ(list.limit, 7);
  EXPECT_EQ(list.cursor, "a+b c");
  EXPECT_THAT(list.shapes, ElementsAre(test::Shape::round, test::Shape::square));
  EXPECT_THAT(problems_of_query(list, "&&"), IsEmpty());
  EXPECT_THAT(problems_of_query(list, "shapes="), IsEmpty());
  EXPECT_THAT(list.shapes, IsEmpty());
}

TEST(ReadRequest, RefusesBadQueryParameters) {
  EXPECT_THAT(problems_of_query("limit=1&limit=2"),
              ElementsAre("query.limit format is given twice"));
  EXPECT_THAT(
      problems_of_query("limt=1"),
      ElementsAre("query.limt unknown is not a parameter of this request; did you mean limit?"));
  EXPECT_THAT(problems_of_query("limit=0"),
              ElementsAre("query.limit range must be between 1 and 1000"));
  EXPECT_THAT(problems_of_query("limit"), ElementsAre("query.limit type must be a whole number"));
  EXPECT_THAT(problems_of_query("limit=99999999999999999999"),
              ElementsAre("query.limit type must be a whole number"));
  EXPECT_THAT(problems_of_query("cursor=%zz"),
              ElementsAre("query.cursor format has a bad percent-escape"));
  EXPECT_THAT(problems_of_query("%zz=1"),
              ElementsAre("query format has a bad percent-escape in a name"));
  EXPECT_THAT(problems_of_query("cursor=%00"),
              ElementsAre("query.cursor format must not contain U+0000"));
  EXPECT_THAT(problems_of_query("cursor=%ff"), ElementsAre("query.cursor format must be UTF-8"));
  EXPECT_THAT(problems_of_query("shapes=round,oval"),
              ElementsAre("query.shapes enum must be one of round, square"));
}

TEST(ReadRequest, AnEntityTagIsTheVersionInIt) {
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const auto version = [&](std::string_view header) {
    PutWidget w;
    w.if_version = -1;
    const OneHeader headers("If-Match", header);
    EXPECT_THAT(problems(w, {.path = path, .body = R"({"name":"n"})", .headers = &headers}),
                IsEmpty())
        << header;
    return w.if_version;
  };
  EXPECT_EQ(version("5"), 5);
  EXPECT_EQ(version("\"5\""), 5);
  EXPECT_EQ(version("W/\"5\""), 5);
  EXPECT_EQ(version("*"), std::nullopt);
  EXPECT_EQ(version(""), -1);

  PutWidget w;
  const OneHeader headers("If-Match", "\"5\", \"6\"");
  EXPECT_THAT(problems(w, {.path = path, .body = R"({"name":"n"})", .headers = &headers}),
              ElementsAre("header.If-Match type must be a whole number"));
}

TEST(ReadRequest, ARawBodyIsKeptAsItIs) {
  test::PutImage put;
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const std::string bytes("\0\xff{", 3);
  ASSERT_THAT(problems(put, {.path = path, .body = bytes}), IsEmpty());
  EXPECT_EQ(put.image, bytes);
  EXPECT_THAT(problems(put, {.path = path}), ElementsAre("body required is required"));
  EXPECT_THAT(problems(put, {.path = path, .body = std::string(1025, 'x')}),
              ElementsAre("body length must have 1 to 1024 bytes"));
}

TEST(ReadRequest, ABodyWithoutMeaningIsRefused) {
  test::NoFields none;
  EXPECT_THAT(problems(none, {}), IsEmpty());
  EXPECT_THAT(problems(none, {.body = " {}\n"}), IsEmpty());
  EXPECT_THAT(problems(none, {.body = R"({"ttl":5})"}),
              ElementsAre("body unknown must be empty: this operation takes no body"));
  EXPECT_THAT(problems(none, {.query = "a=1"}),
              ElementsAre("query.a unknown is not a parameter of this request"));
}

TEST(ReadRequest, ContentOfAGetMeansNothing) {
  test::ListWidgets list;
  const OperationInfo info{.id = "widgets.list", .method = Method::get, .path = "/", .summary = "List"};
  EXPECT_TRUE(read_request(info, fields_of<test::ListWidgets>(), &list, {.body = "not json"}));
}

TEST(ReadRequest, ErrorsAreBoundedWhateverIsSent) {
  std::string body = R"({"name":"n","sizes":{)";
  const std::string key(2000, 'k');
  for (int i = 0; i < 200; ++i) body += "\"" + std::to_string(i) + key + "\":true,";
  body += R"("z":1}})";
  const auto lines = problems_of_body(body);
  EXPECT_EQ(lines.size(), kFieldErrorsMax);
  for (const std::string& line : lines) EXPECT_EQ(line, "body.sizes type must be a whole number");
}

TEST(ReadRequest, ErrorsNeverRepeatValues) {
  const auto lines = problems_of_body(R"({"name":"hunter2 is far too long for a name",
      "shape":"hunter2","ttl":"hunter2","made_at":"hunter2","weight":"hunter2","data":1})");
  EXPECT_EQ(lines.size(), 5u);
  for (const std::string& line : lines) EXPECT_THAT(line, testing::Not(HasSubstr("hunter2")));
}

TEST(WriteObject, WritesWhatIsThere) {
  test::Widget widget{.id = "w\"1",
                      .name = "ä",
                      .ttl = Duration(250),
                      .note = {},
                      .parts = {{.name = "a", .count = 2}}};
  std::string out = "x";
  write_object(out, fields_of<test::Widget>(), &widget);
  EXPECT_EQ(out, R"(x{"id":"w\"1","name":"ä","ttl":0.25,"parts":[{"name":"a","count":2}]})");
  widget.note = "hi";
  widget.ttl = Duration(3'600'000);
  widget.parts.clear();
  out.clear();
  write_object(out, fields_of<test::Widget>(), &widget);
  EXPECT_EQ(out, R"({"id":"w\"1","name":"ä","ttl":3600,"note":"hi","parts":[]})");
}

TEST(WriteObject, WhatIsWrittenIsReadBack) {
  PutWidget in;
  ASSERT_THAT(problems_of_body(in, R"({"name":"gear","shape":"round","ttl":1.001,"weight":0.1,
      "made_at":"2026-01-31T12:00:00.250Z","data":[1],"parts":[{"name":"a"}],"tags":["x"],
      "sizes":{"w":3}})"),
              IsEmpty());
  std::string first;
  write_object(first, fields_of<PutWidget>(), &in);
  PutWidget again;
  ASSERT_THAT(problems_of_body(again, first), IsEmpty());
  std::string second;
  write_object(second, fields_of<PutWidget>(), &again);
  EXPECT_EQ(first, second);
  EXPECT_THAT(first, HasSubstr(R"("ttl":1.001)"));
  EXPECT_THAT(first, HasSubstr(R"("made_at":"2026-01-31T12:00:00.250Z")"));
}

}  // namespace
}  // namespace redoubt::operations
