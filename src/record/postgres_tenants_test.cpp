// Rows are kept apart by the server, whatever a statement asks for.
#include "record/postgres_record.hpp"

#include "record/tenant_rows.hpp"
#include "tests/support/postgres_record_fixture.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace redoubt::record {
namespace {

namespace asio = boost::asio;

constexpr sql::Statement kKeysOfEverybody{"SELECT DISTINCT tenant FROM rd_api_key"};

class PostgresTenants : public PostgresRecord {
 protected:
  void SetUp() override {
    PostgresRecord::SetUp();
    if (IsSkipped()) return;
    instance_ = std::make_unique<Instance>(url_);
    for (const char* tenant : {"acme", "globex"}) {
      ASSERT_TRUE(instance_->write([&](Unit& unit) { return add_key(unit, tenant); }));
    }
  }

  static Task<void> add_key(sql::Transaction& tx, std::string tenant) {
    ApiKeyRow row;
    row.key.id = "key-of-" + tenant;
    row.key.tenant = tenant;
    row.key.role = Role::service;
    co_return co_await insert_api_key(tx, row);
  }
  static Task<std::vector<std::string>> tenants(sql::Transaction& tx) {
    RD_CO_TRY(rows, co_await tx.run(kKeysOfEverybody));
    std::vector<std::string> out;
    for (const sql::Row& row : rows.rows) out.push_back(row.text(0));
    co_return out;
  }

  std::unique_ptr<Instance> instance_;
};

TEST_F(PostgresTenants, SeeTheirRowsAloneWhateverTheStatementAsks) {
  std::vector<std::string> seen;
  std::function<Task<void>(sql::Transaction&)> look = [&](sql::Transaction& tx) -> Task<void> {
    RD_CO_TRY(found, co_await tenants(tx));
    seen = found;
    co_return Result<void>{};
  };

  ASSERT_TRUE(test::run(instance_->record->read_tenant("acme", look)));
  EXPECT_EQ(seen, std::vector<std::string>{"acme"});
  ASSERT_TRUE(test::run(instance_->record->read_snapshot(look)));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(PostgresTenants, CannotWriteAnothersRows) {
  std::function<Task<void>(Unit&)> trespass = [](Unit& unit) { return add_key(unit, "globex2"); };
  std::function<Task<void>(Unit&)> revoke = [](Unit& unit) {
    return set_api_key_revoked(unit, "key-of-globex", WallTime{5});
  };
  Reach acme;
  acme.tenant = "acme";

  EXPECT_EQ(test::run(instance_->record->write_within(acme, trespass)).error().code,
            Errc::internal);
  EXPECT_TRUE(test::run(instance_->record->write_within(acme, revoke)));

  EXPECT_EQ(value("SELECT count(*) FROM rd_api_key WHERE revoked_at IS NOT NULL"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM rd_api_key"), "2");
}

TEST_F(PostgresTenants, DoNotLeakIntoTheNextUnitOfABatch) {
  asio::io_context io;
  std::vector<std::vector<std::string>> seen(20);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    std::function<Task<void>(Unit&)> look = [&seen, i](Unit& unit) -> Task<void> {
      RD_CO_TRY(found, co_await tenants(unit));
      seen[i] = found;
      if (i % 3 == 0) co_return fail(Error(Errc::conflict, "changed_my_mind", "no"));
      co_return Result<void>{};
    };
    Reach reach;
    reach.tenant = i % 2 == 0 ? "acme" : "globex";
    asio::co_spawn(io, instance_->record->write_within(reach, look),
                   [](std::exception_ptr, const Result<void>&) {});
  }
  io.run();

  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i], std::vector<std::string>{i % 2 == 0 ? "acme" : "globex"}) << i;
  }
}

// So that a new table cannot be forgotten.
TEST_F(PostgresTenants, AreKeptApartInEveryTableThatHasThem) {
  const std::string with_tenants =
      "SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace ="
      " 'public'::regnamespace AND (relname = 'rd_tenant' OR EXISTS (SELECT FROM pg_attribute"
      " WHERE attrelid = c.oid AND attname LIKE 'tenant%' AND NOT attisdropped))";
  const std::string guarded =
      " AND relrowsecurity AND relforcerowsecurity AND EXISTS (SELECT FROM pg_policy WHERE"
      " polrelid = c.oid AND polpermissive AND polcmd = '*' AND"
      " pg_get_expr(polqual, polrelid) LIKE '%redoubt.tenant%')";

  EXPECT_GE(std::stoi(value(with_tenants)), 7);
  EXPECT_EQ(value(with_tenants + guarded), value(with_tenants));
}

TEST_F(PostgresTenants, AreHiddenFromASessionThatNamesNone) {
  const std::string owner = "SET ROLE redoubt; SELECT count(*) FROM rd_api_key";

  EXPECT_EQ(value(owner), "0") << "FORCE binds the owner of the tables";
}

}  // namespace
}  // namespace redoubt::record
