#include "operations/operation.hpp"

#include "tests/support/call_operation.hpp"
#include "tests/support/context.hpp"
#include "tests/support/example_operations.hpp"
#include "tests/support/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace redoubt::operations {
namespace {

using testing::HasSubstr;

OperationInfo info_of(Access access) {
  return {.id = "cache.put", .path = "/cache", .summary = "Put", .area = Area::cache, .access = access};
}
Caller key_of(Role role, AreaSet areas, std::string tenant = "acme") {
  Caller caller = test::admin_of(std::move(tenant));
  caller.role = role;
  caller.areas = areas;
  return caller;
}
constexpr auto kCache = static_cast<AreaSet>(Area::cache);
constexpr auto kSessions = static_cast<AreaSet>(Area::sessions);

// The slug of the refusal; "" when it may.
std::string refusal(const OperationInfo& info, const Caller& caller) {
  const auto allowed = authorize(info, caller);
  return allowed ? std::string() : std::string(slug_of(allowed.error()));
}

TEST(Authorize, EachAccessNeedsItsRole) {
  EXPECT_EQ(refusal(info_of(Access::read), key_of(Role::read_only, kCache)), "");
  EXPECT_EQ(refusal(info_of(Access::write), key_of(Role::read_only, kCache)), "role_missing");
  EXPECT_EQ(refusal(info_of(Access::write), key_of(Role::service, kCache)), "");
  EXPECT_EQ(refusal(info_of(Access::admin), key_of(Role::service, kCache)), "role_missing");
  EXPECT_EQ(refusal(info_of(Access::admin), key_of(Role::admin, kCache)), "");
  EXPECT_EQ(refusal(info_of(Access::read), key_of(Role::none, kCache)), "role_missing");
}

TEST(Authorize, ScopesBindAllButAdmins) {
  EXPECT_EQ(refusal(info_of(Access::read), key_of(Role::read_only, kSessions)), "scope_missing");
  EXPECT_EQ(refusal(info_of(Access::write), key_of(Role::service, kSessions)), "scope_missing");
  EXPECT_EQ(refusal(info_of(Access::write), key_of(Role::admin, 0)), "");
}

TEST(Authorize, SaysWhatIsMissing) {
  const auto role = authorize(info_of(Access::write), key_of(Role::read_only, kCache));
  EXPECT_EQ(role.error().code, Errc::permission_denied);
  EXPECT_EQ(role.error().message,
            "cache.put needs an API key with role service; this one has role read_only");
  const auto scope = authorize(info_of(Access::write), key_of(Role::service, kSessions));
  EXPECT_EQ(scope.error().message, "cache.put needs an API key with scope cache");
}

TEST(Authorize, InstanceWideOperationsAreForAdminsOfTheHomeTenant) {
  OperationInfo info = info_of(Access::read);
  info.home_tenant_only = true;
  EXPECT_EQ(refusal(info, key_of(Role::service, kAllAreas, "default")), "role_missing");
  EXPECT_EQ(refusal(info, key_of(Role::admin, kAllAreas, "acme")), "home_tenant_only");
  EXPECT_EQ(refusal(info, key_of(Role::admin, kAllAreas, "default")), "");
}

TEST(Authorize, SessionsMayOnlyWhatIsMeantForThem) {
  Caller session;
  session.kind = Caller::Kind::session;
  session.tenant = "acme";
  OperationInfo info = info_of(Access::write);
  EXPECT_EQ(refusal(info, session), "role_missing");
  info.session_may = true;
  EXPECT_EQ(refusal(info, session), "");
}

TEST(Authorize, StrangersMayOnlyWhatIsPublic) {
  OperationInfo info = info_of(Access::read);
  info.session_may = true;
  const auto refused = authorize(info, Caller{});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unauthenticated);
  info.is_public = true;
  EXPECT_EQ(refusal(info, Caller{}), "");
}

TEST(OperationOutput, AHeaderNeverSplits) {
  OperationOutput out;
  out.add_header("X-Name", "a\r\nSet-Cookie: b\0c\x7f\t\xc3\xa4");
  EXPECT_EQ(out.headers, "X-Name: a%0D%0ASet-Cookie: b\r\n");
  out.clear();
  out.add_header("X-Name", std::string_view("a\0b\x7f\t\xc3\xa4", 7));
  EXPECT_EQ(out.headers, "X-Name: a%00b%7F\t\xc3\xa4\r\n");
  out.clear();
  out.add_header("ETag", std::int64_t{-7});
  EXPECT_EQ(out.headers, "ETag: -7\r\n");
}

