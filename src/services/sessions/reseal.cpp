// Seals the data of sessions again under the primary key of the ring, keeping their versions: what
// a client holds as an ETag stays good.
#include "services/sessions/service.hpp"
#include "services/sessions/units.hpp"

#include <functional>
#include <vector>

namespace redoubt::sessions {
namespace {

using Rows = std::vector<record::SealedSessionRow>;

Task<std::int64_t> replace_all(record::Unit& unit, const Rows& rows) {
  std::int64_t replaced = 0;
  for (const record::SealedSessionRow& row : rows) {
    RD_CO_TRY(done, co_await record::replace_sealed_session(unit, row));
    replaced += done ? 1 : 0;
  }
  co_return replaced;
}

class SessionResealer final : public record::Resealable {
 public:
  SessionResealer(record::Record& record, Vault& vault) : record_(record), vault_(vault) {}

  std::string_view name() const override { return "sessions"; }

  Task<record::ResealProgress> reseal_some(KeyId primary, std::size_t batch) override {
    std::function<Task<Rows>(sql::Transaction&)> find = [primary, batch](sql::Transaction& tx) {
      return record::sessions_not_under(tx, primary, batch);
    };
    RD_CO_TRY(rows, co_await record_.read<Rows>(find));
    record::ResealProgress progress;
    progress.done = rows.empty();
    if (progress.done) co_return progress;

    for (record::SealedSessionRow& row : rows) {
      RD_CO_CHECK(reseal(row));
    }
    std::function<Task<std::int64_t>(record::Unit&)> work = [&rows](record::Unit& unit) {
      return replace_all(unit, rows);
    };
    RD_CO_TRY(replaced, co_await record_.write<std::int64_t>(work));
    progress.resealed = replaced;
    co_return progress;
  }

  Task<std::int64_t> rows_needing(KeyId id) override {
    std::function<Task<std::int64_t>(sql::Transaction&)> count = [id](sql::Transaction& tx) {
      return record::count_sessions_under(tx, id);
    };
    co_return co_await record_.read<std::int64_t>(count);
  }

 private:
  Result<void> reseal(record::SealedSessionRow& row) const {
    const SealedAs as{
        .tenant = row.tenant, .kind = "session", .record_id = row.id, .version = row.version};
    RD_TRY(data, vault_.open(as, row.data));
    row.data = vault_.seal(as, data);
    return {};
  }

  record::Record& record_;
  Vault& vault_;
};

}  // namespace

std::unique_ptr<record::Resealable> make_session_resealer(record::Record& record, Vault& vault) {
  return std::make_unique<SessionResealer>(record, vault);
}

}  // namespace redoubt::sessions
