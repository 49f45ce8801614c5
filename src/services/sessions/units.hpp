// What each change of a session does inside its transaction: read, decide, write, announce, audit.
//
// These run on the record's thread: they touch only the unit, the vault, what was ended without
// being recorded, and their arguments, which outlive them.
#pragma once

#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/session_rows.hpp"
#include "services/sessions/unsaved_ends.hpp"

#include <redoubt/sessions.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace redoubt::sessions {

inline constexpr std::string_view kSealedKind = "session";

struct OpenedSession {
  record::SessionRow row;
  std::string data;  // In the clear.
};

// Who does it, to which session, when.
struct Target {
  std::string tenant;
  Id128 id{};
  WallTime now;
  const UnsavedEnds* ends = nullptr;
};

Bytes seal_data(const Vault& vault, const record::SessionRow& row, std::string_view data);
Result<std::string> open_data(const Vault& vault, const record::SessionRow& row);
inline UnsavedEnds::Who who_of(const record::SessionRow& row) {
  return {row.tenant, row.user, row.id, row.created_at};
}
SessionPtr make_session(const record::SessionRow& row, std::string data);
// `id`: as the row's is written.
SessionPtr make_session(const record::SessionRow& row, std::string id, std::string data);

// The live session of the target's tenant, or not_found.
Task<OpenedSession> find_live(sql::Transaction& tx, const Vault& vault, const Target& target);

struct Creation {
  record::SessionRow row;
  std::int64_t per_user_max = 0;
  record::AuditEvent audit;  // Of the sessions that the cap ends.
};
// Returns how many older ones the cap has ended.
Task<std::int64_t> create_unit(record::Unit& unit, const Creation& creation);

struct Merge {
  Target target;
  std::string patch;
  std::optional<std::int64_t> if_version;
};
Task<OpenedSession> merge_unit(record::Unit& unit, const Vault& vault, const Merge& merge);

Task<OpenedSession> extend_unit(record::Unit& unit, const Vault& vault, const Target& target,
                                Duration idle_ttl);

struct Rotation {
  Target target;
  Id128 new_id{};
  Digest256 new_verifier{};
  record::AuditEvent audit;
};
Task<OpenedSession> rotate_unit(record::Unit& unit, const Vault& vault, const Rotation& rotation);

// Ends it even when it looks idle, and makes the copies of an unknown one stale: memory may know of
// a later use than the row. False when there is none to end.
Task<bool> revoke_unit(record::Unit& unit, const Target& target, const record::AuditEvent& audit);

struct UserRevocation {
  record::SessionsOfUser whose;
  std::optional<Id128> except;
  record::AuditEvent audit;
  WallTime made_until{std::numeric_limits<std::int64_t>::max()};
};
Task<std::int64_t> revoke_all_unit(record::Unit& unit, const UserRevocation& revocation);

// Looks at the first due rows: deletes the dead ones, re-arms the live ones.
struct Sweep {
  record::SweptSessions swept;
  std::int64_t rearmed = 0;
};
using record::SweepLook;
Task<Sweep> sweep_unit(record::Unit& unit, const SweepLook& look);

}  // namespace redoubt::sessions
