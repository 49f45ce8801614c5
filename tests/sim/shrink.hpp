// Makes a failing plan smaller while it still fails: fewer faults, a shorter run, fewer operations.
// What is left says more about the cause than what was drawn.
#pragma once

#include "tests/sim/plan.hpp"

#include <functional>
#include <set>
#include <string>

namespace redoubt::sim {

// What is kept of a drawn plan. Together with the seed it says which run it is.
struct Edit {
  std::set<std::size_t> faults;  // Places in the list that was drawn.
  Nanos length{0};
  std::int64_t rate = 0;
};

Edit whole(const Plan& drawn);
Plan edited(const Plan& drawn, const Edit& edit);

// REQUIRES: `fails` says so of `drawn`. Calls it at most `attempts` times.
Edit shrink(const Plan& drawn, const std::function<bool(const Plan&)>& fails, int attempts = 60);

// The arguments that make redoubt_simulate run it again.
std::string replay_arguments(const Plan& drawn, const Edit& edit);

}  // namespace redoubt::sim
