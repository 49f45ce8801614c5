// The rows of the key ring: which keys may have sealed something, and the instance's own secrets.
#pragma once

#include "base/vault.hpp"
#include "record/record.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace redoubt::record {

struct NotedKey {
  std::string kid;  // 8 hex digits.
  std::string label;
  WallTime sealed_until;  // Tokens under it that no row shows may be good until then.
};

// Before a key seals its first row. Noting it again renews its label.
Task<void> note_key(sql::Transaction& tx, const RingKey& key, WallTime now);
Task<std::vector<NotedKey>> noted_keys(sql::Transaction& tx);
// Before a token without a row that is good until `until` is given away. Never takes the time back.
// False when the key is not noted: it has left the ring, and the token would be good for nothing.
Task<bool> note_sealed_until(sql::Transaction& tx, const KeyId& id, WallTime until);
Task<void> forget_key(sql::Transaction& tx, std::string_view kid);

struct SecretRow {
  std::string kid;
  std::int64_t version = 0;
  Bytes sealed;
};

Task<std::optional<SecretRow>> find_secret(sql::Transaction& tx, std::string_view name);
Task<void> insert_secret(sql::Transaction& tx, std::string_view name, const SecretRow& row);

// False when the row is no longer at `version_before`.
Task<bool> replace_secret(sql::Transaction& tx, std::string_view name, const SecretRow& row,
                          std::int64_t version_before);

}  // namespace redoubt::record
