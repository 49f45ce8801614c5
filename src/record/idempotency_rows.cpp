#include "record/idempotency_rows.hpp"

#include "record/columns.hpp"

#include <initializer_list>
#include <string_view>
#include <utility>

namespace redoubt::record {
namespace {

using Params = std::initializer_list<sql::Param>;

constexpr sql::Statement kFind{
    "SELECT id, tenant, expires_at, sealed FROM rd_idempotency WHERE id = $1 AND expires_at > $2"};
constexpr sql::Statement kInsert{R"sql(
INSERT INTO rd_idempotency (id, tenant, expires_at, kid, sealed) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO UPDATE
SET expires_at = excluded.expires_at, kid = excluded.kid, sealed = excluded.sealed
WHERE rd_idempotency.expires_at <= $6)sql"};
constexpr sql::Statement kDeleteExpired{R"sql(
DELETE FROM rd_idempotency WHERE id IN (
  SELECT id FROM rd_idempotency WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2))sql"};
// It has expired by the clock of the instance that wrote it; others may be behind.
constexpr Duration kKeptAfterExpiry{60'000};

AnswerRow read_row(const sql::Row& row) {
  AnswerRow answer;
  answer.id = fixed_bytes<Id128{}.size()>(row.bytes(0));
  answer.tenant = row.text(1);
  answer.expires_at = WallTime{row.integer(2)};
  answer.sealed = row.bytes(3);
  return answer;
}

Task<std::int64_t> delete_expired(Unit& unit, WallTime cutoff, std::int64_t batch) {
  RD_CO_TRY(deleted, co_await unit.run(kDeleteExpired, {cutoff.ms, batch}));
  co_return deleted.changed;
}

}  // namespace

Task<std::optional<AnswerRow>> find_answer(sql::Transaction& tx, const Id128& id, WallTime now) {
  std::optional<AnswerRow> answer;
  RD_CO_TRY(found, co_await tx.run(kFind, {ByteView(id), now.ms}));
  if (!found.empty()) answer = read_row(found[0]);
  co_return answer;
}

Task<bool> insert_answer(sql::Transaction& tx, const AnswerRow& row, WallTime now) {
  const KeyId kid = Vault::kid_of(row.sealed);
  const Params params{ByteView(row.id), std::string_view(row.tenant), row.expires_at.ms,
                      ByteView(kid),    ByteView(row.sealed),         now.ms};
  RD_CO_TRY(inserted, co_await tx.run(kInsert, params));
  co_return inserted.changed == 1;
}

RetentionClass answer_retention() {
  RetentionClass rows;
  rows.name = "idempotency";
  rows.keep = kKeptAfterExpiry;
  rows.trim = delete_expired;
  return rows;
}

SealedTable sealed_answers() {
  SealedTable table;
  table.under = {
      "SELECT id, tenant, expires_at, sealed FROM rd_idempotency"
      " WHERE kid = $1 AND id > $2 ORDER BY id LIMIT $3"};
  table.replace = {
      "UPDATE rd_idempotency SET sealed = $2, kid = $3 WHERE id = $1 AND expires_at = $4"};
  table.next_key = {"SELECT kid FROM rd_idempotency WHERE kid > $1 ORDER BY kid LIMIT 1"};
  table.count_under = {"SELECT count(*) FROM rd_idempotency WHERE kid = $1"};
  return table;
}

}  // namespace redoubt::record
