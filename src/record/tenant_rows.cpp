#include "record/tenant_rows.hpp"

#include <algorithm>
#include <utility>

namespace redoubt::record {
namespace {

constexpr sql::Statement kInsertTenant{
    "INSERT INTO rd_tenant (id, name, created_at, disabled_at) VALUES ($1, $2, $3, NULL)"
    " ON CONFLICT (id) DO NOTHING"};
constexpr sql::Statement kFindTenant{
    "SELECT id, name, created_at, disabled_at FROM rd_tenant WHERE id = $1"};
constexpr sql::Statement kListTenants{
    "SELECT id, name, created_at, disabled_at FROM rd_tenant WHERE id > $1 ORDER BY id LIMIT $2"};
constexpr sql::Statement kDisable{
    "UPDATE rd_tenant SET disabled_at = $2, epoch = epoch + 1 WHERE id = $1 AND disabled_at IS "
    "NULL"};
constexpr sql::Statement kEnable{"UPDATE rd_tenant SET disabled_at = NULL WHERE id = $1"};
constexpr sql::Statement kStanding{
    "SELECT disabled_at IS NULL, epoch FROM rd_tenant WHERE id = $1"};
constexpr sql::Statement kCountTenants{"SELECT count(*) FROM rd_tenant"};

constexpr sql::Statement kInsertKey{
    "INSERT INTO rd_api_key (id, tenant, name, role, areas, mac, created_at, created_by, "
    "expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"};
constexpr sql::Statement kFindKey{
    "SELECT id, tenant, name, role, areas, created_at, created_by, expires_at, last_used_at,"
    " revoked_at, mac FROM rd_api_key WHERE id = $1"};
constexpr sql::Statement kFindKeyElsewhere{
    "SELECT 1 FROM rd_api_key WHERE id = $1 AND tenant <> $2"};
constexpr sql::Statement kListKeys{
    "SELECT id, tenant, name, role, areas, created_at, created_by, expires_at, last_used_at,"
    " revoked_at FROM rd_api_key WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3"};
constexpr sql::Statement kRevokeKey{
    "UPDATE rd_api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL"};
constexpr sql::Statement kUseKey{
    "UPDATE rd_api_key SET last_used_at = $2"
    " WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)"};
constexpr sql::Statement kCountLastingAdmins{
    "SELECT count(*) FROM rd_api_key WHERE tenant = $1 AND id <> $2 AND role = 'admin'"
    " AND revoked_at IS NULL AND expires_at IS NULL"};
constexpr sql::Statement kDeleteEnded{
    "DELETE FROM rd_api_key WHERE id IN ("
    " SELECT id FROM rd_api_key WHERE revoked_at < $1"
    " UNION SELECT id FROM rd_api_key WHERE expires_at < $1 LIMIT $2)"};

constexpr std::pair<Role, std::string_view> kRoles[] = {
    {Role::read_only, "read_only"}, {Role::service, "service"}, {Role::admin, "admin"}};

std::string_view role_text(Role role) {
  for (const auto& [value, text] : kRoles) {
    if (value == role) return text;
  }
  return {};  // Role::none: the table's CHECK refuses it.
}

Role role_of(std::string_view text) {
  for (const auto& [value, name] : kRoles) {
    if (name == text) return value;
  }
  return Role::none;  // A role of a later version may do nothing here.
}

sql::Param param(std::optional<WallTime> time) {
  return time ? sql::Param(time->ms) : sql::Param(nullptr);
}

std::optional<WallTime> time_at(const sql::Row& row, std::size_t column) {
  if (row.is_null(column)) return std::nullopt;
  return WallTime{row.integer(column)};
}

Tenant tenant_of(const sql::Row& row) {
  Tenant tenant;
  tenant.id = row.text(0);
  tenant.name = row.text(1);
  tenant.created_at = {row.integer(2)};
  tenant.disabled_at = time_at(row, 3);
  tenant.enabled = !tenant.disabled_at;
  return tenant;
}

ApiKey key_of(const sql::Row& row) {
  ApiKey key;
  key.id = row.text(0);
  key.tenant = row.text(1);
  key.name = row.text(2);
  key.role = role_of(row.text(3));
  key.areas = static_cast<AreaSet>(row.integer(4));
  key.created_at = {row.integer(5)};
  key.created_by = row.text(6);
  key.expires_at = time_at(row, 7);
  key.last_used_at = time_at(row, 8);
  key.revoked_at = time_at(row, 9);
  return key;
}

}  // namespace

Task<bool> insert_tenant(sql::Transaction& tx, const Tenant& tenant) {
  RD_CO_TRY(rows, co_await tx.run(kInsertTenant, {tenant.id, tenant.name, tenant.created_at.ms}));
  co_return rows.changed == 1;
}

Task<std::optional<Tenant>> find_tenant(sql::Transaction& tx, std::string_view id) {
  RD_CO_TRY(rows, co_await tx.run(kFindTenant, {id}));
  std::optional<Tenant> found;
  if (!rows.empty()) found = tenant_of(rows[0]);
  co_return found;
}

Task<std::vector<Tenant>> list_tenants(sql::Transaction& tx, std::string_view after,
                                       std::size_t limit) {
  RD_CO_TRY(rows, co_await tx.run(kListTenants, {after, static_cast<std::int64_t>(limit)}));
  std::vector<Tenant> tenants;
  tenants.reserve(rows.size());
  for (const sql::Row& row : rows.rows) tenants.push_back(tenant_of(row));
  co_return tenants;
}

Task<void> disable_tenant(sql::Transaction& tx, std::string_view id, WallTime at) {
  RD_CO_CHECK(co_await tx.run(kDisable, {id, at.ms}));
  co_return Result<void>{};
}

Task<void> enable_tenant(sql::Transaction& tx, std::string_view id) {
  RD_CO_CHECK(co_await tx.run(kEnable, {id}));
  co_return Result<void>{};
}

Task<TenantStanding> tenant_standing(sql::Transaction& tx, std::string_view id) {
  RD_CO_TRY(rows, co_await tx.run(kStanding, {id}));
  TenantStanding standing;
  if (!rows.empty()) {
    standing.enabled = rows[0].integer(0) != 0;
    standing.epoch = rows[0].integer(1);
  }
  co_return standing;
}

Task<std::int64_t> count_tenants(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kCountTenants));
  co_return rows[0].integer(0);
}

