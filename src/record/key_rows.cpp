#include "record/key_rows.hpp"

namespace redoubt::record {
namespace {

constexpr sql::Statement kNoteKey{
    "INSERT INTO rd_encryption_key (kid, label, first_seen_at) VALUES ($1, $2, $3)"
    " ON CONFLICT (kid) DO UPDATE SET label = excluded.label"};
constexpr sql::Statement kNotedKeys{
    "SELECT kid, label, sealed_until FROM rd_encryption_key ORDER BY first_seen_at"};
constexpr sql::Statement kNoteSealedUntil{
    "UPDATE rd_encryption_key"
    " SET sealed_until = CASE WHEN sealed_until < $2 THEN $2 ELSE sealed_until END WHERE kid = $1"};
constexpr sql::Statement kForgetKey{"DELETE FROM rd_encryption_key WHERE kid = $1"};

constexpr sql::Statement kFindSecret{"SELECT kid, version, sealed FROM rd_secret WHERE name = $1"};
constexpr sql::Statement kInsertSecret{
    "INSERT INTO rd_secret (name, kid, version, sealed) VALUES ($1, $2, $3, $4)"};
constexpr sql::Statement kReplaceSecret{
    "UPDATE rd_secret SET kid = $2, version = $3, sealed = $4 WHERE name = $1 AND version = $5"};

}  // namespace

Task<void> note_key(sql::Transaction& tx, const RingKey& key, WallTime now) {
  const std::string kid = format_key_id(key.id);
  RD_CO_CHECK(co_await tx.run(kNoteKey, {kid, key.label, now.ms}));
  co_return Result<void>{};
}

Task<std::vector<NotedKey>> noted_keys(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kNotedKeys));
  std::vector<NotedKey> keys;
  for (const sql::Row& row : rows.rows) {
    keys.push_back({row.text(0), row.text(1), WallTime{row.integer(2)}});
  }
  co_return keys;
}

Task<bool> note_sealed_until(sql::Transaction& tx, const KeyId& id, WallTime until) {
  const std::string kid = format_key_id(id);
  RD_CO_TRY(rows, co_await tx.run(kNoteSealedUntil, {kid, until.ms}));
  co_return rows.changed == 1;
}

Task<void> forget_key(sql::Transaction& tx, std::string_view kid) {
  RD_CO_CHECK(co_await tx.run(kForgetKey, {kid}));
  co_return Result<void>{};
}

Task<std::optional<SecretRow>> find_secret(sql::Transaction& tx, std::string_view name) {
  RD_CO_TRY(rows, co_await tx.run(kFindSecret, {name}));
  std::optional<SecretRow> found;
  if (!rows.empty()) found = SecretRow{rows[0].text(0), rows[0].integer(1), rows[0].bytes(2)};
  co_return found;
}

Task<void> insert_secret(sql::Transaction& tx, std::string_view name, const SecretRow& row) {
  RD_CO_CHECK(co_await tx.run(kInsertSecret, {name, row.kid, row.version, ByteView(row.sealed)}));
  co_return Result<void>{};
}

Task<bool> replace_secret(sql::Transaction& tx, std::string_view name, const SecretRow& row,
                          std::int64_t version_before) {
  RD_CO_TRY(rows, co_await tx.run(kReplaceSecret, {name, row.kid, row.version, ByteView(row.sealed),
                                                   version_before}));
  co_return rows.changed == 1;
}

}  // namespace redoubt::record