TEST(HeaderName, IsAToken) {
  static_assert(is_header_name("X-RateLimit-Limit"));
  static_assert(is_header_name("!#$%&'*+-.^_`|~09AZaz"));
  static_assert(!is_header_name("X Name"));
  static_assert(!is_header_name("X:"));
  static_assert(!is_header_name(""));
  static_assert(!is_header_name("N\xc3\xa4me"));
}

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { test::register_widgets(registry_); }

  OperationOutput run(std::string_view id, const OperationInput& input) {
    OperationOutput output;
    test::call_operation(registry_, context_, id, input, output);
    return output;
  }

  Registry registry_;
  Caller caller_ = test::admin_of("acme");
  Context context_ = test::context_of(caller_);
};

TEST_F(RegistryTest, RunsAnOperationFromInputToOutput) {
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const auto out = run("widgets.put", {.path = path, .body = R"({"name":"gear"})"});
  ASSERT_FALSE(out.error);
  EXPECT_EQ(out.status, 200);
  EXPECT_EQ(out.body, R"({"id":"w1","name":"gear","ttl":30,"parts":[]})");
}

TEST_F(RegistryTest, ReportsBadInputAndFailures) {
  const std::array<PathParam, 1> path{{{"id", "none"}}};
  const auto bad = run("widgets.put", {.path = path, .body = "{}"});
  ASSERT_TRUE(bad.error);
  EXPECT_EQ(bad.error->slug, "validation_failed");
  const auto missing = run("widgets.delete", {.path = path});
  ASSERT_TRUE(missing.error);
  EXPECT_EQ(missing.error->slug, "widget_not_found");
}

TEST_F(RegistryTest, ARawReplyHasItsOwnType) {
  const std::array<PathParam, 1> path{{{"id", "w1"}}};
  const auto out = run("widgets.get_image", {.path = path});
  EXPECT_EQ(out.content_type, "image/png");
  EXPECT_EQ(out.body, "png");
  EXPECT_EQ(run("widgets.delete", {.path = path}).status, 204);
}

TEST_F(RegistryTest, AnswersAtOnceWhenItCan) {
  OperationSpec<test::WidgetId, NoReply> spec{
      .info = test::widget_info("widgets.touch", Method::post, "/api/v1/widgets/{id}/touch",
                                "Touch a widget", Access::write),
      .run = test::delete_widget};
  spec.now = [](const Context&, const test::WidgetId& request) -> std::optional<Result<NoReply>> {
    if (request.id == "slow") return std::nullopt;
    return NoReply{};
  };
  registry_.add(std::move(spec));
  const Operation* touch = registry_.find("widgets.touch");
  OperationOutput out;
  const std::array<PathParam, 1> fast{{{"id", "w1"}}};
  EXPECT_TRUE(touch->now(context_, {.path = fast}, out));
  EXPECT_EQ(out.status, 204);
  const std::array<PathParam, 1> slow{{{"id", "slow"}}};
  EXPECT_FALSE(touch->now(context_, {.path = slow}, out));
  EXPECT_TRUE(touch->now(context_, {}, out));
  EXPECT_EQ(out.error->slug, "validation_failed");
}

using RegistryDeathTest = RegistryTest;

TEST_F(RegistryDeathTest, RefusesWhatCouldNotBeTold) {
  EXPECT_DEATH(test::register_widgets(registry_), "widgets.put is declared twice");
  OperationSpec<test::WidgetId, NoReply> same{
      .info = test::widget_info("other", Method::del, "/api/v1/widgets/{name}", "x", Access::read),
      .run = test::delete_widget};
  EXPECT_DEATH(registry_.add(same), "widgets.delete and other answer the same requests");
  same.info.path = "/api/v1/other/{name}";
  EXPECT_DEATH(registry_.add(same), "name.* is not a path field");
  same.info.path = "/api/v1/other";
  EXPECT_DEATH(registry_.add(same), "a path field is not in /api/v1/other");
}

TEST_F(RegistryDeathTest, RefusesAReplyThatNothingMakes) {
  struct Counted {
    explicit Counted(std::int64_t n) : number(n) {}
    std::int64_t number;
  };
  OperationSpec<test::WidgetId, NoReply, Counted> mute{
      .info = test::widget_info("count", Method::post, "/api/v1/widgets/{id}/count", "x",
                                Access::write),
      .run = [](const Context&, test::WidgetId) -> Task<Counted> { co_return Counted(1); }};
  EXPECT_DEATH(registry_.add(mute), "count: does not say how its reply is made");
}

}  // namespace
}  // namespace redoubt::operations
