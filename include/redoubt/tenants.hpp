// Tenants and the API keys that act in them.
//
// A tenant is a wall: nothing of one is visible from another. The home tenant is made at first
// start; its admins run the instance. An API key is `rdk_<id>_<secret>_<crc>`, shown once; the
// record keeps a keyed hash. Disabling a tenant ends its sessions for good and suspends its keys,
// before the call returns; enabling it lets its keys work again.
//
// Threads: one Tenants and one ApiKeys per worker; call them from that worker's executor.
// Errors: every function may return unavailable; the rest are listed per function. What belongs to
// another tenant is not_found.
#pragma once

#include <redoubt/context.hpp>
#include <redoubt/result.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt {

struct Tenant {
  std::string id;    // [a-z0-9][a-z0-9_-]{0,62}, the operator's choice.
  std::string name;  // For people; up to 256 bytes.
  bool enabled = true;
  WallTime created_at;
  std::optional<WallTime> disabled_at;
};

struct NewTenant {
  std::string id;
  std::string name;
};

struct TenantPage {
  std::vector<Tenant> tenants;
  std::string next_cursor;  // Empty: no more.
};

class Tenants {
 public:
  virtual ~Tenants() = default;

  // invalid_argument for an id or name out of range; conflict "tenant_exists". One commit.
  virtual Task<Tenant> create(const Context& context, NewTenant request) = 0;

  // not_found. One read.
  virtual Task<Tenant> get(const Context& context, std::string id) = 0;

  // By id, `limit` of 1..1000 a page. One read.
  virtual Task<TenantPage> list(const Context& context, std::size_t limit, std::string cursor) = 0;

  // From the acknowledgement on, none of its sessions and keys is accepted. Doing it again changes
  // nothing. not_found; conflict "home_tenant" for the home tenant. One commit. On unavailable this
  // process refuses them all the same, and records it when it can.
  virtual Task<Tenant> disable(const Context& context, std::string id) = 0;
  virtual Task<Tenant> enable(const Context& context, std::string id) = 0;
};

struct ApiKey {
  std::string id;  // 22 base62 digits, ordered by time of creation. Not a credential.
  std::string tenant;
  std::string name;  // For people; 1..128 bytes.
  Role role = Role::service;
  AreaSet areas = 0;  // kAllAreas for an admin.
  WallTime created_at;
  std::string created_by;  // Principal.
  std::optional<WallTime> expires_at;
  std::optional<WallTime> last_used_at;  // Up to a minute behind, plus the flush interval.
  std::optional<WallTime> revoked_at;
};

struct NewApiKey {
  std::string name;
  Role role = Role::service;    // Not Role::none.
  AreaSet areas = kAllAreas;    // What the role may touch; ignored for an admin.
  std::optional<Duration> ttl;  // 1 min .. 10 years; none: does not expire.
  std::string tenant;           // Empty: the caller's. Another's: admins of the home tenant only.
};

struct IssuedApiKey {
  ApiKey key;
  std::string token;  // Secret. The only copy.
};

struct ApiKeyPage {
  std::vector<ApiKey> keys;
  std::string next_cursor;
};

using CallerPtr = std::shared_ptr<const Caller>;

class ApiKeys {
 public:
  virtual ~ApiKeys() = default;

  // Whom `token` speaks for, from this worker's memory: no I/O, and no allocation when it is good.
  // Empty when the answer needs the record; then call authenticate(). Unknown, forged, expired and
  // revoked keys are one answer: unauthenticated "api_key_invalid". Garbage never reaches the
  // record.
  virtual std::optional<Result<CallerPtr>> authenticate_now(std::string_view token) = 0;
  virtual Task<CallerPtr> authenticate(std::string token) = 0;

  // invalid_argument for a name, role or ttl out of range; permission_denied for another tenant
  // unless the caller is an admin of the home tenant; not_found for a tenant that does not exist.
  // One commit.
  virtual Task<IssuedApiKey> create(const Context& context, NewApiKey request) = 0;

  // The keys of the caller's tenant, oldest first, revoked and expired ones included until they are
  // swept; `limit` of 1..1000 a page. One read.
  virtual Task<ApiKeyPage> list(const Context& context, std::size_t limit, std::string cursor) = 0;

  // From the acknowledgement on, the key is refused. Doing it again changes nothing. not_found;
  // conflict "last_admin_key" for the only admin key of the home tenant that does not expire:
  // without it nobody could run the instance. One commit. On unavailable this process refuses the
  // key all the same, and records it when it can.
  virtual Task<void> revoke(const Context& context, std::string id) = 0;

  // A new key with the same name, role, scopes and expiry, and the end of the old one, in one
  // commit. not_found for a key that does not exist or is not live.
  virtual Task<IssuedApiKey> rotate(const Context& context, std::string id) = 0;

  // Writes the uses seen since the last call to the record. For a job every few seconds, and stop.
  virtual Task<void> flush_uses() = 0;

  // Deletes keys that expired or were revoked more than 30 days ago, at most `batch`; returns how
  // many.
  virtual Task<std::int64_t> sweep(std::size_t batch) = 0;
};

}  // namespace redoubt
