// Seals kept answers again under the primary key of the ring.
#include "base/bytes.hpp"
#include "record/idempotency_rows.hpp"
#include "services/idempotency/sealed_answer.hpp"
#include "services/idempotency/service.hpp"

#include <functional>
#include <utility>
#include <vector>

namespace redoubt::idempotency {
namespace {

using Rows = std::vector<record::AnswerRow>;

Task<std::int64_t> replace_all(record::Unit& unit, const Rows& rows) {
  std::int64_t replaced = 0;
  for (const record::AnswerRow& row : rows) {
    RD_CO_TRY(done, co_await record::replace_sealed_answer(unit, row));
    replaced += done ? 1 : 0;
  }
  co_return replaced;
}

class AnswerResealer final : public record::Resealable {
 public:
  AnswerResealer(record::Record& record, Vault& vault) : record_(record), vault_(vault) {}

  std::string_view name() const override { return "idempotency"; }

  Task<record::ResealProgress> reseal_some(record::ResealStep step) override {
    std::function<Task<Rows>(sql::Transaction&)> find = [&step](sql::Transaction& tx) {
      return record::answers_under(tx, step.under, step.after, step.batch);
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
      return record::answer_keys(tx);
    };
    co_return co_await record_.read<Keys>(find);
  }

  Task<std::int64_t> rows_needing(KeyId id) override {
    std::function<Task<std::int64_t>(sql::Transaction&)> count = [id](sql::Transaction& tx) {
      return record::count_answers_under(tx, id);
    };
    co_return co_await record_.read<std::int64_t>(count);
  }

 private:
  // Those of `rows` that open; the others are counted.
  Rows seal_again(Rows rows, record::ResealProgress& progress) const {
    std::erase_if(rows, [&](record::AnswerRow& row) {
      const SealedAs as = sealed_as(row);
      const auto opened = vault_.open(as, row.sealed);
      if (!opened) {
        ++progress.unreadable;
        progress.example = "idempotency:" + to_hex(row.id);
        return true;
      }
      row.sealed = vault_.seal(as, *opened);
      return false;
    });
    return rows;
  }

  record::Record& record_;
  Vault& vault_;
};

}  // namespace

std::unique_ptr<record::Resealable> make_answer_resealer(record::Record& record, Vault& vault) {
  return std::make_unique<AnswerResealer>(record, vault);
}

}  // namespace redoubt::idempotency
