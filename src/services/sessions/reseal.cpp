// Seals the data of sessions again under the primary key of the ring, keeping their versions: what
// a client holds as an ETag stays good.
#include "services/sessions/service.hpp"
#include "services/sessions/token.hpp"
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

  Task<record::ResealProgress> reseal_some(record::ResealStep step) override {
    std::function<Task<Rows>(sql::Transaction&)> find = [&step](sql::Transaction& tx) {
      return record::sessions_under(tx, step.under, step.after, step.batch);
    };
    RD_CO_TRY(found, co_await record_.read<Rows>(find));
    record::ResealProgress progress;
    progress.done = found.size() < step.batch;
    if (found.empty()) co_return progress;
    progress.last.assign(found.back().id.begin(), found.back().id.end());

    const Rows rows = seal_again(std::move(found), progress);
    if (rows.empty()) co_return progress;
    std::function<Task<std::int64_t>(record::Unit&)> work = [&rows](record::Unit& unit) {
      return replace_all(unit, rows);
    };
    RD_CO_TRY(replaced, co_await record_.write<std::int64_t>(work));
    progress.resealed = replaced;
    co_return progress;
  }

  Task<std::vector<KeyId>> keys_in_use() override {
    using Keys = std::vector<KeyId>;
    std::function<Task<Keys>(sql::Transaction&)> find = [](sql::Transaction& tx) {
      return record::session_keys(tx);
    };
    co_return co_await record_.read<Keys>(find);
  }

  Task<std::int64_t> rows_needing(KeyId id) override {
    std::function<Task<std::int64_t>(sql::Transaction&)> count = [id](sql::Transaction& tx) {
      return record::count_sessions_under(tx, id);
    };
    co_return co_await record_.read<std::int64_t>(count);
  }

 private:
  // Those of `rows` that open; the others are counted.
  Rows seal_again(Rows rows, record::ResealProgress& progress) const {
    std::erase_if(rows, [&](record::SealedSessionRow& row) {
      if (reseal(row)) return false;
      ++progress.unreadable;
      progress.example = format_id(kIdPrefix, row.id);
      return true;
    });
    return rows;
  }

  bool reseal(record::SealedSessionRow& row) const {
    const SealedAs as{
        .tenant = row.tenant, .kind = "session", .record_id = row.id, .version = row.version};
    const auto data = vault_.open(as, row.data);
    if (data) row.data = vault_.seal(as, *data);
    return data.has_value();
  }

  record::Record& record_;
  Vault& vault_;
};

}  // namespace

std::unique_ptr<record::Resealable> make_session_resealer(record::Record& record, Vault& vault) {
  return std::make_unique<SessionResealer>(record, vault);
}

}  // namespace redoubt::sessions
