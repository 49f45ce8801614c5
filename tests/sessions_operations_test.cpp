// The operations of sessions over the real service: what a client sends and what it sees.
#include "operations/sessions_operations.hpp"

#include "base/json.hpp"
#include "tests/support/call_operation.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <gmock/gmock.h>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class OneHeader final : public HeaderSource {
 public:
  OneHeader(std::string name, std::string value)
      : name_(std::move(name)), value_(std::move(value)) {}
  std::string_view header(std::string_view name) const override {
    return name == name_ ? std::string_view(value_) : std::string_view();
  }

 private:
  std::string name_;
  std::string value_;
};

class SessionsOperations : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    register_sessions(registry_, *sessions_);
  }

  OperationOutput call(const Context& context, std::string_view id, const OperationInput& input) {
    OperationOutput output;
    test::call_operation(registry_, context, id, input, output);
    return output;
  }
  OperationOutput call(std::string_view id, std::string body) {
    return call(acme_, id, {.body = body});
  }
  OperationOutput call_on(std::string_view id, std::string session, std::string body = {},
                          std::string if_match = {}) {
    const std::array<PathParam, 1> path{{{"id", std::move(session)}}};
    const OneHeader headers("If-Match", std::move(if_match));
    return call(acme_, id, {.path = path, .body = body, .headers = &headers});
  }

  static json::object body_of(const OperationOutput& output) {
    EXPECT_FALSE(output.error) << output.error->message;
    auto value = parse_json(output.body);
    EXPECT_TRUE(value) << output.body;
    return value && value->is_object() ? value->get_object() : json::object();
  }
  static std::string text(const json::object& object, std::string_view member) {
    const json::value* value = object.if_contains(member);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
  }
  static std::string slug(const OperationOutput& output) {
    return output.error ? std::string(slug_of(*output.error)) : "ok";
  }

  // A request that came with a session's token.
  struct Bearer {
    explicit Bearer(VerifiedSession verified) : session(std::move(verified)) {
      caller.kind = Caller::Kind::session;
      caller.tenant = session.session->tenant;
    }
    VerifiedSession session;
    Caller caller;
    Context context{.caller = caller,
                    .request_id = "r",
                    .client_address = "127.0.0.1",
                    .user_agent = "t",
                    .session = &session};
  };

  Registry registry_;
};

