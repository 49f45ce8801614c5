// Idempotency keys over the record: one row an answer, in the unit that has the effect.
//
// The row decides, whichever instance writes it first; a unit that finds it taken is undone. Within
// a process, a key that is being worked on is refused at once.
#pragma once

#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/vault.hpp"
#include "record/record.hpp"
#include "record/resealable.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/idempotency.hpp>

#include <memory>

namespace redoubt::idempotency {

struct Parts {
  record::Record& record;
  Vault& vault;
  const Clock& clock;
  Log& log;
  Metrics& metrics;
};

// One for the process: it knows what is under way. `keep`: how long answers are kept.
std::unique_ptr<Idempotency> make_idempotency(const Parts& parts, Duration keep);

std::unique_ptr<record::Resealable> make_answer_resealer(record::Record& record, Vault& vault);

}  // namespace redoubt::idempotency
