#include "services/keys/pepper.hpp"

#include "record/key_rows.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace redoubt::keys {
namespace {

constexpr std::string_view kName = "pepper";

SealedAs sealed_as(std::int64_t version) {
  return {.tenant = "", .kind = kName, .record_id = as_bytes(kName), .version = version};
}

record::SecretRow row_of(const Vault& vault, ByteView pepper, std::int64_t version) {
  record::SecretRow row;
  row.version = version;
  row.sealed = vault.seal(sealed_as(version), pepper);
  row.kid = format_key_id(Vault::kid_of(row.sealed));
  return row;
}

Task<Bytes> find_or_make(record::Unit& unit, const Vault& vault, Random& random) {
  RD_CO_TRY(row, co_await record::find_secret(unit, kName));
  if (row) co_return vault.open(sealed_as(row->version), row->sealed);
  Bytes pepper(32);
  random.fill(pepper);
  const record::SecretRow made = row_of(vault, pepper, 1);
  RD_CO_CHECK(co_await record::insert_secret(unit, kName, made));
  co_return pepper;
}

Task<record::ResealProgress> reseal(record::Unit& unit, const Vault& vault, const KeyId& under) {
  record::ResealProgress progress;
  progress.done = true;  // There is one row.
  RD_CO_TRY(row, co_await record::find_secret(unit, kName));
  if (!row || row->kid != format_key_id(under)) co_return progress;
  auto pepper = vault.open(sealed_as(row->version), row->sealed);
  if (!pepper) {
    progress.unreadable = 1;
    progress.example = kName;
    co_return progress;
  }
  const record::SecretRow sealed = row_of(vault, *pepper, row->version + 1);
  OPENSSL_cleanse(pepper->data(), pepper->size());
  RD_CO_TRY(replaced, co_await record::replace_secret(unit, kName, sealed, row->version));
  progress.resealed = replaced ? 1 : 0;
  co_return progress;
}

}  // namespace

Task<void> Pepper::open(Random& random) {
  std::function<Task<Bytes>(record::Unit&)> work = [this, &random](record::Unit& unit) {
    return find_or_make(unit, vault_, random);
  };
  RD_CO_TRY(bytes, co_await record_.write(std::move(work)));
  Key256 pepper;
  if (bytes.size() != pepper.size()) co_return fail(internal("the pepper has a wrong size"));
  std::ranges::copy(bytes, pepper.begin());
  vault_.set_pepper(pepper);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  OPENSSL_cleanse(pepper.data(), pepper.size());
  co_return Result<void>{};
}

Task<record::ResealProgress> Pepper::reseal_some(record::ResealStep step) {
  std::function<Task<record::ResealProgress>(record::Unit&)> work = [&](record::Unit& unit) {
    return reseal(unit, vault_, step.under);
  };
  co_return co_await record_.write(std::move(work));
}

Task<std::optional<record::SecretRow>> Pepper::row() {
  using Row = std::optional<record::SecretRow>;
  std::function<Task<Row>(sql::Transaction&)> work = [](sql::Transaction& tx) {
    return record::find_secret(tx, kName);
  };
  co_return co_await record_.read<Row>(std::move(work));
}

Task<std::vector<KeyId>> Pepper::keys_in_use() {
  RD_CO_TRY(found, co_await row());
  std::vector<KeyId> keys;
  if (found) keys.push_back(Vault::kid_of(found->sealed));
  co_return keys;
}

Task<std::int64_t> Pepper::rows_needing(KeyId id) {
  RD_CO_TRY(found, co_await row());
  co_return found && found->kid == format_key_id(id) ? 1 : 0;
}

}  // namespace redoubt::keys
