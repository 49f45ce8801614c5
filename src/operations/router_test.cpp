#include "operations/router.hpp"

#include "tests/support/example_operations.hpp"

#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    test::register_widgets(registry_);
    router_.emplace(registry_);
  }

  // "widgets.put id=w1", "405 DELETE, PUT", "404" or "400".
  std::string route(Method method, std::string_view path) {
    RouteMatch& match = used_;
    router_->match(method, path, match);
    switch (match.status) {
      case RouteMatch::Status::not_found:
        return "404";
      case RouteMatch::Status::bad_path:
        return "400";
      case RouteMatch::Status::method_not_allowed:
        return "405 " + std::string(match.allow);
      case RouteMatch::Status::found:
        break;
    }
    std::string out(match.operation->info.id);
    for (const PathParam& param : match.params()) {
      out += " " + std::string(param.name) + "=" + param.value;
    }
    return out;
  }

  Registry registry_;
  std::optional<Router> router_;
  RouteMatch used_;  // By the request before, as a server's is.
};

TEST_F(RouterTest, FindsFixedPathsAndParameters) {
  EXPECT_EQ(route(Method::get, "/api/v1/widgets"), "widgets.list");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/w1"), "widgets.put id=w1");
  EXPECT_EQ(route(Method::del, "/api/v1/widgets/w1"), "widgets.delete id=w1");
  EXPECT_EQ(route(Method::get, "/api/v1/widgets/w1/image"), "widgets.get_image id=w1");
}

TEST_F(RouterTest, ALiteralBeatsAParameter) {
  EXPECT_EQ(route(Method::post, "/api/v1/widgets/ping"), "ping");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/ping"), "405 POST");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/%70ing"), "405 POST");
  EXPECT_EQ(route(Method::get, "/api/v1/widgets/ping/image"), "widgets.get_image id=ping");
}

TEST_F(RouterTest, DecodesSegmentsAfterSplitting) {
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/a%2Fb"), "widgets.put id=a/b");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/a%20%C3%A4+"), "widgets.put id=a \xc3\xa4+");
  EXPECT_EQ(route(Method::get, "/api/v1/%77idgets"), "widgets.list");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/%zz"), "400");
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/%2"), "400");
}

TEST_F(RouterTest, OddPathsMatchNothing) {
  for (const std::string_view path :
       {"/", "//", "/api/v1/widgets/", "/api/v1//widgets", "/api/v1/widgets/../widgets",
        "/api/v1/widgets/..", "/api/v1/widgets/%2e%2e", "/api/v1/./widgets", "/api/v1",
        "/api/v1/widgets/a/b", "/API/v1/widgets"}) {
    EXPECT_EQ(route(Method::get, path), "404") << path;
  }
  EXPECT_EQ(route(Method::get, ""), "400");
  EXPECT_EQ(route(Method::get, "api/v1/widgets"), "400");
  EXPECT_EQ(route(Method::options, "*"), "400");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "/a";
  EXPECT_EQ(route(Method::get, deep), "404");
}

TEST_F(RouterTest, SaysWhichMethodsThereAre) {
  EXPECT_EQ(route(Method::post, "/api/v1/widgets"), "405 GET, HEAD");
  EXPECT_EQ(route(Method::get, "/api/v1/widgets/w1"), "405 PUT, DELETE");
  EXPECT_EQ(route(Method::options, "/api/v1/widgets/w1/image"), "405 GET, HEAD, PUT");
}

TEST_F(RouterTest, GetAnswersHead) {
  EXPECT_EQ(route(Method::head, "/api/v1/widgets"), "widgets.list");
  EXPECT_EQ(route(Method::head, "/api/v1/widgets/w1/image"), "widgets.get_image id=w1");
  EXPECT_EQ(route(Method::head, "/api/v1/widgets/w1"), "405 PUT, DELETE");
}

TEST_F(RouterTest, LongValuesAreWhole) {
  const std::string id(10'000, 'x');
  EXPECT_EQ(route(Method::put, "/api/v1/widgets/" + id), "widgets.put id=" + id);
}

}  // namespace
}  // namespace redoubt::operations
