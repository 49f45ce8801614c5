// The rows of tenants and API keys. Each function is one statement inside the caller's transaction.
#pragma once

#include "base/crypto.hpp"
#include "record/record.hpp"

#include <redoubt/tenants.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

// False when the id is taken.
Task<bool> insert_tenant(sql::Transaction& tx, const Tenant& tenant);
Task<std::optional<Tenant>> find_tenant(sql::Transaction& tx, std::string_view id);
Task<std::vector<Tenant>> list_tenants(sql::Transaction& tx, std::string_view after,
                                       std::size_t limit);
Task<void> disable_tenant(sql::Transaction& tx, std::string_view id, WallTime at);
Task<void> enable_tenant(sql::Transaction& tx, std::string_view id);

// What a credential of the tenant must agree with. The epoch grows with every disabling, so that
// what was issued before one does not come back with the enabling after it.
struct TenantStanding {
  bool enabled = false;  // Also false when there is no such tenant.
  std::int64_t epoch = 0;
};
Task<TenantStanding> tenant_standing(sql::Transaction& tx, std::string_view id);
Task<std::int64_t> count_tenants(sql::Transaction& tx);

struct ApiKeyRow {
  ApiKey key;
  Digest256 mac{};
};

Task<void> insert_api_key(sql::Transaction& tx, const ApiKeyRow& row);
Task<std::optional<ApiKeyRow>> find_api_key(sql::Transaction& tx, std::string_view id);
// Whether it is there and not this tenant's: for the audit trail alone. Sees rows of any tenant.
Task<bool> is_api_key_of_another(sql::Transaction& tx, std::string_view id,
                                 std::string_view tenant);
Task<std::vector<ApiKey>> list_api_keys(sql::Transaction& tx, std::string_view tenant,
                                        std::string_view after, std::size_t limit);
Task<void> set_api_key_revoked(sql::Transaction& tx, std::string_view id, WallTime at);

// Moves last_used_at forward, never back.
Task<void> set_api_key_used(sql::Transaction& tx, std::string_view id, WallTime at);

// Live admin keys of `tenant` that never expire, other than `except`.
Task<std::int64_t> count_lasting_admin_keys(sql::Transaction& tx, std::string_view tenant,
                                            std::string_view except);

// Keys that ended before `before`; returns how many.
Task<std::int64_t> delete_ended_api_keys(sql::Transaction& tx, WallTime before, std::size_t batch);

}  // namespace redoubt::record
