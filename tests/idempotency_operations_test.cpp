// Idempotency keys over real operations: what is committed, and what a client is told.
#include "base/json.hpp"
#include "operations/sessions_operations.hpp"
#include "operations/tenants_operations.hpp"
#include "services/idempotency/service.hpp"
#include "services/tenants/service.hpp"
#include "tests/support/call_operation.hpp"
#include "tests/support/sessions_fixture.hpp"

#include <map>
#include <span>
#include <vector>

namespace redoubt::operations {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kProblem = "application/problem+json";
constexpr std::string_view kReplayed = "Idempotency-Replayed: true\r\n";

// Counts the units that write.
class CountingRecord final : public record::Record {
 public:
  explicit CountingRecord(record::Record& record) : record_(record) {}

  int writes = 0;

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    ++writes;
    return record_.write_unit(std::move(work));
  }
  Task<void> write_within(record::Reach reach,
                          std::function<Task<void>(record::Unit&)> work) override {
    ++writes;
    return record_.write_within(std::move(reach), std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    return record_.read_snapshot(std::move(work));
  }
  Task<void> read_tenant(std::string tenant,
                         std::function<Task<void>(sql::Transaction&)> work) override {
    return record_.read_tenant(std::move(tenant), std::move(work));
  }
  void subscribe(record::JournalListener listener) override {
    record_.subscribe(std::move(listener));
  }
  record::Status status() const override { return record_.status(); }
  void stop() override {}

 private:
  record::Record& record_;
};

class IdempotentOperations : public test::SessionsFixture {
 protected:
  void SetUp() override {
    SessionsFixture::SetUp();
    counting_ = std::make_unique<CountingRecord>(*record_);
    counted_sessions_ = worker(*counting_);
    const tenants::TenantParts parts{*counting_,     vault_,    clock_, random_,
                                     invalidations_, refusals_, stops_};
    tenants_ = tenants::make_tenants(parts);
    keys_ = tenants::make_api_keys(parts);
    idempotency_ = idempotency::make_idempotency({.record = *counting_,
                                                  .vault = vault_,
                                                  .clock = clock_,
                                                  .log = null_log(),
                                                  .metrics = metrics_},
                                                 24h);
    registry_.set_idempotency(*idempotency_);
    register_sessions(registry_, *counted_sessions_);
    register_tenants(registry_, *tenants_, *keys_);
  }
  void TearDown() override {
    registry_ = Registry();
    idempotency_.reset();
    keys_.reset();
    tenants_.reset();
    counted_sessions_.reset();
    SessionsFixture::TearDown();
  }

  OperationOutput call(const Context& context, std::string_view id, const OperationInput& input) {
    OperationOutput output;
    test::call_operation(registry_, context, id, input, output);
    return output;
  }
  OperationOutput keyed(std::string_view id, std::string_view key, std::string_view body = {}) {
    return call(acme_, id, {.body = body, .idempotency_key = key});
  }

  static std::string slug(const OperationOutput& output) {
    return output.error ? std::string(slug_of(*output.error)) : "ok";
  }
  static bool is_replayed(const OperationOutput& output) {
    return output.headers.find(kReplayed) != std::string::npos;
  }
  std::size_t sessions_of(std::string user) {
    const auto page = test::run(sessions_->list(acme_, std::move(user), 100, {}));
    return page->sessions.size();
  }

