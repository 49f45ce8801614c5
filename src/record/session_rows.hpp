// The rows of rd_session and rd_user_epoch, in portable SQL. What a session means is decided in
// services/sessions; here is only how it is kept, found and counted.
//
// Every function runs inside the caller's transaction; those that name no tenant are for ids that
// were authenticated or found with their tenant before.
// Errors: those of sql::Transaction::run.
#pragma once

#include "base/bytes.hpp"
#include "base/crypto.hpp"
#include "base/ids.hpp"
#include "record/sealed_rows.hpp"
#include "sql/sql.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/result.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::record {

// How far last_seen may be behind: a session is idle only when it is so by this much, because uses
// are recorded lazily. Column idle_end says the same.
constexpr Duration idle_slack(Duration idle_ttl) {
  return std::min(Duration(60'000), idle_ttl / 4);
}

struct SessionRow {
  Id128 id{};
  std::string tenant;
  std::int64_t tenant_epoch = 0;
  std::string user;
  std::string agent;
  std::string device;
  std::string address;
  Digest256 verifier{};
  Bytes data;  // Sealed.
  std::int64_t version = 1;
  WallTime created_at;
  WallTime absolute_expires_at;
  Duration idle_ttl{0};
  WallTime last_seen_at;
  bool revoked = false;
  bool tenant_stands = true;  // Enabled, and not disabled since the session was made.

  WallTime expires_at() const { return std::min(absolute_expires_at, last_seen_at + idle_ttl); }
  WallTime sweep_at() const {
    return std::min(absolute_expires_at, last_seen_at + idle_ttl + idle_slack(idle_ttl));
  }
  bool live(WallTime now) const { return !revoked && tenant_stands && now < sweep_at(); }
};

struct SessionsOfUser {
  std::string tenant;
  std::string user;
  WallTime now;
};

Task<void> insert_session(sql::Transaction& tx, const SessionRow& row);
Task<std::optional<SessionRow>> find_session(sql::Transaction& tx, const Id128& id);

// Whether it is there and not this tenant's: for the audit trail alone. Sees rows of any tenant.
Task<bool> is_session_of_another(sql::Transaction& tx, const Id128& id, std::string_view tenant);

// Live ones with an id below `before` (all, when empty), newest first.
Task<std::vector<SessionRow>> list_sessions(sql::Transaction& tx, const SessionsOfUser& whose,
                                            std::optional<Id128> before, std::size_t limit);

// Not ended and not too old, beyond the `keep` most recently used: idle ones too.
Task<std::vector<Id128>> sessions_beyond(sql::Transaction& tx, const SessionsOfUser& whose,
                                         std::int64_t keep);

Task<void> store_session_data(sql::Transaction& tx, const SessionRow& row);      // data, version
Task<void> store_session_lifetime(sql::Transaction& tx, const SessionRow& row);  // idle, last seen

// Forward only: an older use than the recorded one changes nothing.
Task<void> store_session_use(sql::Transaction& tx, const Id128& id, WallTime at);

Task<void> end_session(sql::Transaction& tx, const Id128& id, WallTime now);
// All of the user made until `made_until` but `except`, also those that look expired; how many of
// them were live.
Task<std::int64_t> end_sessions(sql::Transaction& tx, const SessionsOfUser& whose,
                                std::optional<Id128> except, WallTime made_until);

struct SweptId {
  std::string tenant;
  Id128 id{};
};
struct SweptSessions {
  std::int64_t expired = 0;
  std::int64_t revoked = 0;
  std::vector<SweptId> expired_ids;
};
// Rows that look idle are kept while uses may be waiting to be recorded.
enum class IdleRows : std::uint8_t { keep, sweep };
struct SweepLook {  // At the first `batch` rows whose time to be looked at has come.
  WallTime now;
  std::size_t batch = 0;
  IdleRows idle = IdleRows::sweep;
  WallTime idle_again;  // When kept ones are looked at next: they stand in nobody's way till then.
};
// Deletes the dead ones.
Task<SweptSessions> sweep_sessions(sql::Transaction& tx, const SweepLook& look);
// Sets the next look at the others; how many.
Task<std::int64_t> rearm_sweep(sql::Transaction& tx, const SweepLook& look);

// The epoch of a user: when all its sessions were last ended, in wall milliseconds, and in any case
// more than the epoch before. 0: never, or so long ago that nothing from before lives.
Task<std::int64_t> user_epoch(sql::Transaction& tx, std::string_view tenant, std::string_view user);
Task<void> advance_user_epoch(sql::Transaction& tx, std::string_view tenant, std::string_view user,
                              WallTime now);
// Deletes at most `batch` of those before `cutoff`; how many.
Task<std::int64_t> forget_user_epochs(sql::Transaction& tx, WallTime cutoff, std::int64_t batch);

// The version is that of the session.
SealedTable sealed_sessions();

}  // namespace redoubt::record
