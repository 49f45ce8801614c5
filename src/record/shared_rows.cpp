#include "record/shared_rows.hpp"

#include <algorithm>

namespace redoubt::record {
namespace {

constexpr sql::Statement kNoteIdentity{
    "INSERT INTO rd_meta (name, bytes) VALUES ('record.identity', $1)"
    " ON CONFLICT (name) DO NOTHING"};
constexpr sql::Statement kIdentity{"SELECT bytes FROM rd_meta WHERE name = 'record.identity'"};

constexpr sql::Statement kRead{"SELECT number, bytes FROM rd_meta WHERE name = 'shared.tier'"};
constexpr sql::Statement kFirst{
    "INSERT INTO rd_meta (name, number, bytes) VALUES ('shared.tier', 1, $1)"
    " ON CONFLICT (name) DO NOTHING"};
constexpr sql::Statement kReplace{
    "UPDATE rd_meta SET number = $1 + 1, bytes = $2 WHERE name = 'shared.tier' AND number = $1"};

}  // namespace

Task<Id128> record_identity(Unit& unit, Id128 fresh) {
  RD_CO_CHECK(co_await unit.run(kNoteIdentity, {ByteView(fresh)}));
  RD_CO_TRY(rows, co_await unit.run(kIdentity));
  const Bytes bytes = rows[0].bytes(0);
  Id128 identity{};
  if (bytes.size() != identity.size()) {
    co_return fail(Error(Errc::internal, "", "The identity of the record has a wrong size."));
  }
  std::ranges::copy(bytes, identity.begin());
  co_return identity;
}

Task<SharedTierRow> read_shared_tier(sql::Transaction& tx) {
  RD_CO_TRY(rows, co_await tx.run(kRead));
  SharedTierRow row;
  if (rows.empty()) co_return row;
  row.revision = rows[0].integer(0);
  const Bytes bytes = rows[0].bytes(1);
  row.text = as_text(bytes);
  co_return row;
}

Task<bool> replace_shared_tier(sql::Transaction& tx, std::int64_t revision, std::string_view text) {
  if (revision == 0) {
    RD_CO_TRY(first, co_await tx.run(kFirst, {as_bytes(text)}));
    co_return first.changed == 1;
  }
  RD_CO_TRY(replaced, co_await tx.run(kReplace, {revision, as_bytes(text)}));
  co_return replaced.changed == 1;
}

}  // namespace redoubt::record
