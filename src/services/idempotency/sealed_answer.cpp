#include "services/idempotency/sealed_answer.hpp"

#include "base/packed.hpp"

#include <algorithm>

namespace redoubt::idempotency {
namespace {

constexpr std::uint8_t kFormat = 1;

}  // namespace

void seal(const Vault& vault, record::AnswerRow& row, const AnsweredRequest& answered) {
  const KeptAnswer& answer = answered.answer;
  PackedWriter packed;
  packed.integer(kFormat, 1);
  packed.bytes(answered.fingerprint);
  packed.integer(static_cast<std::uint64_t>(answer.status), 2);
  packed.text(answer.content_type);
  packed.text(answer.headers);
  packed.text(answer.body);
  row.sealed = vault.seal(sealed_as(row), packed.out);
}

Result<AnsweredRequest> open(const Vault& vault, const record::AnswerRow& row) {
  RD_TRY(opened, vault.open(sealed_as(row), row.sealed));
  PackedReader packed(opened);
  const std::uint64_t format = packed.integer(1);
  AnsweredRequest answered;
  std::ranges::copy(packed.bytes(answered.fingerprint.size()), answered.fingerprint.begin());
  answered.answer.status = static_cast<int>(packed.integer(2));
  answered.answer.content_type = packed.text();
  answered.answer.headers = packed.text();
  answered.answer.body = packed.text();
  if (format != kFormat || !packed.complete()) {
    return fail(internal("a kept answer is of a format that this version does not know"));
  }
  return answered;
}

}  // namespace redoubt::idempotency