TEST_F(SessionsOperations, CreateShowsTheTokenOnceAndVerifyShowsTheSession) {
  const auto created =
      call("sessions.create", R"({"user":"alice","agent":"a1","device":"phone",)"
                              R"("data":{"plan":"pro","n":[1,2]},"idle_ttl":"30m"})");

  EXPECT_EQ(created.status, 201);
  EXPECT_THAT(created.headers, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(created.headers, HasSubstr("ETag: \"1\"\r\n"));
  const json::object issued = body_of(created);
  const std::string token = text(issued, "token");
  EXPECT_THAT(created.headers,
              HasSubstr("Location: /api/v1/sessions/" + text(issued, "id") + "\r\n"));

  const auto verified = call("sessions.verify", R"({"token":")" + token + R"("})");

  EXPECT_EQ(verified.status, 200);
  EXPECT_THAT(verified.headers, HasSubstr("Cache-Control: no-store\r\n"));
  const json::object session = body_of(verified);
  EXPECT_EQ(text(session, "id"), text(issued, "id"));
  EXPECT_EQ(text(session, "user"), "alice");
  EXPECT_EQ(text(session, "agent"), "a1");
  EXPECT_EQ(text(session, "device"), "phone");
  EXPECT_EQ(text(session, "address"), "127.0.0.1");
  EXPECT_EQ(to_json(session.at("data")), R"({"plan":"pro","n":[1,2]})");
  EXPECT_EQ(session.at("version"), 1);
  EXPECT_EQ(session.at("idle_ttl"), 1800);
  EXPECT_EQ(text(session, "created_at"), "2027-01-15T08:00:00.000Z");
  EXPECT_EQ(text(session, "expires_at"), "2027-01-15T08:30:00.000Z");
  EXPECT_EQ(text(session, "absolute_expires_at"), "2027-01-16T08:00:00.000Z");
  EXPECT_FALSE(session.contains("token"));
}

TEST_F(SessionsOperations, BadInputNamesTheField) {
  for (const auto& [body, location] : std::vector<std::pair<std::string, std::string>>{
           {R"({})", "body.user"},
           {R"({"user":""})", "body.user"},
           {R"({"user":"*"})", "body.user"},
           {R"({"user":"a\u0000b"})", "body.user"},
           {R"({"user":"a\r\nb"})", "body.user"},
           {R"({"user":"a","data":[1]})", "body.data"},
           {R"({"user":"a","idle_ttl":0})", "body.idle_ttl"},
           {R"({"user":"a","nope":1})", "body.nope"}}) {
    const auto refused = call("sessions.create", body);
    ASSERT_TRUE(refused.error) << body;
    EXPECT_EQ(refused.error->code, Errc::invalid_argument) << body;
    ASSERT_FALSE(refused.error->fields.empty()) << body;
    EXPECT_EQ(refused.error->fields[0].location, location) << body;
  }
}

TEST_F(SessionsOperations, GarbageIsOneAnswerWithoutTheRecord) {
  for (const std::string token : {"x", "rds_", "rdk_1_2_3", "' OR 1=1 --"}) {
    OperationOutput output;
    const std::string body = R"({"token":")" + token + R"("})";
    const Operation* verify = registry_.find("sessions.verify");
    ASSERT_TRUE(verify->now(acme_, {.body = body}, output)) << token;
    EXPECT_EQ(slug(output), "session_invalid");
  }
}

TEST_F(SessionsOperations, UpdateIsConditionalOnTheEntityTag) {
  const std::string id = create().session->id;

  const auto first = call_on("sessions.update", id, R"({"data":{"a":1}})", "\"1\"");
  const auto late = call_on("sessions.update", id, R"({"data":{"a":2}})", "\"1\"");
  const auto any = call_on("sessions.update", id, R"({"data":{"b":3}})", "*");

  EXPECT_THAT(first.headers, HasSubstr("ETag: \"2\"\r\n"));
  EXPECT_EQ(slug(late), "version_mismatch");
  EXPECT_EQ(to_json(body_of(any).at("data")), R"({"a":1,"b":3})");
  EXPECT_THAT(call_on("sessions.get", id).headers, HasSubstr("ETag: \"3\"\r\n"));
}

TEST_F(SessionsOperations, ExtendRotateAndRevokeDoWhatTheySay) {
  const IssuedSession issued = create();

  const auto extended = call_on("sessions.extend", issued.session->id, R"({"idle_ttl":"2h"})");
  EXPECT_EQ(body_of(extended).at("idle_ttl"), 7200);

  const json::object rotated = body_of(call_on("sessions.rotate", issued.session->id));
  EXPECT_FALSE(valid(issued.token));
  EXPECT_TRUE(valid(text(rotated, "token")));

  const auto revoked = call_on("sessions.revoke", text(rotated, "id"));
  EXPECT_EQ(revoked.status, 204);
  EXPECT_TRUE(revoked.body.empty());
  EXPECT_FALSE(valid(text(rotated, "token")));
  EXPECT_EQ(slug(call_on("sessions.revoke", text(rotated, "id"))), "session_not_found");
}

TEST_F(SessionsOperations, ASessionReadsAndEndsItself) {
  const IssuedSession issued = create();
  const Bearer me(*authenticate(issued.token));

  OperationOutput output;
  ASSERT_TRUE(registry_.find("sessions.current")->now(me.context, {}, output));
  EXPECT_EQ(text(body_of(output), "id"), issued.session->id);
  EXPECT_THAT(output.headers, HasSubstr("Cache-Control: no-store\r\n"));

  EXPECT_EQ(call(me.context, "sessions.logout", {}).status, 204);
  EXPECT_FALSE(valid(issued.token));
}

TEST_F(SessionsOperations, AnApiKeyHasNoCurrentSession) {
  EXPECT_EQ(slug(call(acme_, "sessions.current", {})), "session_not_found");
  EXPECT_EQ(slug(call(acme_, "sessions.logout", {})), "session_not_found");
}

TEST_F(SessionsOperations, OnlyTheOperationsAboutItselfAreForASession) {
  for (const Operation& operation : registry_.all()) {
    const bool about_itself =
        operation.info.id == "sessions.current" || operation.info.id == "sessions.logout";
    EXPECT_EQ(operation.info.session_may, about_itself) << operation.info.id;
    EXPECT_FALSE(operation.info.is_public) << operation.info.id;
    EXPECT_EQ(operation.info.area, Area::sessions) << operation.info.id;
  }
}

TEST_F(SessionsOperations, ListsAUsersSessionsInPagesAndEndsAllButOne) {
  const IssuedSession kept = create();
  clock_.advance(1s);
  create();
  clock_.advance(1s);
  create();
  const std::array<PathParam, 1> alice{{{"user", "alice"}}};

  const json::object page =
      body_of(call(acme_, "sessions.list", {.path = alice, .query = "limit=2"}));
  EXPECT_EQ(page.at("data").as_array().size(), 2u);
  EXPECT_EQ(page.at("has_more"), true);
  const std::string query = "limit=2&cursor=" + text(page, "next_cursor");
  const json::object rest = body_of(call(acme_, "sessions.list", {.path = alice, .query = query}));
  EXPECT_EQ(rest.at("data").as_array().size(), 1u);
  EXPECT_EQ(rest.at("has_more"), false);
  EXPECT_FALSE(rest.contains("next_cursor"));

  const std::string but_one = "except=" + kept.session->id;
  const auto ended = call(acme_, "sessions.revoke_all", {.path = alice, .query = but_one});
  EXPECT_EQ(body_of(ended).at("revoked"), 2);
  EXPECT_TRUE(valid(kept.token));
}

TEST_F(SessionsOperations, AnotherTenantSeesNothing) {
  const IssuedSession issued = create();
  const std::array<PathParam, 1> path{{{"id", issued.session->id}}};
  for (const auto& [id, body] :
       std::vector<std::pair<std::string, std::string>>{{"sessions.get", ""},
                                                        {"sessions.update", R"({"data":{}})"},
                                                        {"sessions.extend", R"({"idle_ttl":60})"},
                                                        {"sessions.rotate", ""},
                                                        {"sessions.revoke", ""}}) {
    EXPECT_EQ(slug(call(globex_, id, {.path = path, .body = body})), "session_not_found") << id;
  }
  EXPECT_TRUE(valid(issued.token));
}

}  // namespace
}  // namespace redoubt::operations
