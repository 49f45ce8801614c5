#include "base/bytes.hpp"
#include "record/idempotency_rows.hpp"
#include "services/idempotency/sealed_answer.hpp"
#include "services/idempotency/service.hpp"

namespace redoubt::idempotency {

std::unique_ptr<record::Resealable> make_answer_resealer(record::Record& record, Vault& vault) {
  const record::SealedNoun noun{
      .name = "idempotency",
      .kind = kSealedKind,
      .table = record::sealed_answers(),
      .name_of = [](const Id128& id) { return "idempotency:" + to_hex(id); }};
  return record::make_row_resealer(record, vault, noun);
}

}  // namespace redoubt::idempotency
