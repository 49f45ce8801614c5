// The part of the record that says which Redis is ours, as the monitor of the shared tier wants it.
#pragma once

#include "record/record.hpp"
#include "shared/incarnation.hpp"

#include <redoubt/clock.hpp>
#include <redoubt/random.hpp>

#include <memory>

namespace redoubt::incarnation {

// Threads: any. REQUIRES: all three outlive it.
std::unique_ptr<shared::Ledger> make_ledger(record::Record& record, const Clock& clock,
                                            Random& random);

}  // namespace redoubt::incarnation
