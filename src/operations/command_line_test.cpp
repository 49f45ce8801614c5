#include "operations/command_line.hpp"

#include "tests/support/example_operations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using testing::HasSubstr;

Result<std::string> read_file(std::string_view path) {
  if (path == "picture.png") return std::string("png\0png", 7);
  if (path == "parts.json") return std::string(R"([{"name":"a"}])");
  return fail(Error(Errc::not_found, "file_not_found", "no file " + std::string(path)));
}

class CommandLine : public testing::Test {
 protected:
  CommandLine() { test::register_widgets(registry_); }

  Result<CommandCall> call(std::string_view id, std::vector<std::string_view> arguments) {
    return make_call(*registry_.find(id), arguments, read_file);
  }
  std::string problem(std::string_view id, std::vector<std::string_view> arguments) {
    const auto made = call(id, std::move(arguments));
    return made ? "made a call" : made.error().message;
  }

  Registry registry_;
};

TEST_F(CommandLine, PutsEachFieldWhereItBelongs) {
  const auto made = call("widgets.put", {"id=a/b", "name=gear 1", "ttl=1m", "weight=2.5",
                                         "data={\"a\":1}", "parts=[{\"name\":\"p\"}]", "tags=x,2",
                                         "sizes={\"w\":3}", "dry_run=true", "if_version=7"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->method, Method::put);
  EXPECT_EQ(made->target, "/api/v1/widgets/a%2Fb?dry_run=true");
  EXPECT_THAT(made->headers, testing::ElementsAre(testing::Pair("If-Match", "7")));
  EXPECT_EQ(made->content_type, "application/json");
  EXPECT_EQ(made->body, R"({"name":"gear 1","ttl":"1m","weight":2.5,"data":{"a":1},)"
                        R"("parts":[{"name":"p"}],"tags":["x","2"],"sizes":{"w":3}})");
}

TEST_F(CommandLine, ReadsFilesForJsonAndRawBodies) {
  const auto image = call("widgets.put_image", {"id=w1", "image=@picture.png"});
  ASSERT_TRUE(image);
  EXPECT_EQ(image->body.size(), 7u);
  EXPECT_EQ(image->content_type, "application/octet-stream");
  const auto parts = call("widgets.put", {"id=w1", "name=@gear", "parts=@parts.json"});
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->body, R"({"name":"@gear","parts":[{"name":"a"}]})");
  EXPECT_EQ(problem("widgets.put_image", {"id=w1", "image=@none"}), "no file none");
}

TEST_F(CommandLine, SendsAKeyAsItIsGiven) {
  auto made = call("widgets.put", {"id=w1", "name=gear", "if_version=7"});
  ASSERT_TRUE(made);
  ASSERT_TRUE(set_idempotency_key(*made, "8e03978e-40d5"));
  EXPECT_THAT(made->headers,
              testing::ElementsAre(testing::Pair("If-Match", "7"),
                                   testing::Pair("Idempotency-Key", "8e03978e-40d5")));
  EXPECT_TRUE(set_idempotency_key(*made, "\"what ada asked for\""));
}

TEST_F(CommandLine, SaysWhatIsWrongWithAKey) {
  const auto problem_of = [](std::string_view key) {
    CommandCall call;
    const auto set = set_idempotency_key(call, key);
    EXPECT_TRUE(call.headers.empty());
    return set ? "none" : set.error().message;
  };
  EXPECT_EQ(problem_of(""), "--idempotency-key must have 1 to 128 characters");
  EXPECT_EQ(problem_of(std::string(129, 'k')), "--idempotency-key must have 1 to 128 characters");
  EXPECT_THAT(problem_of("two words"), HasSubstr("--idempotency-key must be a quoted string"));
  EXPECT_THAT(problem_of("k\r\nX: y"), HasSubstr("--idempotency-key must be a quoted string"));
}

TEST_F(CommandLine, SaysEverythingThatIsWrong) {
  EXPECT_EQ(problem("widgets.put", {"nmae=x", "ttl=soon", "weight=heavy", "ttl=1s", "loose"}),
            "nmae is not a field; did you mean name?; ttl must be a duration such as 30s; "
            "weight must be a number; ttl is given twice; loose must be written name=value; "
            "id is required; name is required");
  EXPECT_EQ(problem("widgets.put", {"id=a", "name=x", "parts=a,b"}), "parts must be JSON");
  EXPECT_EQ(problem("ping", {"a=1"}), "a is not a field: ping takes none");
  EXPECT_EQ(problem("widgets.put", {"id=..", "name=x"}), "id cannot be part of a path");
  EXPECT_EQ(problem("widgets.put", {"id=a", "name=x", "if_version=1\r\nX: y"}),
            "if_version must be one line");
}

TEST_F(CommandLine, FindsTheNearestOperation) {
  EXPECT_EQ((*find_operation(registry_, "widgets.put"))->info.id, "widgets.put");
  const auto typo = find_operation(registry_, "widgets.lst");
  ASSERT_FALSE(typo);
  EXPECT_EQ(typo.error().message, "there is no operation widgets.lst; did you mean widgets.list?");
}

TEST_F(CommandLine, HelpSaysWhatTheDeclarationSays) {
  const std::string help = operation_help(*registry_.find("widgets.put"));
  EXPECT_THAT(help, HasSubstr("widgets.put: Put a widget\nPUT /api/v1/widgets/{id}\n"));
  EXPECT_THAT(help, HasSubstr("shape=round|square"));
  EXPECT_THAT(help, HasSubstr("tags=A,B,C"));
  EXPECT_THAT(help, HasSubstr("parts=JSON|@FILE"));
  EXPECT_THAT(help, HasSubstr("How long it lasts. (1s to 1h; default 30s)"));
  EXPECT_THAT(help, HasSubstr("What it is called. (required; 1 to 16 bytes; for example gear)"));
  EXPECT_THAT(help, HasSubstr("Usage: redoubt call widgets.put id=TEXT name=TEXT "
                              "[--idempotency-key KEY]\n"));
  EXPECT_THAT(operation_help(*registry_.find("widgets.list")),
              testing::Not(HasSubstr("--idempotency-key")));
}

TEST_F(CommandLine, ListsOperationsByName) {
  EXPECT_EQ(operation_list(registry_),
            "ping               Answer\n"
            "widgets.delete     Delete a widget\n"
            "widgets.get_image  Get the picture of a widget\n"
            "widgets.list       List widgets\n"
            "widgets.put        Put a widget\n"
            "widgets.put_image  Put the picture of a widget\n");
}

}  // namespace
}  // namespace redoubt::operations
