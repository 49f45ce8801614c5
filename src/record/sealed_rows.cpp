#include "record/sealed_rows.hpp"

#include "record/columns.hpp"

#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

namespace redoubt::record {
namespace {

using Params = std::initializer_list<sql::Param>;

struct SealedRow {
  Id128 id{};
  std::string tenant;
  std::int64_t version = 0;
  Bytes payload;
};
using Rows = std::vector<SealedRow>;

Task<Rows> rows_under(sql::Transaction& tx, const SealedTable& table, const ResealStep& step) {
  const Params params{ByteView(step.under), ByteView(step.after),
                      static_cast<std::int64_t>(step.batch)};
  RD_CO_TRY(found, co_await tx.run(table.under, params));
  Rows rows;
  rows.reserve(found.size());
  for (const sql::Row& row : found.rows) {
    rows.push_back({fixed_bytes<Id128{}.size()>(row.bytes(0)), row.text(1), row.integer(2),
                    row.bytes(3)});
  }
  co_return rows;
}

Task<std::int64_t> replace_all(Unit& unit, const SealedTable& table, const Rows& rows) {
  std::int64_t replaced = 0;
  for (const SealedRow& row : rows) {
    const KeyId kid = Vault::kid_of(row.payload);
    const Params params{ByteView(row.id), ByteView(row.payload), ByteView(kid), row.version};
    RD_CO_TRY(done, co_await unit.run(table.replace, params));
    replaced += done.changed;
  }
  co_return replaced;
}

Task<std::vector<KeyId>> keys_of(sql::Transaction& tx, const SealedTable& table) {
  std::vector<KeyId> keys;
  Bytes last;
  for (;;) {
    RD_CO_TRY(next, co_await tx.run(table.next_key, {ByteView(last)}));
    if (next.empty()) co_return keys;
    last = next[0].bytes(0);
    keys.push_back(fixed_bytes<KeyId{}.size()>(last));
  }
}

Task<std::int64_t> count_under(sql::Transaction& tx, const SealedTable& table, KeyId key) {
  RD_CO_TRY(counted, co_await tx.run(table.count_under, {ByteView(key)}));
  co_return counted[0].integer(0);
}

class RowResealer final : public Resealable {
 public:
  RowResealer(Record& record, Vault& vault, SealedNoun noun)
      : record_(record), vault_(vault), noun_(noun) {}

  std::string_view name() const override { return noun_.name; }

  Task<ResealProgress> reseal_some(ResealStep step) override {
    std::function<Task<Rows>(sql::Transaction&)> find = [this, &step](sql::Transaction& tx) {
      return rows_under(tx, noun_.table, step);
    };
    RD_CO_TRY(found, co_await record_.read<Rows>(find));
    ResealProgress progress;
    progress.done = found.size() < step.batch;
    if (found.empty()) co_return progress;
    progress.last.assign(found.back().id.begin(), found.back().id.end());

    const Rows rows = seal_again(std::move(found), progress);
    if (rows.empty()) co_return progress;
    std::function<Task<std::int64_t>(Unit&)> work = [this, &rows](Unit& unit) {
      return replace_all(unit, noun_.table, rows);
    };
    RD_CO_TRY(replaced, co_await record_.write<std::int64_t>(work));
    progress.resealed = replaced;
    co_return progress;
  }

  Task<std::vector<KeyId>> keys_in_use() override {
    using Keys = std::vector<KeyId>;
    std::function<Task<Keys>(sql::Transaction&)> find = [this](sql::Transaction& tx) {
      return keys_of(tx, noun_.table);
    };
    co_return co_await record_.read<Keys>(find);
  }

  Task<std::int64_t> rows_needing(KeyId id) override {
    std::function<Task<std::int64_t>(sql::Transaction&)> count = [this, id](sql::Transaction& tx) {
      return count_under(tx, noun_.table, id);
    };
    co_return co_await record_.read<std::int64_t>(count);
  }

 private:
  // Those of `rows` that open; the others are counted.
  Rows seal_again(Rows rows, ResealProgress& progress) const {
    std::erase_if(rows, [&](SealedRow& row) {
      const SealedAs as{
          .tenant = row.tenant, .kind = noun_.kind, .record_id = row.id, .version = row.version};
      const auto opened = vault_.open(as, row.payload);
      if (!opened) {
        ++progress.unreadable;
        progress.example = noun_.name_of(row.id);
        return true;
      }
      row.payload = vault_.seal(as, *opened);
      return false;
    });
    return rows;
  }

  Record& record_;
  Vault& vault_;
  const SealedNoun noun_;
};

}  // namespace

std::unique_ptr<Resealable> make_row_resealer(Record& record, Vault& vault, SealedNoun noun) {
  return std::make_unique<RowResealer>(record, vault, noun);
}

}  // namespace redoubt::record