Task<void> insert_api_key(sql::Transaction& tx, const ApiKeyRow& row) {
  const ApiKey& key = row.key;
  RD_CO_CHECK(co_await tx.run(
      kInsertKey, {key.id, key.tenant, key.name, role_text(key.role), std::int64_t{key.areas},
                   ByteView(row.mac), key.created_at.ms, key.created_by, param(key.expires_at)}));
  co_return Result<void>{};
}

Task<std::optional<ApiKeyRow>> find_api_key(sql::Transaction& tx, std::string_view id) {
  RD_CO_TRY(rows, co_await tx.run(kFindKey, {id}));
  std::optional<ApiKeyRow> found;
  if (!rows.empty()) {
    const Bytes& mac = rows[0].bytes(10);
    found.emplace().key = key_of(rows[0]);
    if (mac.size() != found->mac.size())
      co_return fail(internal("an API key's hash has a wrong size"));
    std::ranges::copy(mac, found->mac.begin());
  }
  co_return found;
}

Task<bool> is_api_key_of_another(sql::Transaction& tx, std::string_view id,
                                 std::string_view tenant) {
  RD_CO_TRY(rows, co_await tx.run(kFindKeyElsewhere, {id, tenant}));
  co_return !rows.empty();
}

Task<std::vector<ApiKey>> list_api_keys(sql::Transaction& tx, std::string_view tenant,
                                        std::string_view after, std::size_t limit) {
  RD_CO_TRY(rows, co_await tx.run(kListKeys, {tenant, after, static_cast<std::int64_t>(limit)}));
  std::vector<ApiKey> keys;
  keys.reserve(rows.size());
  for (const sql::Row& row : rows.rows) keys.push_back(key_of(row));
  co_return keys;
}

Task<void> set_api_key_revoked(sql::Transaction& tx, std::string_view id, WallTime at) {
  RD_CO_CHECK(co_await tx.run(kRevokeKey, {id, at.ms}));
  co_return Result<void>{};
}

Task<void> set_api_key_used(sql::Transaction& tx, std::string_view id, WallTime at) {
  RD_CO_CHECK(co_await tx.run(kUseKey, {id, at.ms}));
  co_return Result<void>{};
}

Task<std::int64_t> count_lasting_admin_keys(sql::Transaction& tx, std::string_view tenant,
                                            std::string_view except) {
  RD_CO_TRY(rows, co_await tx.run(kCountLastingAdmins, {tenant, except}));
  co_return rows[0].integer(0);
}

Task<std::int64_t> delete_ended_api_keys(sql::Transaction& tx, WallTime before, std::size_t batch) {
  RD_CO_TRY(rows, co_await tx.run(kDeleteEnded, {before.ms, static_cast<std::int64_t>(batch)}));
  co_return rows.changed;
}

}  // namespace redoubt::record
