#include "services/incarnation/ledger.hpp"

#include "record/shared_rows.hpp"

#include <functional>
#include <string>
#include <utility>

namespace redoubt::incarnation {
namespace {

constexpr std::string_view kIdPrefix = "rec_";

class RecordLedger final : public shared::Ledger {
 public:
  RecordLedger(record::Record& record, const Clock& clock, Random& random)
      : record_(record), clock_(clock), random_(random) {}

  Task<std::string> identity() override {
    const Id128 fresh = new_id(clock_.wall(), random_);
    std::function<Task<Id128>(record::Unit&)> work = [fresh](record::Unit& unit) {
      return record::record_identity(unit, fresh);
    };
    RD_CO_TRY(identity, co_await record_.write<Id128>(work));
    co_return format_id(kIdPrefix, identity);
  }

  Task<shared::Page> read() override {
    std::function<Task<record::SharedTierRow>(sql::Transaction&)> work = [](sql::Transaction& tx) {
      return record::read_shared_tier(tx);
    };
    RD_CO_TRY(row, co_await record_.read<record::SharedTierRow>(work));
    RD_CO_TRY(incarnation, shared::decode_incarnation(row.text));
    shared::Page page;
    page.revision = row.revision;
    page.incarnation = std::move(incarnation);
    co_return page;
  }

  Task<bool> replace(std::int64_t revision, shared::Incarnation next) override {
    const std::string text = shared::encode_incarnation(next);
    std::function<Task<bool>(record::Unit&)> work = [revision, &text](record::Unit& unit) {
      return record::replace_shared_tier(unit, revision, text);
    };
    co_return co_await record_.write<bool>(work);
  }

 private:
  record::Record& record_;
  const Clock& clock_;
  Random& random_;
};

}  // namespace

std::unique_ptr<shared::Ledger> make_ledger(record::Record& record, const Clock& clock,
                                            Random& random) {
  return std::make_unique<RecordLedger>(record, clock, random);
}

}  // namespace redoubt::incarnation
