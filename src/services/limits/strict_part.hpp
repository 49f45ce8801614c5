// The strict limits of a check: their memory is read, decided upon and written in one transaction,
// by the same arithmetic as in memory, on a wall clock, which a restart does not reset: that of the
// record, so that instances whose clocks differ count alike.
//
// Threads: one at a time; it runs inside a unit of the record.
#pragma once

#include "local/limit_algorithms.hpp"
#include "record/limit_rows.hpp"
#include "record/record.hpp"
#include "services/limits/named_checks.hpp"

#include <redoubt/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace redoubt::limits {

class StrictPart {
 public:
  // `tenant` and `named` outlive it.
  StrictPart(std::string_view tenant, const NamedChecks& named);

  // What a unit that charges or refunds reaches: these limits alone.
  record::Reach reach() const;

  // Reads the rows as of now, whatever was read or charged before. One read a limit.
  Task<void> load(sql::Transaction& tx, const Clock& clock);

  // REQUIRES for all below: load() in the same transaction.
  bool admits(Verdicts& out) const;  // Fills the verdicts of a check that charges nothing.
  void charge(Verdicts& out);
  void refund(Verdicts& out);

  // Writes what charge(), refund() or a clock that went back have changed. One row a limit.
  Task<void> store(sql::Transaction& tx);

 private:
  struct Limit {
    std::uint8_t position;  // In the check.
    const local::LimitRule* rule;
    record::LimitId id;
    std::int64_t cost;
    local::LimitMemory memory;
    bool changed;
  };

  local::LimitReading read(const Limit& limit) const;

  std::string_view tenant_;
  boost::container::static_vector<Limit, kChecksMax> limits_;
  std::size_t checks_;  // Of both classes.
  local::Nanos now_ = 0;
};

// The units of work of a check that charges nothing, and of a refund.
Task<void> look(sql::Transaction& tx, const Clock& clock, StrictPart& strict, Verdicts& verdicts);
Task<void> give_back(record::Unit& unit, const Clock& clock, StrictPart& strict,
                     Verdicts& verdicts);

}  // namespace redoubt::limits
