#include "record/session_rows.hpp"

#include "record/columns.hpp"

namespace redoubt::record {
namespace {

using Params = std::initializer_list<sql::Param>;

constexpr sql::Statement kInsert{
    "INSERT INTO rd_session (id, tenant, tenant_epoch, user_id, agent, device, address, verifier, "
    "data, kid, ver,"
    " created, absolute_expiry, idle_ms, last_seen, sweep_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"};

constexpr sql::Statement kFind{
    "SELECT s.id, s.tenant, s.tenant_epoch, s.user_id, s.agent, s.device, s.address, s.verifier,"
    " s.data, s.ver, s.created, s.absolute_expiry, s.idle_ms, s.last_seen,"
    " s.revoked_at IS NOT NULL, t.disabled_at IS NULL AND t.epoch = s.tenant_epoch"
    " FROM rd_session s LEFT JOIN rd_tenant t ON t.id = s.tenant"
    " WHERE s.id = $1"};

constexpr sql::Statement kFindElsewhere{"SELECT 1 FROM rd_session WHERE id = $1 AND tenant <> $2"};

constexpr sql::Statement kList{
    "SELECT s.id, s.tenant, s.tenant_epoch, s.user_id, s.agent, s.device, s.address, s.verifier,"
    " s.data, s.ver, s.created, s.absolute_expiry, s.idle_ms, s.last_seen, 0, 1"
    " FROM rd_session s JOIN rd_tenant t ON t.id = s.tenant"
    " WHERE s.tenant = $1 AND s.user_id = $2 AND s.id < $3"
    " AND t.disabled_at IS NULL AND t.epoch = s.tenant_epoch"
    " AND s.revoked_at IS NULL AND s.absolute_expiry > $4 AND s.idle_end > $4"
    " ORDER BY s.id DESC LIMIT $5"};

// What a write ends is never decided by idleness: last_seen lags behind while uses cannot be
// recorded, and a row that was spared as idle comes back with the use that arrives later.
constexpr sql::Statement kBeyond{
    "SELECT id FROM rd_session"
    " WHERE tenant = $1 AND user_id = $2"
    " AND tenant_epoch = (SELECT epoch FROM rd_tenant WHERE id = $1)"
    " AND revoked_at IS NULL AND absolute_expiry > $3"
    " ORDER BY last_seen DESC, id DESC LIMIT 1000 OFFSET $4"};

constexpr sql::Statement kStoreData{
    "UPDATE rd_session SET data = $2, kid = $3, ver = $4 WHERE id = $1"};

constexpr sql::Statement kStoreLifetime{
    "UPDATE rd_session SET idle_ms = $2, last_seen = $3,"
    " sweep_at = CASE WHEN sweep_at < $4 THEN sweep_at ELSE $4 END WHERE id = $1"};

constexpr sql::Statement kStoreUse{
    "UPDATE rd_session SET last_seen = $2"
    " WHERE id = $1 AND last_seen < $2 AND revoked_at IS NULL"};

constexpr sql::Statement kEnd{
    "UPDATE rd_session SET revoked_at = $2, sweep_at = $2 WHERE id = $1 AND revoked_at IS NULL"};

// Whether they look expired or not: uses are recorded late, and the use of a session that looks
// idle may still be on its way here.
constexpr sql::Statement kEndAll{
    "UPDATE rd_session SET revoked_at = $3, sweep_at = $3"
    " WHERE tenant = $1 AND user_id = $2 AND id <> $4 AND created <= $5 AND revoked_at IS NULL"
    " RETURNING absolute_expiry > $3 AND idle_end > $3"
    " AND tenant_epoch = (SELECT epoch FROM rd_tenant WHERE id = $1)"};

// Deleting and re-arming look at the same few due rows, so that neither walks all of them.
constexpr sql::Statement kSweep{
    "DELETE FROM rd_session"
    " WHERE id IN (SELECT id FROM rd_session WHERE sweep_at <= $1 ORDER BY sweep_at LIMIT $2)"
    " AND (revoked_at IS NOT NULL OR absolute_expiry <= $1 OR (idle_end <= $1 AND $3 = 1))"
    " RETURNING revoked_at, tenant, id"};

constexpr sql::Statement kRearm{
    "UPDATE rd_session"
    " SET sweep_at = CASE WHEN idle_end <= $1 THEN $4"
    " WHEN absolute_expiry < idle_end THEN absolute_expiry ELSE idle_end END"
    " WHERE id IN (SELECT id FROM rd_session WHERE sweep_at <= $1 ORDER BY sweep_at LIMIT $2)"
    " AND revoked_at IS NULL AND absolute_expiry > $1 AND (idle_end > $1 OR $3 = 0)"};

constexpr sql::Statement kEpoch{
    "SELECT epoch FROM rd_user_epoch WHERE tenant = $1 AND user_id = $2"};

constexpr sql::Statement kAdvanceEpoch{
    "INSERT INTO rd_user_epoch (tenant, user_id, epoch) VALUES ($1, $2, $3)"
    " ON CONFLICT (tenant, user_id) DO UPDATE SET epoch = CASE"
    " WHEN rd_user_epoch.epoch < excluded.epoch THEN excluded.epoch"
    " ELSE rd_user_epoch.epoch + 1 END"};

// Numbers too small to be times of this century were counted by an earlier version, and stay.
constexpr sql::Statement kForgetEpochs{
    "DELETE FROM rd_user_epoch WHERE (tenant, user_id) IN"
    " (SELECT tenant, user_id FROM rd_user_epoch"
    " WHERE epoch > 1000000000000 AND epoch < $1 ORDER BY epoch LIMIT $2)"};

constexpr Id128 kAboveEveryId = [] {
  Id128 id{};
  id.fill(0xff);
  return id;
}();
constexpr Id128 kNoId{};

SessionRow read_row(const sql::Row& row) {
  SessionRow session;
  session.id = fixed_bytes<16>(row.bytes(0));
  session.tenant = row.text(1);
  session.tenant_epoch = row.integer(2);
  session.user = row.text(3);
  session.agent = row.text(4);
  session.device = row.text(5);
  session.address = row.text(6);
  session.verifier = fixed_bytes<32>(row.bytes(7));
  session.data = row.bytes(8);
  session.version = row.integer(9);
  session.created_at = WallTime{row.integer(10)};
  session.absolute_expires_at = WallTime{row.integer(11)};
  session.idle_ttl = Duration(row.integer(12));
  session.last_seen_at = WallTime{row.integer(13)};
  session.revoked = row.integer(14) != 0;
  session.tenant_stands = row.integer(15) != 0;
  return session;
}

}  // namespace

Task<void> insert_session(sql::Transaction& tx, const SessionRow& row) {
  const KeyId kid = Vault::kid_of(row.data);
  const Params params{ByteView(row.id),
                      std::string_view(row.tenant),
                      row.tenant_epoch,
                      std::string_view(row.user),
                      std::string_view(row.agent),
                      std::string_view(row.device),
                      std::string_view(row.address),
                      ByteView(row.verifier),
                      ByteView(row.data),
                      ByteView(kid),
                      row.version,
                      row.created_at.ms,
                      row.absolute_expires_at.ms,
                      std::int64_t{row.idle_ttl.count()},
                      row.last_seen_at.ms,
                      row.sweep_at().ms};
  RD_CO_CHECK(co_await tx.run(kInsert, params));
  co_return Result<void>{};
}

Task<std::optional<SessionRow>> find_session(sql::Transaction& tx, const Id128& id) {
  const Params params{ByteView(id)};
  RD_CO_TRY(found, co_await tx.run(kFind, params));
  if (found.empty()) co_return std::optional<SessionRow>();
  co_return std::optional<SessionRow>(read_row(found[0]));
}

Task<bool> is_session_of_another(sql::Transaction& tx, const Id128& id, std::string_view tenant) {
  const Params params{ByteView(id), tenant};
  RD_CO_TRY(found, co_await tx.run(kFindElsewhere, params));
  co_return !found.empty();
}

Task<std::vector<SessionRow>> list_sessions(sql::Transaction& tx, const SessionsOfUser& whose,
                                            std::optional<Id128> before, std::size_t limit) {
  const Id128 below = before.value_or(kAboveEveryId);
  const Params params{std::string_view(whose.tenant), std::string_view(whose.user), ByteView(below),
                      whose.now.ms, static_cast<std::int64_t>(limit)};
  RD_CO_TRY(found, co_await tx.run(kList, params));
  std::vector<SessionRow> sessions;
  sessions.reserve(found.size());
  for (const sql::Row& row : found.rows) sessions.push_back(read_row(row));
  co_return sessions;
}

Task<std::vector<Id128>> sessions_beyond(sql::Transaction& tx, const SessionsOfUser& whose,
                                         std::int64_t keep) {
  const Params params{std::string_view(whose.tenant), std::string_view(whose.user), whose.now.ms,
                      keep};
  RD_CO_TRY(found, co_await tx.run(kBeyond, params));
  std::vector<Id128> ids;
  for (const sql::Row& row : found.rows) ids.push_back(fixed_bytes<16>(row.bytes(0)));
  co_return ids;
}

Task<void> store_session_data(sql::Transaction& tx, const SessionRow& row) {
  const KeyId kid = Vault::kid_of(row.data);
  const Params params{ByteView(row.id), ByteView(row.data), ByteView(kid), row.version};
  RD_CO_CHECK(co_await tx.run(kStoreData, params));
  co_return Result<void>{};
}

Task<void> store_session_lifetime(sql::Transaction& tx, const SessionRow& row) {
  const Params params{ByteView(row.id), std::int64_t{row.idle_ttl.count()}, row.last_seen_at.ms,
                      row.sweep_at().ms};
  RD_CO_CHECK(co_await tx.run(kStoreLifetime, params));
  co_return Result<void>{};
}

Task<void> store_session_use(sql::Transaction& tx, const Id128& id, WallTime at) {
  const Params params{ByteView(id), at.ms};
  RD_CO_CHECK(co_await tx.run(kStoreUse, params));
  co_return Result<void>{};
}

Task<void> end_session(sql::Transaction& tx, const Id128& id, WallTime now) {
  const Params params{ByteView(id), now.ms};
  RD_CO_CHECK(co_await tx.run(kEnd, params));
  co_return Result<void>{};
}

Task<std::int64_t> end_sessions(sql::Transaction& tx, const SessionsOfUser& whose,
                                std::optional<Id128> except, WallTime made_until) {
  const Id128 kept = except.value_or(kNoId);
  const Params params{std::string_view(whose.tenant), std::string_view(whose.user), whose.now.ms,
                      ByteView(kept), made_until.ms};
  RD_CO_TRY(ended, co_await tx.run(kEndAll, params));
  co_return std::ranges::count_if(ended.rows,
                                  [](const sql::Row& row) { return row.integer(0) != 0; });
}

Task<SweptSessions> sweep_sessions(sql::Transaction& tx, const SweepLook& look) {
  const Params params{look.now.ms, static_cast<std::int64_t>(look.batch),
                      std::int64_t{look.idle == IdleRows::sweep ? 1 : 0}};
  RD_CO_TRY(deleted, co_await tx.run(kSweep, params));
  SweptSessions swept;
  for (const sql::Row& row : deleted.rows) {
    if (!row.is_null(0)) {
      ++swept.revoked;
      continue;
    }
    ++swept.expired;
    swept.expired_ids.push_back({row.text(1), fixed_bytes<16>(row.bytes(2))});
  }
  co_return swept;
}

Task<std::int64_t> rearm_sweep(sql::Transaction& tx, const SweepLook& look) {
  const Params params{look.now.ms, static_cast<std::int64_t>(look.batch),
                      std::int64_t{look.idle == IdleRows::sweep ? 1 : 0}, look.idle_again.ms};
  RD_CO_TRY(rearmed, co_await tx.run(kRearm, params));
  co_return rearmed.changed;
}

Task<std::int64_t> user_epoch(sql::Transaction& tx, std::string_view tenant,
                              std::string_view user) {
  const Params params{tenant, user};
  RD_CO_TRY(found, co_await tx.run(kEpoch, params));
  co_return found.empty() ? std::int64_t{0} : found[0].integer(0);
}

Task<void> advance_user_epoch(sql::Transaction& tx, std::string_view tenant, std::string_view user,
                              WallTime now) {
  const Params params{tenant, user, now.ms};
  RD_CO_CHECK(co_await tx.run(kAdvanceEpoch, params));
  co_return Result<void>{};
}

Task<std::int64_t> forget_user_epochs(sql::Transaction& tx, WallTime cutoff, std::int64_t batch) {
  const Params params{cutoff.ms, batch};
  RD_CO_TRY(forgotten, co_await tx.run(kForgetEpochs, params));
  co_return forgotten.changed;
}

SealedTable sealed_sessions() {
  SealedTable table;
  table.under = {
      "SELECT id, tenant, ver, data FROM rd_session"
      " WHERE kid = $1 AND id > $2 ORDER BY id LIMIT $3"};
  table.replace = {"UPDATE rd_session SET data = $2, kid = $3 WHERE id = $1 AND ver = $4"};
  table.next_key = {"SELECT kid FROM rd_session WHERE kid > $1 ORDER BY kid LIMIT 1"};
  table.count_under = {"SELECT count(*) FROM rd_session WHERE kid = $1"};
  return table;
}

}  // namespace redoubt::record
