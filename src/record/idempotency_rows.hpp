// The kept answers of requests with an idempotency key (rd_idempotency), sealed by the vault.
//
// Errors: those of sql::Transaction::run.
#pragma once

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "record/record.hpp"
#include "record/retention.hpp"
#include "record/sealed_rows.hpp"

#include <optional>
#include <string>

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

// The version is the expiry.
SealedTable sealed_answers();

}  // namespace redoubt::record
