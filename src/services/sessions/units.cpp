#include "services/sessions/units.hpp"

#include "services/sessions/token.hpp"
#include "services/sessions/validation.hpp"

#include "record/tenant_rows.hpp"

#include <algorithm>

namespace redoubt::sessions {
namespace {

using Kind = record::JournalEntry::Kind;

SealedAs sealed_as(const record::SessionRow& row) {
  return {.tenant = row.tenant, .kind = kSealedKind, .record_id = row.id, .version = row.version};
}

// `version`: copies of it or later have the change in them; 0: no copy that was made before has.
void announce_session(record::Unit& unit, std::string_view tenant, const Id128& id,
                      std::int64_t version = 0) {
  unit.announce({.kind = Kind::session,
                 .tenant = std::string(tenant),
                 .key = format_id(kIdPrefix, id),
                 .value = version});
}

Task<void> end_one(record::Unit& unit, const Target& target, const record::AuditEvent& audit) {
  RD_CO_CHECK(co_await record::end_session(unit, target.id, target.now));
  announce_session(unit, target.tenant, target.id);
  RD_CO_CHECK(co_await unit.audit(audit));
  co_return Result<void>{};
}

Task<std::int64_t> make_room(record::Unit& unit, const Creation& creation) {
  const record::SessionRow& row = creation.row;
  const record::SessionsOfUser whose{row.tenant, row.user, row.created_at};
  const std::int64_t keep = creation.per_user_max - 1;
  RD_CO_TRY(oldest, co_await record::sessions_beyond(unit, whose, keep));
  record::AuditEvent audit = creation.audit;
  for (const Id128& id : oldest) {
    const Target target{row.tenant, id, row.created_at, nullptr};
    audit.target = format_id(kIdPrefix, id);
    RD_CO_CHECK(co_await end_one(unit, target, audit));
  }
  co_return static_cast<std::int64_t>(oldest.size());
}

Task<record::SessionRow> find_live_row(sql::Transaction& tx, const Target& target) {
  RD_CO_TRY(found, co_await record::find_session(tx, target.id));
  if (!found || found->tenant != target.tenant || !found->live(target.now)) {
    co_return fail(not_found("session"));
  }
  if (target.ends != nullptr && target.ends->cover(who_of(*found))) {
    co_return fail(not_found("session"));
  }
  co_return std::move(*found);
}

}  // namespace

Bytes seal_data(const Vault& vault, const record::SessionRow& row, std::string_view data) {
  return vault.seal(sealed_as(row), as_bytes(data));
}

Result<std::string> open_data(const Vault& vault, const record::SessionRow& row) {
  RD_TRY(opened, vault.open(sealed_as(row), row.data));
  return std::string(as_text(opened));
}

SessionPtr make_session(const record::SessionRow& row, std::string data) {
  return make_session(row, format_id(kIdPrefix, row.id), std::move(data));
}

SessionPtr make_session(const record::SessionRow& row, std::string id, std::string data) {
  auto session = std::make_shared<Session>();
  session->id = std::move(id);
  session->tenant = row.tenant;
  session->user = row.user;
  session->agent = row.agent;
  session->device = row.device;
  session->address = row.address;
  session->data = std::move(data);
  session->version = row.version;
  session->idle_ttl = row.idle_ttl;
  session->created_at = row.created_at;
  session->last_seen_at = row.last_seen_at;
  session->absolute_expires_at = row.absolute_expires_at;
  return session;
}

Task<OpenedSession> find_live(sql::Transaction& tx, const Vault& vault, const Target& target) {
  RD_CO_TRY(row, co_await find_live_row(tx, target));
  RD_CO_TRY(data, open_data(vault, row));
  OpenedSession opened{std::move(row), std::move(data)};
  co_return opened;
}

Task<std::int64_t> create_unit(record::Unit& unit, const Creation& creation) {
  record::SessionRow row = creation.row;
  RD_CO_TRY(standing, co_await record::tenant_standing(unit, row.tenant));
  if (!standing.enabled) {
    co_return fail(Error(Errc::permission_denied, "tenant_disabled", "The tenant is disabled."));
  }
  std::int64_t ended = 0;
  if (creation.per_user_max > 0) {
    RD_CO_TRY(made_room, co_await make_room(unit, creation));
    ended = made_room;
  }
  row.tenant_epoch = standing.epoch;
  RD_CO_CHECK(co_await record::insert_session(unit, row));
  co_return ended;
}

Task<OpenedSession> merge_unit(record::Unit& unit, const Vault& vault, const Merge& merge) {
  RD_CO_TRY(session, co_await find_live(unit, vault, merge.target));
  if (merge.if_version && *merge.if_version != session.row.version) {
    co_return fail(Error(Errc::precondition_failed, "version_mismatch",
                         "The session is at version " + std::to_string(session.row.version) +
                             ": read it again and repeat the change."));
  }
  RD_CO_TRY(merged, merge_data(session.data, merge.patch));
  session.data = std::move(merged);
  session.row.version += 1;
  session.row.data = seal_data(vault, session.row, session.data);
  RD_CO_CHECK(co_await record::store_session_data(unit, session.row));
  announce_session(unit, merge.target.tenant, merge.target.id, session.row.version);
  co_return session;
}

Task<OpenedSession> extend_unit(record::Unit& unit, const Vault& vault, const Target& target,
                                Duration idle_ttl) {
  RD_CO_TRY(session, co_await find_live(unit, vault, target));
  session.row.idle_ttl = idle_ttl;
  session.row.last_seen_at = std::max(session.row.last_seen_at, target.now);
  RD_CO_CHECK(co_await record::store_session_lifetime(unit, session.row));
  announce_session(unit, target.tenant, target.id);
  co_return session;
}

Task<OpenedSession> rotate_unit(record::Unit& unit, const Vault& vault, const Rotation& rotation) {
  const Target& target = rotation.target;
  RD_CO_TRY(session, co_await find_live(unit, vault, target));
  RD_CO_CHECK(co_await end_one(unit, target, rotation.audit));
  session.row.id = rotation.new_id;
  session.row.verifier = rotation.new_verifier;
  session.row.last_seen_at = std::max(session.row.last_seen_at, target.now);
  session.row.data = seal_data(vault, session.row, session.data);
  RD_CO_CHECK(co_await record::insert_session(unit, session.row));
  co_return session;
}

Task<bool> revoke_unit(record::Unit& unit, const Target& target, const record::AuditEvent& audit) {
  RD_CO_TRY(found, co_await record::find_session(unit, target.id));
  const bool there = found && found->tenant == target.tenant && !found->revoked &&
                     found->tenant_stands && target.now < found->absolute_expires_at;
  if (!there) {
    announce_session(unit, target.tenant, target.id);
    co_return false;
  }
  RD_CO_CHECK(co_await end_one(unit, target, audit));
  co_return true;
}

Task<std::int64_t> revoke_all_unit(record::Unit& unit, const UserRevocation& revocation) {
  const record::SessionsOfUser& whose = revocation.whose;
  RD_CO_TRY(ended,
            co_await record::end_sessions(unit, whose, revocation.except, revocation.made_until));
  RD_CO_CHECK(co_await record::advance_user_epoch(unit, whose.tenant, whose.user, whose.now));
  unit.announce({.kind = Kind::user, .tenant = whose.tenant, .key = whose.user, .value = 0});
  RD_CO_CHECK(co_await unit.audit(revocation.audit));
  co_return ended;
}

Task<Sweep> sweep_unit(record::Unit& unit, const SweepLook& look) {
  Sweep sweep;
  RD_CO_TRY(rearmed, co_await record::rearm_sweep(unit, look));
  RD_CO_TRY(swept, co_await record::sweep_sessions(unit, look));
  for (const record::SweptId& gone : swept.expired_ids) {
    announce_session(unit, gone.tenant, gone.id);
  }
  sweep.swept = std::move(swept);
  sweep.rearmed = rearmed;
  co_return sweep;
}

}  // namespace redoubt::sessions
