#include "base/metrics.hpp"
#include "record/audit.hpp"
#include "services/tenants/api_key_token.hpp"
#include "tests/support/refusing_record.hpp"
#include "tests/support/tenants_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>

#include <string>
#include <vector>

// Counts what this thread allocates; not under TSan, whose runtime has an operator new of its own.
namespace {
thread_local std::size_t allocations = 0;
}
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RD_TEST_HAS_NO_COUNT
#endif
#endif
#ifndef RD_TEST_HAS_NO_COUNT
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

namespace redoubt::tenants {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

std::string with_other_secret(const std::string& token) {
  Key256 secret{};
  return format_api_key(token.substr(4, 22), secret);
}

class ApiKeysTest : public TenantsTest {
 protected:
  ApiKey shown(const std::string& id) {
    const auto page = test::run(keys->list(context(), 1000, ""));
    for (const ApiKey& key : page.value().keys) {
      if (key.id == id) return key;
    }
    ADD_FAILURE() << "not listed";
    return {};
  }
  std::vector<record::AuditEntry> trail(std::string tenant) {
    std::function<Task<record::AuditPage>(sql::Transaction&)> read =
        [&tenant](sql::Transaction& tx) {
          record::AuditQuery query;
          query.tenant = tenant;
          return record::list_audit(tx, query);
        };
    return test::run(record->read(read)).value().entries;
  }
};

TEST_F(ApiKeysTest, MakesTheHomeTenantAndItsAdminKeyOnce) {
  EXPECT_EQ(first.key.tenant, "default");
  EXPECT_EQ(first.key.role, Role::admin);
  const auto caller_found = authenticate(first.token);
  ASSERT_TRUE(caller_found);
  EXPECT_EQ((*caller_found)->kind, Caller::Kind::api_key);
  EXPECT_EQ((*caller_found)->role, Role::admin);
  EXPECT_EQ((*caller_found)->areas, kAllAreas);
  EXPECT_EQ((*caller_found)->principal, "key:" + first.key.id);

  EXPECT_EQ(test::run(make_home_tenant(parts())).value(), std::nullopt);
}

TEST_F(ApiKeysTest, KeepsNothingInTheRecordThatCouldBePresented) {
  static constexpr sql::Statement kAll{
      "SELECT id || tenant || name || role || created_by, mac FROM rd_api_key"};
  std::function<Task<sql::Rows>(sql::Transaction&)> read = [](sql::Transaction& tx) {
    return tx.run(kAll, {});
  };
  const auto rows = test::run(record->read(read)).value();
  ASSERT_EQ(rows.size(), 1U);
  const std::string secret = first.token.substr(27, 44);
  EXPECT_EQ(rows[0].text(0).find(secret.substr(0, 8)), std::string::npos);
  const Digest256 unkeyed = sha256(as_bytes(first.token));
  EXPECT_NE(rows[0].bytes(1), Bytes(unkeyed.begin(), unkeyed.end()));
  EXPECT_EQ(rows[0].bytes(1).size(), 32U);
}

TEST_F(ApiKeysTest, AnswersFromMemoryOnceItKnowsAKey) {
  EXPECT_FALSE(keys->authenticate_now(first.token));
  ASSERT_TRUE(test::run(keys->authenticate(first.token)));
  record->stop();
  const auto now = keys->authenticate_now(first.token);
  record.reset();
  ASSERT_TRUE(now && *now);
  EXPECT_EQ((**now)->tenant, "default");
}

TEST_F(ApiKeysTest, DoesNotAnswerFromMemoryWhileTheJournalIsNotFollowed) {
  test::RefusingRecord following(*record);
  TenantParts parts{following, vault, clock, random, invalidations, refusals, stops};
  const auto worker = make_api_keys(parts);
  ASSERT_TRUE(test::run(worker->authenticate(first.token)));
  ASSERT_TRUE(worker->authenticate_now(first.token));

  following.stop_following(clock.boot());

  EXPECT_FALSE(worker->authenticate_now(first.token)) << "somebody may have revoked it meanwhile";
  EXPECT_TRUE(test::run(worker->authenticate(first.token))) << "the record still answers";
}

TEST_F(ApiKeysTest, GarbageIsRefusedWithoutTheRecord) {
  std::vector<std::string> garbage = {
      "", "rdk_", "Bearer x", std::string(78, 'a'), first.token + "x", std::string(1 << 20, 'r')};
  std::string typo = first.token;
  std::swap(typo[10], typo[11] == typo[10] ? typo[14] : typo[11]);
  garbage.push_back(typo);
  for (const std::string& text : garbage) {
    const auto now = keys->authenticate_now(text);
    ASSERT_TRUE(now) << "must not need the record";
    ASSERT_FALSE(*now);
    EXPECT_EQ(now->error().slug, "api_key_invalid");
  }
}

TEST_F(ApiKeysTest, UnknownForgedRevokedExpiredAndDisabledAreOneAnswer) {
  SeededRandom stranger(99);
  Key256 secret;
  stranger.fill(secret);
  const std::string unknown = format_api_key(format_id("", new_id(clock.wall(), stranger)), secret);
  NewApiKey short_lived;
  short_lived.ttl = Duration(60'000);
  const IssuedApiKey expired = make_key(short_lived);
  const IssuedApiKey revoked = make_key({});
  ASSERT_TRUE(test::run(keys->revoke(context(), revoked.key.id)));
  make_tenant("acme");
  NewApiKey elsewhere;
  elsewhere.tenant = "acme";
  const IssuedApiKey disabled = make_key(elsewhere);
  ASSERT_TRUE(test::run(tenants->disable(context(), "acme")));
  clock.advance(seconds(60));

  std::vector<Error> errors;
  for (const std::string& token : {unknown, with_other_secret(first.token), expired.token,
                                   revoked.token, disabled.token, std::string("garbage")}) {
    const auto answer = authenticate(token);
    ASSERT_FALSE(answer);
    errors.push_back(answer.error());
  }
  for (const Error& error : errors) {
    EXPECT_EQ(error.code, Errc::unauthenticated);
    EXPECT_EQ(error.slug, errors[0].slug);
    EXPECT_EQ(error.message, errors[0].message);
    EXPECT_TRUE(error.fields.empty());
  }
}

TEST_F(ApiKeysTest, ARevokedKeyIsRefusedByEveryWorkerAtOnce) {
  const std::unique_ptr<ApiKeys> worker = make_api_keys(parts());
  const IssuedApiKey issued = make_key({});
  ASSERT_TRUE(authenticate(issued.token));
  ASSERT_TRUE(test::run(worker->authenticate(issued.token)));
  ASSERT_TRUE(worker->authenticate_now(issued.token));

  ASSERT_TRUE(test::run(keys->revoke(context(), issued.key.id)));

  EXPECT_FALSE(worker->authenticate_now(issued.token)) << "memory must not answer";
  EXPECT_FALSE(test::run(worker->authenticate(issued.token)));
  EXPECT_FALSE(authenticate(issued.token));
  EXPECT_TRUE(test::run(keys->revoke(context(), issued.key.id))) << "again changes nothing";
  EXPECT_TRUE(shown(issued.key.id).revoked_at);
}

// A record whose reads are followed by something else before their reader goes on.
class OvertakenRecord final : public record::Record {
 public:
  OvertakenRecord(record::Record& inner, std::function<void()> meanwhile)
      : inner_(inner), meanwhile_(std::move(meanwhile)) {}

  Task<void> write_unit(std::function<Task<void>(record::Unit&)> work) override {
    return inner_.write_unit(std::move(work));
  }
  Task<void> read_snapshot(std::function<Task<void>(sql::Transaction&)> work) override {
    auto done = co_await inner_.read_snapshot(std::move(work));
    meanwhile_();
    co_return done;
  }
  void subscribe(record::JournalListener listener) override {
    inner_.subscribe(std::move(listener));
  }
  record::Status status() const override { return inner_.status(); }
  void stop() override { inner_.stop(); }

 private:
  record::Record& inner_;
  std::function<void()> meanwhile_;
};

TEST_F(ApiKeysTest, ACopyOvertakenByARevocationIsNeverUsed) {
  const IssuedApiKey issued = make_key({});
  OvertakenRecord overtaken(
      *record, [this, &issued] { ASSERT_TRUE(test::run(keys->revoke(context(), issued.key.id))); });
  const std::unique_ptr<ApiKeys> worker =
      make_api_keys({overtaken, vault, clock, random, invalidations, refusals, stops});

  ASSERT_TRUE(test::run(worker->authenticate(issued.token))) << "it was read before";

  EXPECT_FALSE(worker->authenticate_now(issued.token));
}

TEST_F(ApiKeysTest, ACopyOvertakenByItsTenantsDisablingIsNeverUsed) {
  make_tenant("acme");
  NewApiKey request;
  request.tenant = "acme";
  const IssuedApiKey issued = make_key(request);
  OvertakenRecord overtaken(
      *record, [this] { ASSERT_TRUE(test::run(tenants->disable(context(), "acme"))); });
  const std::unique_ptr<ApiKeys> worker =
      make_api_keys({overtaken, vault, clock, random, invalidations, refusals, stops});

  // Disabled between the read of the key and that of the tenant.
  EXPECT_FALSE(test::run(worker->authenticate(issued.token)));
  EXPECT_FALSE(worker->authenticate_now(issued.token));
}

TEST_F(ApiKeysTest, AnswersFromMemoryWithoutAllocating) {
  ASSERT_TRUE(authenticate(first.token));
  ASSERT_TRUE(test::run(keys->flush_uses()));
  const std::size_t before = allocations;
  const auto answer = keys->authenticate_now(first.token);
  const std::size_t after = allocations;
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ(after - before, 0U);
}

TEST_F(ApiKeysTest, ExpiresByTheClockAlsoInMemory) {
  NewApiKey request;
  request.ttl = Duration(hours(1));
  const IssuedApiKey issued = make_key(request);
  ASSERT_TRUE(authenticate(issued.token));
  clock.advance(hours(1) - std::chrono::milliseconds(1));
  EXPECT_TRUE(authenticate(issued.token));
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(keys->authenticate_now(issued.token));
  EXPECT_FALSE(authenticate(issued.token));
}

TEST_F(ApiKeysTest, CarriesRoleAndScopes) {
  NewApiKey request;
  request.role = Role::read_only;
  request.areas = static_cast<AreaSet>(Area::cache) | static_cast<AreaSet>(Area::limits);
  const IssuedApiKey issued = make_key(request);
  const CallerPtr found = authenticate(issued.token).value();
  EXPECT_EQ(found->role, Role::read_only);
  EXPECT_EQ(found->areas, request.areas);
  EXPECT_EQ(shown(issued.key.id).areas, request.areas);
}

TEST_F(ApiKeysTest, RefusesRequestsThatMakeNoSense) {
  NewApiKey nameless;
  NewApiKey long_name;
  long_name.name = std::string(129, 'n');
  NewApiKey no_utf8;
  no_utf8.name = "\xff";
  NewApiKey no_role;
  no_role.name = "x";
  no_role.role = Role::none;
  NewApiKey no_scope;
  no_scope.name = "x";
  no_scope.areas = 0;
  NewApiKey short_ttl;
  short_ttl.name = "x";
  short_ttl.ttl = Duration(59'999);
  for (const NewApiKey& request : {nameless, long_name, no_utf8, no_role, no_scope, short_ttl}) {
    const auto issued = test::run(keys->create(context(), request));
    ASSERT_FALSE(issued);
    EXPECT_EQ(issued.error().code, Errc::invalid_argument);
    EXPECT_EQ(issued.error().fields.size(), 1U);
  }
}

TEST_F(ApiKeysTest, OnlyTheHomeTenantMakesKeysElsewhereAndARefusalIsAudited) {
  make_tenant("acme");
  make_tenant("globex");
  NewApiKey request;
  request.name = "theirs";
  request.tenant = "globex";
  const auto denied = test::run(keys->create(context_in("acme"), request));
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, Errc::permission_denied);
  ASSERT_TRUE(test::run(refusals.flush(*record)));
  ASSERT_EQ(trail("acme").size(), 1U);
  EXPECT_EQ(trail("acme")[0].event.outcome, "denied");

  EXPECT_EQ(make_key(request).key.tenant, "globex");
  request.tenant = "nowhere";
  EXPECT_EQ(test::run(keys->create(context(), request)).error().slug, "tenant_not_found");
}

TEST_F(ApiKeysTest, AnotherTenantsKeyIsNotFound) {
  make_tenant("acme");
  const IssuedApiKey ours = make_key({});
  EXPECT_EQ(test::run(keys->revoke(context_in("acme"), ours.key.id)).error().slug,
            "api_key_not_found");
  EXPECT_EQ(test::run(keys->rotate(context_in("acme"), ours.key.id)).error().slug,
            "api_key_not_found");
  EXPECT_TRUE(test::run(keys->list(context_in("acme"), 10, "")).value().keys.empty());
  EXPECT_TRUE(authenticate(ours.token));
  ASSERT_TRUE(test::run(refusals.flush(*record)));
  ASSERT_EQ(trail("acme").size(), 2U);
  EXPECT_EQ(trail("acme")[0].event.action, "api_key.rotated");
  EXPECT_EQ(trail("acme")[1].event.action, "api_key.revoked");
  for (const auto& entry : trail("acme")) EXPECT_EQ(entry.event.outcome, "denied");
  for (const std::string& id : {std::string("x"), std::string(22, 'z'), std::string("a\0b", 3)}) {
    EXPECT_EQ(test::run(keys->revoke(context(), id)).error().slug, "api_key_not_found");
  }
}

TEST_F(ApiKeysTest, KeepsTheLastAdminKeyOfTheHomeTenant) {
  NewApiKey temporary;
  temporary.role = Role::admin;
  temporary.ttl = Duration(hours(1));
  make_key(temporary);
  EXPECT_EQ(test::run(keys->revoke(context(), first.key.id)).error().slug, "last_admin_key");
  ASSERT_TRUE(authenticate(first.token));

  NewApiKey lasting;
  lasting.role = Role::admin;
  make_key(lasting);
  EXPECT_TRUE(test::run(keys->revoke(context(), first.key.id)));
  EXPECT_FALSE(authenticate(first.token));
}

TEST_F(ApiKeysTest, RotationEndsTheOldKeyAndKeepsWhatItMay) {
  NewApiKey request;
  request.name = "worker";
  request.role = Role::service;
  request.areas = static_cast<AreaSet>(Area::gate);
  request.ttl = Duration(hours(5));
  const IssuedApiKey old = make_key(request);
  ASSERT_TRUE(authenticate(old.token));
  clock.advance(hours(1));

  const auto fresh = test::run(keys->rotate(context(), old.key.id));

  ASSERT_TRUE(fresh);
  EXPECT_FALSE(authenticate(old.token));
  const CallerPtr found = authenticate(fresh->token).value();
  EXPECT_EQ(found->areas, request.areas);
  EXPECT_EQ(fresh->key.name, "worker");
  EXPECT_EQ(fresh->key.expires_at, old.key.expires_at);
  EXPECT_GT(fresh->key.id, old.key.id);
  EXPECT_EQ(test::run(keys->rotate(context(), old.key.id)).error().slug, "api_key_not_found");
  EXPECT_TRUE(test::run(keys->rotate(context(), first.key.id))) << "also the last admin key";
}

TEST_F(ApiKeysTest, RecordsUsesLazilyAndAtMostOnceAMinute) {
  const IssuedApiKey issued = make_key({});
  ASSERT_TRUE(authenticate(issued.token));
  EXPECT_FALSE(shown(issued.key.id).last_used_at);
  const WallTime used = clock.wall();
  ASSERT_TRUE(test::run(keys->flush_uses()));
  EXPECT_EQ(shown(issued.key.id).last_used_at, used);

  clock.advance(seconds(59));
  ASSERT_TRUE(authenticate(issued.token));
  const std::int64_t writes = record->status().writes;
  ASSERT_TRUE(test::run(keys->flush_uses()));
  EXPECT_EQ(record->status().writes, writes) << "nothing to write";

  clock.advance(seconds(1));
  ASSERT_TRUE(authenticate(issued.token));
  ASSERT_TRUE(test::run(keys->flush_uses()));
  EXPECT_EQ(shown(issued.key.id).last_used_at, clock.wall());
}

TEST_F(ApiKeysTest, ListsInPagesInOrderOfCreation) {
  for (int i = 0; i < 6; ++i) {
    clock.advance(seconds(1));
    make_key({});
  }
  std::vector<std::string> ids;
  std::string cursor;
  do {
    const auto page = test::run(keys->list(context(), 3, cursor)).value();
    EXPECT_LE(page.keys.size(), 3U);
    for (const ApiKey& key : page.keys) ids.push_back(key.id);
    cursor = page.next_cursor;
  } while (!cursor.empty());
  EXPECT_EQ(ids.size(), 7U);
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  EXPECT_FALSE(test::run(keys->list(context(), 0, "")));
  EXPECT_FALSE(test::run(keys->list(context(), 1001, "")));
  EXPECT_FALSE(test::run(keys->list(context(), 10, "' OR 1=1")));
}

TEST_F(ApiKeysTest, SweepsKeysThatEndedAMonthAgo) {
  const IssuedApiKey revoked = make_key({});
  ASSERT_TRUE(test::run(keys->revoke(context(), revoked.key.id)));
  clock.advance(hours(24) * 30);
  EXPECT_EQ(test::run(keys->sweep(10)).value(), 0);
  clock.advance(seconds(1));
  EXPECT_EQ(test::run(keys->sweep(10)).value(), 1);
  EXPECT_TRUE(authenticate(first.token));
}

TEST_F(ApiKeysTest, StaysBoundedAndRightWithManyKeys) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 300; ++i) tokens.push_back(make_key({}).token);
  for (const std::string& token : tokens) ASSERT_TRUE(authenticate(token));
  for (const std::string& token : tokens) {
    const auto now = keys->authenticate_now(token);
    ASSERT_TRUE(now && *now);
  }
}

}  // namespace
}  // namespace redoubt::tenants
