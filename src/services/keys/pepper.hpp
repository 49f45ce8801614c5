// The pepper: 32 random bytes made at first start, from which the keys that hash credentials are
// derived. Kept in the record, sealed by the ring, so that rotating the ring changes no credential
// and the database file alone verifies none.
#pragma once

#include "base/vault.hpp"
#include "record/key_rows.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"

#include <redoubt/random.hpp>

namespace redoubt::keys {

class Pepper final : public record::Resealable {
 public:
  Pepper(record::Record& record, Vault& vault) : record_(record), vault_(vault) {}

  // Gives the vault its pepper; makes it when there is none. The primary must be noted before.
  // Errors: internal "key_missing" when its key is not in the ring.
  Task<void> open(Random& random);

  std::string_view name() const override { return "pepper"; }
  Task<record::ResealProgress> reseal_some(record::ResealStep step) override;
  Task<std::vector<KeyId>> keys_in_use() override;
  Task<std::int64_t> rows_needing(KeyId id) override;

 private:
  Task<std::optional<record::SecretRow>> row();

  record::Record& record_;
  Vault& vault_;
};

}  // namespace redoubt::keys
