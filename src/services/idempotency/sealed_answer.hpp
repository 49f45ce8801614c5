// An answer with what it answers to, as it is sealed: bound to its row, tenant and expiry.
#pragma once

#include "base/bytes.hpp"
#include "base/crypto.hpp"
#include "base/vault.hpp"
#include "record/idempotency_rows.hpp"

#include <redoubt/idempotency.hpp>
#include <redoubt/result.hpp>

#include <string_view>

namespace redoubt::idempotency {

inline constexpr std::string_view kSealedKind = "idempotency";

struct AnsweredRequest {
  Digest256 fingerprint{};
  KeptAnswer answer;
};

inline SealedAs sealed_as(const record::AnswerRow& row) {
  return {.tenant = row.tenant,
          .kind = kSealedKind,
          .record_id = row.id,
          .version = row.expires_at.ms};
}

// Sets row.sealed. REQUIRES: the rest of the row is set.
void seal(const Vault& vault, record::AnswerRow& row, const AnsweredRequest& answered);

// Errors: internal when it does not open.
Result<AnsweredRequest> open(const Vault& vault, const record::AnswerRow& row);

}  // namespace redoubt::idempotency
