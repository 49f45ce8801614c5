// The kept answers of requests with an idempotency key (rd_idempotency), sealed by the vault.
//
// Errors: those of sql::Transaction::run.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/retention.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace redoubt::record {

struct AnswerRow {
  Id128 id{};
  std::string tenant;
  WallTime expires_at;
  Bytes sealed;
};

// One that has not expired.
Task<std::optional<AnswerRow>> find_answer(sql::Transaction& tx, const Id128& id, WallTime now);

// In the place of one that has expired; false when there is one that has not.
Task<bool> insert_answer(sql::Transaction& tx, const AnswerRow& row, WallTime now);

RetentionClass answer_retention();

// Rows sealed under `key` whose ids come after `after`, in the order of their ids.
Task<std::vector<AnswerRow>> answers_under(sql::Transaction& tx, const KeyId& key, ByteView after,
                                           std::size_t limit);
// False when the row is not the one that was read.
Task<bool> replace_sealed_answer(sql::Transaction& tx, const AnswerRow& row);
Task<std::vector<KeyId>> answer_keys(sql::Transaction& tx);
Task<std::int64_t> count_answers_under(sql::Transaction& tx, const KeyId& key);

}  // namespace redoubt::record
