// The wrappers that make the mistakes of bugs.hpp.
#pragma once

#include "record/record.hpp"
#include "redis/client.hpp"
#include "shared/copies.hpp"
#include "shared/incarnation.hpp"
#include "shared/limits.hpp"
#include "tests/sim/bugs.hpp"

#include <memory>

namespace redoubt::sim {

// Each returns what it was given, unless the bug is one of that seam. What is wrapped outlives it.
std::unique_ptr<record::Record> with_bug(record::Record& record, Bug bug);
std::unique_ptr<redis::Client> with_bug(std::unique_ptr<redis::Client> client, Bug bug);
std::unique_ptr<shared::Ledger> with_bug(std::unique_ptr<shared::Ledger> ledger, Bug bug);
std::unique_ptr<shared::SharedLimits> with_bug(std::unique_ptr<shared::SharedLimits> limits,
                                               Bug bug);
std::unique_ptr<shared::Copies> with_bug(std::unique_ptr<shared::Copies> copies, Bug bug);

}  // namespace redoubt::sim
