#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
#include "services/sessions/units.hpp"

namespace redoubt::sessions {

// Versions stay: what a client holds as an ETag is good afterwards.
std::unique_ptr<record::Resealable> make_session_resealer(record::Record& record, Vault& vault) {
  const record::SealedNoun noun{
      .name = "sessions",
      .kind = kSealedKind,
      .table = record::sealed_sessions(),
      .name_of = [](const Id128& id) { return format_id(kIdPrefix, id); }};
  return record::make_row_resealer(record, vault, noun);
}

}  // namespace redoubt::sessions
