#include "record/limit_rows.hpp"

namespace redoubt::record {
namespace {

// Tests that move time have connections with redoubt.clock = 'own'.
constexpr sql::Statement kFind{
    R"sql(
SELECT (SELECT memory FROM rd_limit WHERE tenant = $1 AND policy = $2 AND subject = $3), $4)sql",
    R"sql(
SELECT (SELECT memory FROM rd_limit WHERE tenant = $1 AND policy = $2 AND subject = $3),
  CASE current_setting('redoubt.clock', true) WHEN 'own' THEN CAST($4 AS bigint)
  ELSE CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint) END)sql"};

constexpr sql::Statement kPut{R"sql(
INSERT INTO rd_limit (tenant, policy, subject, memory, full_at_ms)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, policy, subject) DO UPDATE
SET memory = excluded.memory, full_at_ms = excluded.full_at_ms)sql"};

constexpr sql::Statement kErase{R"sql(
DELETE FROM rd_limit WHERE tenant = $1 AND policy = $2 AND subject = $3)sql"};

constexpr sql::Statement kSweep{R"sql(
DELETE FROM rd_limit WHERE (tenant, policy, subject) IN (
  SELECT tenant, policy, subject FROM rd_limit WHERE full_at_ms < $1
  ORDER BY full_at_ms LIMIT $2))sql"};

}  // namespace

Task<FoundLimit> find_limit(sql::Transaction& tx, LimitId id, WallTime own) {
  RD_CO_TRY(rows, co_await tx.run(kFind, {id.tenant, id.policy, as_bytes(id.subject), own.ms}));
  FoundLimit found;
  if (!rows[0].is_null(0)) found.memory = rows[0].bytes(0);
  found.now = WallTime{rows[0].integer(1)};
  co_return found;
}

Task<void> put_limit(sql::Transaction& tx, LimitId id, ByteView memory, WallTime full_at) {
  RD_CO_CHECK(
      co_await tx.run(kPut, {id.tenant, id.policy, as_bytes(id.subject), memory, full_at.ms}));
  co_return Result<void>{};
}

Task<void> erase_limit(sql::Transaction& tx, LimitId id) {
  RD_CO_CHECK(co_await tx.run(kErase, {id.tenant, id.policy, as_bytes(id.subject)}));
  co_return Result<void>{};
}

Task<std::int64_t> sweep_limits(sql::Transaction& tx, WallTime before, std::size_t batch) {
  RD_CO_TRY(rows, co_await tx.run(kSweep, {before.ms, static_cast<std::int64_t>(batch)}));
  co_return rows.changed;
}

}  // namespace redoubt::record