  Caller home_admin_ = test::admin_of("default");
  Context instance_admin_ = test::context_of(home_admin_);
  std::unique_ptr<CountingRecord> counting_;
  std::unique_ptr<Sessions> counted_sessions_;
  std::unique_ptr<Tenants> tenants_;
  std::unique_ptr<ApiKeys> keys_;
  std::unique_ptr<Idempotency> idempotency_;
  Registry registry_;
};

TEST_F(IdempotentOperations, ARepetitionIsGivenTheVeryAnswer) {
  const OperationOutput first = keyed("sessions.create", "k1", R"({"user":"ada"})");
  const OperationOutput again = keyed("sessions.create", "\"k1\"", R"({"user":"ada"})");

  ASSERT_EQ(slug(first), "ok");
  EXPECT_EQ(first.status, 201);
  EXPECT_FALSE(is_replayed(first));
  EXPECT_TRUE(is_replayed(again));
  EXPECT_EQ(again.status, first.status);
  EXPECT_EQ(again.body, first.body) << "the token is in it";
  EXPECT_EQ(again.content_type, first.content_type);
  EXPECT_EQ(again.headers, first.headers + std::string(kReplayed)) << "Location, ETag";
  EXPECT_EQ(sessions_of("ada"), 1u);
}

// Each operation that changes the record, in an order in which it can; none may take more than one
// unit, so its answer is in the unit with its effect.
TEST_F(IdempotentOperations, EveryAnswerIsCommittedWithItsEffect) {
  const std::string session = create("ada").session->id;
  const std::string other = create("eve").session->id;
  NewApiKey wanted;
  wanted.name = "a key";
  const auto key = test::run(keys_->create(acme_, wanted));
  ASSERT_TRUE(key);

  struct Call {
    std::string_view id;
    std::string param;
    std::string body;
    const Context* by;
  };
  const std::vector<Call> calls{
      {"sessions.create", "", R"({"user":"bob"})", &acme_},
      {"sessions.update", session, R"({"data":{"a":1}})", &acme_},
      {"sessions.extend", session, R"({"idle_ttl":"1h"})", &acme_},
      {"sessions.rotate", session, "", &acme_},
      {"sessions.revoke", other, "", &acme_},
      {"sessions.revoke_all", "bob", "", &acme_},
      {"api_keys.create", "", R"({"name":"one"})", &acme_},
      {"api_keys.create", "", R"({"name":"theirs","tenant":"acme"})", &instance_admin_},
      {"api_keys.rotate", key->key.id, "", &acme_},
      {"tenants.create", "", R"({"id":"initech","name":"Initech"})", &instance_admin_},
      {"tenants.disable", "initech", "", &instance_admin_},
      {"tenants.enable", "initech", "", &instance_admin_},
  };
  for (const Call& made : calls) {
    const std::string_view name = made.id == "sessions.revoke_all" ? "user" : "id";
    const std::array<PathParam, 1> params{{{name, made.param}}};
    const std::string idempotency_key = std::string(made.id) + made.by->caller.tenant;
    OperationInput input{.body = made.body, .idempotency_key = idempotency_key};
    if (!made.param.empty()) input.path = params;
    counting_->writes = 0;

    const OperationOutput first = call(*made.by, made.id, input);
    EXPECT_EQ(counting_->writes, 1) << made.id;
    const OperationOutput again = call(*made.by, made.id, input);

    EXPECT_EQ(counting_->writes, 1) << made.id;
    ASSERT_EQ(slug(first), "ok") << made.id << first.error->message << first.error->cause;
    EXPECT_TRUE(is_replayed(again)) << made.id << ' ' << slug(again);
    EXPECT_EQ(again.status, first.status) << made.id;
    EXPECT_EQ(again.body, first.body) << made.id;
  }
}

TEST_F(IdempotentOperations, RevokingAKeyIsCommittedWithItsAnswer) {
  NewApiKey wanted;
  wanted.name = "a key";
  const auto key = test::run(keys_->create(acme_, wanted));
  const std::array<PathParam, 1> params{{{"id", key->key.id}}};
  counting_->writes = 0;
  const OperationInput input{.path = params, .idempotency_key = "k1"};
  EXPECT_EQ(call(acme_, "api_keys.revoke", input).status, 204);
  const OperationOutput again = call(acme_, "api_keys.revoke", input);
  EXPECT_EQ(again.status, 204) << "and not 404, as without a key";
  EXPECT_TRUE(is_replayed(again));
  EXPECT_EQ(counting_->writes, 1);
}

TEST_F(IdempotentOperations, AnotherRequestUnderAUsedKeyIsRefused) {
  const std::string session = create("ada").session->id;
  const std::string other = create("ada").session->id;
  const auto update = [&](const std::string& id, std::string_view query, std::string_view body) {
    const std::array<PathParam, 1> params{{{"id", id}}};
    return call(acme_, "sessions.update",
                {.path = params, .query = query, .body = body, .idempotency_key = "k1"});
  };
  ASSERT_EQ(slug(update(session, "", R"({"data":{"a":1}})")), "ok");

  EXPECT_EQ(slug(update(session, "", R"({"data":{"a":2}})")), "idempotency_key_reused");
  EXPECT_EQ(slug(update(other, "", R"({"data":{"a":1}})")), "idempotency_key_reused");
  EXPECT_EQ(slug(update(session, "", R"({"data":{"a":1}})")), "ok");
  EXPECT_EQ(update(other, "", R"({"data":{"a":1}})").status, 422);
}

// Both tokens are the user's, and nothing else in the requests says which session is meant.
TEST_F(IdempotentOperations, OfTwoSessionsOfAUserEachLogsOutItself) {
  const auto log_out = [&](const IssuedSession& session) {
    Caller caller;
    caller.kind = Caller::Kind::session;
    caller.tenant = session.session->tenant;
    caller.principal = "user:ada";
    caller.session_id = session.session->id;
    const VerifiedSession verified{session.session, session.expires_at};
    Context context = test::context_of(caller);
    context.session = &verified;
    return call(context, "sessions.logout", {.idempotency_key = "k1"});
  };
  const IssuedSession one = create("ada");
  const IssuedSession other = create("ada");

  EXPECT_EQ(log_out(one).status, 204);
  EXPECT_EQ(slug(log_out(other)), "idempotency_key_reused");
  EXPECT_TRUE(is_replayed(log_out(one)));
  EXPECT_TRUE(authenticate(other.token));
}

TEST_F(IdempotentOperations, ARefusalOfTheOperationIsRepeatedToo) {
  const std::array<PathParam, 1> params{{{"id", "initech"}}};
  const OperationInput input{.path = params, .idempotency_key = "k1"};
  const OperationOutput refused = call(instance_admin_, "tenants.disable", input);
  EXPECT_EQ(slug(refused), "tenant_not_found");
  ASSERT_EQ(call(instance_admin_, "tenants.create", {.body = R"({"id":"initech"})"}).status, 201);

  const OperationOutput again = call(instance_admin_, "tenants.disable", input);

  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.content_type, kProblem);
  EXPECT_TRUE(is_replayed(again));
}

TEST_F(IdempotentOperations, WhatIsRefusedBeforeItBeginsIsNotKept) {
  EXPECT_EQ(slug(keyed("sessions.create", "k1", R"({"user":7})")), "validation_failed");
  EXPECT_EQ(keyed("sessions.create", "k1", R"({"user":"ada"})").status, 201);
}

TEST_F(IdempotentOperations, ABadKeyIsRefused) {
  const OperationOutput refused =
      keyed("sessions.create", std::string(129, 'k'), R"({"user":"ada"})");
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->fields.at(0).location, "header.Idempotency-Key");
  EXPECT_EQ(sessions_of("ada"), 0u);
}

TEST_F(IdempotentOperations, WhatOnlyReadsIgnoresAKey) {
  const std::string token = create("ada").token;
  const std::string body = R"({"token":")" + token + R"("})";
  counting_->writes = 0;
  const OperationOutput first = keyed("sessions.verify", "k1", body);
  const OperationOutput again = keyed("sessions.verify", "k1", body);
  EXPECT_EQ(first.status, 200);
  EXPECT_FALSE(is_replayed(again));
  EXPECT_EQ(counting_->writes, 0);
}

}  // namespace
}  // namespace redoubt::operations
